"""`manage.py live` tells open pages what has changed, over real connections."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client

from delivr.effects.models import Effect
from delivr.tenants.models import Membership
from delivr.tests import factories
from delivr.tests.product import free_port
from delivr.tests.sample_workspace import OURS, THEIRS, SampleWorkspace, build_workspace
from releases.models import Release

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]

NEWS = b"data: changed"
_answers: list[http.client.HTTPResponse] = []


@pytest.fixture
def sample() -> SampleWorkspace:
    return build_workspace(OURS)


@pytest.fixture
def port(db: None) -> Iterator[int]:
    """Of the running server, which uses the tests' database."""
    at, own = free_port(), connection.settings_dict
    url = f"postgres://{own['USER']}@{own['HOST']}:{own['PORT']}/{own['NAME']}"
    child = subprocess.Popen(
        [sys.executable, "manage.py", "live", "--bind", f"127.0.0.1:{at}"],
        cwd=settings.BASE_DIR,
        env={**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "delivr.settings_test"},
    )
    try:
        deadline = time.monotonic() + 60
        while not _is_ready(at):
            assert child.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield at
        child.send_signal(signal.SIGTERM)
        assert child.wait(20) == 0
    finally:
        child.kill()
        child.wait()
        while _answers:
            _answers.pop().close()


def _is_ready(port: int) -> bool:
    try:
        return bool(ask(port, "/livez").status == 200)
    except OSError:
        return False


def ask(port: int, path: str, cookie: str = "", method: str = "GET") -> Any:
    opened = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    opened.request(
        method, path, headers={"Cookie": f"a=b; sessionid={cookie}", "Connection": "close"}
    )
    _answers.append(opened.getresponse())
    return _answers[-1]


def cookie_of(sample: SampleWorkspace, role: str = "VIEWER") -> str:
    client = factories.sign_in(Client(), sample.users[role])
    return str(client.cookies["sessionid"].value)


def line(answer: Any) -> bytes:
    """The next one that says something."""
    while not (found := answer.readline().strip()):
        pass
    return bytes(found)


def opened(port: int, path: str, sample: SampleWorkspace) -> Any:
    answer = ask(port, path, cookie_of(sample))
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert answer.headers["X-Accel-Buffering"] == "no"
    assert line(answer) == b"retry: 3000"
    return answer


def test_page_is_told_of_its_changes_and_of_no_others(port: int, sample: SampleWorkspace) -> None:
    theirs = build_workspace(THEIRS)
    other = factories.ReleaseFactory(tenant=sample.tenant, version="8.8.8")
    time.sleep(0.5)  # what was written until here has been told
    release = opened(port, f"/releases/{sample.ids['release_id']}/events", sample)
    workspace = opened(port, "/events", sample)
    strange = opened(port, f"/releases/{sample.ids['release_id']}/events", theirs)
    Release.objects.filter(pk=other.pk).update(branch="elsewhere")
    assert line(workspace) == NEWS
    started = time.monotonic()
    Effect.objects.filter(release_id=sample.ids["release_id"]).update(attempts=7)
    assert line(workspace) == NEWS
    assert line(release) == NEWS
    assert time.monotonic() - started < 5
    Release.objects.filter(pk=theirs.ids["release_id"]).update(branch="theirs")
    Membership.objects.filter(tenant=theirs.tenant).update(tenant=theirs.tenant)
    assert line(strange) == NEWS
    for answer in (release, workspace):
        answer.fp.raw._sock.settimeout(1)
        with pytest.raises(TimeoutError):
            line(answer)


def test_whoever_may_read_no_page_is_told_nothing(port: int, sample: SampleWorkspace) -> None:
    """204: the browser does not come again."""
    cookie = cookie_of(sample)
    Membership.objects.filter(user=sample.users["VIEWER"]).delete()
    for nobody in ("", "made-up", cookie):
        answer = ask(port, "/events", nobody)
        assert (answer.status, answer.read()) == (204, b"")


def test_other_addresses_and_methods_are_refused(port: int, sample: SampleWorkspace) -> None:
    cookie = cookie_of(sample)
    assert ask(port, "/", cookie).status == 404
    assert ask(port, "/releases/../events", cookie).status == 404
    assert ask(port, "/events", cookie, "POST").status == 405
