"""What a Jenkins answers, and how the tests ask it."""

from datetime import UTC, datetime

from integrations.providers.ci import BuildHandle, BuildRequest
from integrations.providers.jenkins.provider import Jenkins
from integrations.providers.tests.wire import Reply, payloads

TOKEN = "11canary0123456789token"
PATH = "/ci/job/mobile/job/ios"
FOLDER = "/ci/job/mobile/api/json"
TRIGGER = f"{PATH}/buildWithParameters"
QUEUE = "/ci/queue/api/json"
ITEM = "/ci/queue/item/7041/api/json"
LOCATION = {"Location": "http://jenkins.internal:8080/ci/queue/item/7041/"}
SINCE = datetime(2025, 11, 22, 9, 0, tzinfo=UTC)
GIVEN = {"VERSION": "1.5.0", "BRANCH": "release/1.5.0", "FLAVOUR": "free"}
payload = payloads(__file__)


class HastyJenkins(Jenkins):
    deadline = 0.5


def ok(body, status=200, **headers):
    return Reply(body, status, {"X-Jenkins": "2.541.1", **headers})


def page(text, status, **headers):
    kind = {"Content-Type": "text/html"}
    return ok(f"<html><body>{text}</body></html>".encode(), status, **kind, **headers)


WANTED = BuildRequest(
    build_id="bld_sought",
    version="1.5.0",
    branch="release/1.5.0",
    platform="IOS",
    parameters=GIVEN,
)


def trigger(jenkins):
    return jenkins.trigger(WANTED)


def find(jenkins):
    return jenkins.find(WANTED, since=SINCE)


def read(jenkins, queue_id=None, number=None):
    return jenkins.read(BuildHandle(queue_id=queue_id, number=number), build_id="bld_sought")


def failed(checks):
    return {check.name: check for check in checks if not check.ok}


WHO = "/ci/whoAmI/api/json"
BUILD_PERMISSION = {"X-Required-Permission": "hudson.model.Item.Build"}


def job_or_builds(name):
    def answer(seen):
        return ok(payload(name if "uilds[" in seen.query["tree"] else "job__ready"))

    return answer
