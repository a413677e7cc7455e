"""The end of a failed build's log is read, with limits, and failures of it have no effect."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from builds.logs.reading import GIVE_UP_AFTER, PAUSES, due_logs, read_log
from builds.models import Build, Source
from builds.tests.polling import polled, running
from builds.updates.apply import apply_update
from builds.updates.update import BuildUpdate
from delivr.effects.models import IntegrationHealth
from delivr.encryption.fields import MASK
from delivr.tests.wired import Wired, fresh
from integrations.models import PipelineIntegration
from integrations.providers.ci import BuildStatus
from sandbox import accounts

pytestmark = [pytest.mark.django_db, pytest.mark.on_postgresql, pytest.mark.slow]

LOG = "/job/ios-prod/*/logText/progressiveText"


@pytest.fixture
def failed(build: Build, sandbox: Any) -> Build:
    return ended(build, sandbox)


def ended(build: Build, sandbox: Any, result: str = "FAILURE") -> Build:
    running(build)
    sandbox.state.jenkins.finish("ios-prod", 245, result)
    return polled(build)


def read(build: Build, times: int = 1) -> Build:
    """The build after so many attempts to read its log."""
    for _n in range(times):
        Build.objects.filter(log_at__isnull=False).update(log_at=timezone.now())
        for build_id in due_logs():
            read_log(build_id)
    row: Build = fresh(build)
    return row


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ("FAILURE", "Shop/Sources/Checkout.swift:118:27: error: cannot find 'ShippingQuote'"),
        ("UNSTABLE", "Test Case '-[ShopTests.CartTests testVoucher]' failed"),
        ("ABORTED", "Aborted by delivr"),
    ],
)
def test_a_failure_is_explained_by_the_log(
    build: Build, sandbox: Any, result: str, words: str
) -> None:
    row = read(ended(build, sandbox, result))
    assert words in row.log_excerpt
    assert "\x1b" not in row.log_excerpt
    assert (row.log_at, row.log_error, due_logs()) == (None, "", [])


def test_the_log_of_a_success_or_a_cancelled_build_is_not_read(build: Build, sandbox: Any) -> None:
    assert ended(build, sandbox, "SUCCESS").log_at is None
    apply_update(build.pk, BuildUpdate(status=BuildStatus.CANCELLED, source=Source.PERSON))
    assert fresh(build).log_at is None


def test_a_build_that_never_started_has_no_log(build: Build) -> None:
    apply_update(
        build.pk, BuildUpdate(status=BuildStatus.ABORTED, source=Source.POLL, queue_id=1001)
    )
    assert fresh(build).log_at is None


def test_a_number_that_comes_late_brings_the_log(build: Build, sandbox: Any) -> None:
    apply_update(build.pk, BuildUpdate(status=BuildStatus.FAILURE, source=Source.POLL))
    assert fresh(build).log_at is None
    apply_update(build.pk, BuildUpdate(status=BuildStatus.FAILURE, source=Source.POLL, number=245))
    assert fresh(build).log_at is not None


def test_a_corrected_failure_drops_its_excerpt(failed: Build) -> None:
    assert read(failed).log_excerpt
    apply_update(failed.pk, BuildUpdate(status=BuildStatus.SUCCESS, source=Source.POLL))
    row = fresh(failed)
    assert (row.status, row.log_excerpt, row.log_at) == ("SUCCESS", "", None)


def test_a_log_that_goes_on_is_read_again(failed: Build, sandbox: Any) -> None:
    ci = sandbox.state.jenkins
    there = ci.build("ios-prod", 245)
    there.ended_at, end = None, there.ended_at  # its last steps are still running
    row = read(failed)
    assert row.log_excerpt
    assert row.log_at > timezone.now()
    there.ended_at = end
    assert read(failed).log_at is None


def test_each_reading_is_handed_out_once(failed: Build) -> None:
    assert due_logs() == [failed.pk]
    assert due_logs() == []
    assert fresh(failed).log_at > timezone.now() + timedelta(seconds=30)


@pytest.mark.parametrize("kind", ["status", "drop_before", "html_200", "garbage"])
def test_failures_are_retried_a_few_times_and_then_reported(
    failed: Build, sandbox: Any, kind: str
) -> None:
    sandbox.state.faults.add(kind, provider="jenkins", path=LOG)
    row = read(failed, times=len(PAUSES) + 3)
    assert (row.log_at, row.log_excerpt) == (None, "")
    assert row.log_error
    assert row.log_tries <= len(PAUSES) + 1
    assert (row.status, row.url != "") == ("FAILURE", True)


def test_failures_with_logs_do_not_count_against_the_connection(
    failed: Build, sandbox: Any
) -> None:
    sandbox.state.faults.add("status", provider="jenkins", path=LOG, status=401)
    row = read(failed, times=len(PAUSES) + 1)
    assert row.log_error
    assert not IntegrationHealth.objects.exclude(failures=0, credentials_refused_at=None).exists()
    assert fresh(row.pipeline).verification_status == "VALID"


def test_a_temporary_failure_is_forgotten(failed: Build, sandbox: Any) -> None:
    sandbox.state.faults.add("status", provider="jenkins", path=LOG, count=1)
    assert read(failed).log_tries == 1
    row = read(failed)
    assert (row.log_at, row.log_error) == (None, "")
    assert "ShippingQuote" in row.log_excerpt


def test_a_log_that_was_rotated_is_asked_for_once(failed: Build, sandbox: Any) -> None:
    sandbox.state.jenkins.delete_build("ios-prod", 245)
    row = read(failed)
    assert row.log_error == "Jenkins no longer has the log of this build."
    assert (row.log_at, row.log_tries) == (None, 1)


def refuse_credentials(build: Build, at: datetime | None) -> None:
    IntegrationHealth.objects.update_or_create(
        tenant_id=build.tenant_id,
        integration_id=build.pipeline.pk,
        defaults={"credentials_refused_at": at},
    )


def test_an_unhealthy_jenkins_is_not_asked(failed: Build, sandbox: Any) -> None:
    fault = sandbox.state.faults.add("status", provider="jenkins")
    refuse_credentials(failed, timezone.now())
    row = read(failed, times=5)
    assert (row.log_tries, row.log_at > timezone.now(), row.log_excerpt) == (0, True, "")
    assert fault.struck == 0
    sandbox.state.faults.clear()
    refuse_credentials(failed, None)
    assert read(failed).log_excerpt


def test_waiting_for_it_ends(failed: Build) -> None:
    refuse_credentials(failed, timezone.now())
    Build.objects.update(finished_at=timezone.now() - GIVE_UP_AFTER)
    row = read(failed)
    assert (row.log_at, row.log_error) == (None, "The CI server could not be reached for too long.")


def test_secrets_of_the_workspace_are_masked(wired: Wired, failed: Build, sandbox: Any) -> None:
    there = sandbox.state.jenkins.build("ios-prod", 245)
    there.parameters["X"] = f"\nerror: {accounts.GITHUB_PUSH_TOKEN} {accounts.JIRA_API_TOKEN}"
    row = read(failed)
    assert f"error: {MASK} {MASK}" in row.log_excerpt


@pytest.mark.parametrize("inside", ["\x1b[31m", "\x1b[0m\x1b[1m", "\x00", "\u200b", "\u00ad"])
def test_a_secret_with_a_colour_in_it_is_masked(
    wired: Wired, failed: Build, sandbox: Any, inside: str
) -> None:
    there = sandbox.state.jenkins.build("ios-prod", 245)
    begin, end = accounts.JIRA_API_TOKEN[:8], accounts.JIRA_API_TOKEN[8:]
    there.parameters["X"] = f"\nerror: {begin}{inside}{end} refused"
    assert f"error: {MASK} refused" in read(failed).log_excerpt


def test_a_log_that_raises_an_error_is_read_a_few_times(
    failed: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builds.logs.reading.excerpt", lambda _log: 1 / 0)
    for _n in range(len(PAUSES) + 1):
        with pytest.raises(ZeroDivisionError):
            read(failed)
    row = read(failed)
    assert (row.log_at, row.log_error) == (None, "delivr had an internal error.")


def test_without_all_secrets_nothing_is_shown(wired: Wired, failed: Build) -> None:
    """A secret that cannot be decrypted cannot be masked."""
    stolen = fresh(wired.scm).access_token
    slack = type(wired.slack).objects.filter(pk=wired.slack.pk)
    slack.update(token=stolen)
    row = read(failed)
    assert (row.log_excerpt, row.log_at) == ("", None)
    assert "cannot be decrypted" in row.log_error


def test_a_connection_without_secrets_gives_up_in_words(failed: Build) -> None:
    PipelineIntegration.objects.update(api_token=None)
    row = read(failed, times=len(PAUSES) + 1)
    assert row.log_at is None
    assert row.log_error


def test_a_build_that_changed_meanwhile_is_left_alone(failed: Build) -> None:
    (build_id,) = due_logs()
    apply_update(build_id, BuildUpdate(status=BuildStatus.SUCCESS, source=Source.POLL))
    read_log(build_id)
    assert fresh(failed).log_excerpt == ""
