import pytest

from integrations.providers.jenkins.provider import Jenkins
from integrations.providers.jenkins.tests.answers import (
    FOLDER,
    LOCATION,
    PATH,
    QUEUE,
    TOKEN,
    TRIGGER,
    WHO,
    job_or_builds,
    ok,
    payload,
)
from integrations.providers.tests.wire import wire

__all__ = ["wire"]


@pytest.fixture
def jenkins(wire):
    """Makes a provider of a Jenkins that is well, unless a test changes its routes."""
    wire.routes = {
        WHO: ok(payload("whoami__user")),
        f"{PATH}/api/json": job_or_builds("builds__none"),
        TRIGGER: ok(b"", 201, **LOCATION),
        f"{PATH}/build": ok(b"", 201, **LOCATION),
        QUEUE: ok(payload("queue__empty")),
        FOLDER: ok({"_class": "com.cloudbees.hudson.plugins.folder.Folder"}),
    }

    def make(kind=Jenkins, **changes) -> Jenkins:
        given = {"url": f"{wire.url}/ci/", "username": "delivr", "api_token": TOKEN}
        return kind(**{**given, "job_path": "mobile/ios", **changes})

    return make
