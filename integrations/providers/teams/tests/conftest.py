from integrations.providers.tests.wire import wire  # noqa: F401 # a fixture
