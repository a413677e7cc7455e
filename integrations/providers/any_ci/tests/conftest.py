from integrations.providers.tests.sandbox import running_sandbox, sandbox  # noqa: F401 # fixtures
from integrations.providers.tests.wire import wire  # noqa: F401 # a fixture
