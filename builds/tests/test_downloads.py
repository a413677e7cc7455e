"""Artifacts pass through delivr in parts: for whom, with which limits, and what ends a download."""

from __future__ import annotations

import gc
import logging
import time
from typing import Any

import pytest
from django.contrib.sessions.middleware import SessionMiddleware
from django.test import Client
from django.utils import timezone

from builds import artifacts
from builds.models import Build
from builds.tests.polling import polled, running
from delivr.api.problems import Problem
from delivr.audit.models import AuditEvent
from delivr.outbound import OutboundError, open_download
from delivr.outbound import downloads as limits
from delivr.tenants.models import Role
from delivr.tests.trap import drip, reply, trap
from integrations.models import PipelineIntegration
from integrations.providers.jenkins.reading import artifact_path
from releases.tests.pages import text_of

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]
CONTENT = b"sandbox artifact of ios-prod #245\n"


@pytest.fixture
def built(build: Build, sandbox: Any) -> Build:
    running(build)
    sandbox.state.jenkins.finish("ios-prod", 245, "SUCCESS")
    row = polled(build)
    assert row.artifacts
    return row


def address(build: Build, place: int = 0) -> str:
    return f"/builds/{build.pk}/artifacts/{place}"


def is_free() -> bool:
    """True if no download holds a slot."""
    try:
        artifacts._slots.take("somebody")
    except Problem:
        return False
    artifacts._slots.give_back("somebody", time.monotonic())
    return True


@pytest.fixture(autouse=True)
def slots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "_slots", artifacts._Slots())


def test_delivr_itself_opens_an_artifact_of_the_workspace(built: Build, tenant: Any) -> None:
    where = {"build_id": built.pk, "place": "0"}
    opened = artifacts.fetch(tenant_id=tenant.pk, **where)
    assert b"".join(opened) == CONTENT
    opened.close()
    with pytest.raises(Build.DoesNotExist):
        artifacts.fetch(tenant_id="another", **where)


def test_member_downloads_what_jenkins_keeps(built: Build, member: Client) -> None:
    answer: Any = member.get(address(built))
    assert answer.status_code == 200
    assert answer.streaming
    assert answer["Content-Disposition"] == 'attachment; filename="ios-245.ipa"'
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Length"] == str(len(CONTENT))
    assert answer.getvalue() == CONTENT
    answer.close()
    assert is_free()
    event = AuditEvent.objects.get(action="build.downloaded")
    assert (event.subject_id, event.changes) == (built.pk, {"artifact": [None, "ios-245.ipa"]})


def test_page_offers_it_to_members_alone(built: Build, member: Client, as_role: Any) -> None:
    page = f"/releases/{built.release_pipeline.release_id}"
    assert address(built) in member.get(page).content.decode()
    viewer = as_role(Role.VIEWER)
    assert address(built) not in viewer.get(page).content.decode()
    assert viewer.get(address(built)).status_code == 403
    assert not AuditEvent.objects.filter(action="build.downloaded").exists()


def test_artifact_of_another_workspace_does_not_exist(built: Build, outsider: Client) -> None:
    assert outsider.get(address(built)).status_code == 404
    assert outsider.post(address(built)).status_code == 405


def test_artifact_that_was_not_listed_does_not_exist(built: Build, member: Client) -> None:
    assert member.get(address(built, 99)).status_code == 404
    PipelineIntegration.objects.update(disconnected_at=timezone.now())
    assert member.get(address(built)).status_code == 404


def test_second_download_at_a_time_has_to_wait(built: Build, member: Client) -> None:
    first: Any = member.get(address(built))
    second = member.get(address(built), follow=True)
    assert "Another download is in progress" in text_of(second)
    first.close()  # as a server does when the reader has gone, also before the first part
    third: Any = member.get(address(built))
    assert third.getvalue() == CONTENT
    third.close()
    assert is_free()


def test_workspace_that_had_the_slot_for_long_leaves_it_to_others(
    built: Build, member: Client, api_for: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A CI server that drips holds the slot of a process for minutes, again and again."""
    now = time.monotonic()
    for since in (now - 200, now - 950):
        artifacts._slots._free.acquire()
        artifacts._slots.give_back(built.tenant_id, since)
    assert "used up its download time" in text_of(member.get(address(built), follow=True))
    refused = api_for(built.tenant).get(f"/api/v1{address(built)}")
    assert refused.status_code == 429
    assert int(refused["Retry-After"]) > 0
    assert is_free()  # for everybody else
    monkeypatch.setattr(artifacts, "WINDOW", 0.0)
    answer: Any = member.get(address(built))
    assert answer.getvalue() == CONTENT
    answer.close()


def test_api_answers_the_file_itself(built: Build, api_for: Any) -> None:
    answer = api_for(built.tenant).get(f"/api/v1{address(built)}")
    assert (answer.status_code, answer.getvalue()) == (200, CONTENT)
    answer.close()
    assert is_free()
    assert api_for(built.tenant).get(f"/api/v1{address(built, 99)}").status_code == 404
    assert api_for(built.tenant, Role.VIEWER).get(f"/api/v1{address(built)}").status_code == 403


def test_refusal_is_told_on_the_page_and_frees_the_slot(
    built: Build, member: Client, sandbox: Any
) -> None:
    built.artifacts[0]["url"] = built.artifacts[0]["url"].replace("ios-245", "gone")
    built.save()
    page = member.get(address(built), follow=True)
    assert page.redirect_chain[0][0] == f"/releases/{built.release_pipeline.release_id}"
    assert "Jenkins did not return the file" in text_of(page)
    assert is_free()
    assert not AuditEvent.objects.filter(action="build.downloaded").exists()


# The collector may reach its socket first.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <delivr.outbound.sockets._TimedSocket")
def test_answer_that_is_replaced_by_an_error_frees_the_slot(
    built: Build, member: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Django drops it unclosed, for instance if the session cannot be stored."""

    def broken(*_args: Any) -> None:
        raise RuntimeError("The session cannot be stored.")

    monkeypatch.setattr(SessionMiddleware, "process_response", broken)
    # The log that pytest keeps would keep the answer, too, by the frames of the exception.
    monkeypatch.setattr(logging.getLogger("django.request"), "disabled", True)
    member.raise_request_exception = False
    assert member.get(address(built)).status_code == 500
    gc.collect()
    assert is_free()


def test_credentials_go_to_the_connected_server_alone(built: Build, member: Client) -> None:
    built.artifacts[0]["url"] = "https://evil.example/steal/artifact/ios-245.ipa"
    built.save()
    answer: Any = member.get(address(built))
    assert answer.getvalue() == CONTENT  # of our Jenkins: only the file's path was taken from it
    answer.close()


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://j.example/job/a/7/artifact/out/App%20one.ipa", "out/App%20one.ipa"),
        ("https://j.example/job/a/7/artifact/../../../script", None),
        ("https://j.example/job/a/7/artifact/%2e%2e/%2E%2E/script", None),
        ("https://j.example/job/a/7/artifact/a%2F..%2Fb", None),
        ("https://j.example/job/a/7/artifact//etc", None),
        ("https://j.example/job/a/7/artifact/a?b=c", None),
        ("https://j.example/job/a/7/artifact/a%0d%0aX", None),
        ("s3://builds/app.ipa", None),
    ],
)
def test_only_a_plain_path_below_the_build_is_asked_for(url: str, path: str | None) -> None:
    assert artifact_path(url) == path


# --- The door for large answers ------------------------------------------------------------------

HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


@pytest.fixture
def open_door(settings: Any) -> None:
    settings.OUTBOUND_ALLOW = ["127.0.0.1"]


def failing(url: str) -> str:
    download = open_download(url)
    try:
        with pytest.raises(OutboundError) as caught:
            for _part in download:
                pass
    finally:
        download.close()
    return str(caught.value.code)


@pytest.mark.usefixtures("open_door")
def test_download_larger_than_the_limit_ends(monkeypatch: Any) -> None:
    monkeypatch.setattr(limits, "MAX_BYTES", 200_000)
    with trap(drip(HEAD, b"b" * 99_999, every=0)) as server:
        assert failing(server.url) == "too_large"
    announced = reply(b"HTTP/1.1 200 OK\r\nContent-Length: 200001\r\n\r\n")
    with trap(announced) as server, pytest.raises(OutboundError) as caught:
        open_download(server.url)
    assert caught.value.code == "too_large"


@pytest.mark.usefixtures("open_door")
def test_download_that_takes_too_long_ends(monkeypatch: Any) -> None:
    monkeypatch.setattr(limits, "MAX_SECONDS", 0.5)
    with trap(drip(HEAD, b"b", every=0.05)) as server:
        assert failing(server.url) == "timeout"


@pytest.mark.usefixtures("open_door")
def test_download_that_drips_ends_long_before(monkeypatch: Any) -> None:
    monkeypatch.setattr(limits, "STALL", 0.3)
    began = time.monotonic()
    with trap(drip(HEAD, b"b" * 64, every=0.01)) as server:  # some KB a second
        assert failing(server.url) == "timeout"
    assert time.monotonic() - began < 5


@pytest.mark.usefixtures("open_door")
def test_download_that_breaks_off_is_not_whole() -> None:
    with trap(reply(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhi")) as server:
        assert failing(server.url) == "reset"


@pytest.mark.usefixtures("open_door")
def test_download_follows_no_redirect() -> None:
    away = reply(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\n\r\n")
    with trap(away) as server, pytest.raises(OutboundError) as caught:
        open_download(server.url)
    assert caught.value.code == "redirect"


@pytest.mark.usefixtures("open_door")
def test_download_from_an_allowed_private_address_is_refused_where_only_public_ones_are_meant() -> (
    None
):
    with trap(reply(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")) as server:
        open_download(server.url).close()
        with pytest.raises(OutboundError) as caught:
            open_download(server.url, only_public=True)
    assert caught.value.code == "address_refused"


def test_download_from_a_private_address_is_refused(settings: Any) -> None:
    settings.OUTBOUND_ALLOW = []
    with pytest.raises(OutboundError) as caught:
        open_download("http://127.0.0.1:9/")
    assert caught.value.code == "address_refused"
