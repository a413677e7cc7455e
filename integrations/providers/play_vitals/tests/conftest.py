from integrations.providers.tests.sandbox import running_sandbox, sandbox
from integrations.providers.tests.wire import wire

__all__ = ["running_sandbox", "sandbox", "wire"]
