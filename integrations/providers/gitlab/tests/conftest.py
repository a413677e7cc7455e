from integrations.providers.tests.wire import wire

__all__ = ["wire"]
