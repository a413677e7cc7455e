"""A test build runs outside all releases and gets its result with or without webhooks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone

from builds.logs.reading import due_test_logs, read_test_log
from builds.models import WEBHOOK_GRACE, Build, TestBuild
from builds.polling.poller import LOST_AFTER, LOST_WITHIN, due_tests, poll_test
from builds.testbuilds.effects import StopTest
from builds.testbuilds.operations import MAX_KEPT, cancel_test, start_test
from builds.tests.delivering import deliver, plugin
from delivr.audit.models import AuditEvent
from delivr.effects.models import Effect
from delivr.effects.operations import cancel_effect, retry_effect
from delivr.effects.runner import run_effect
from delivr.failures import Conflict
from delivr.tenants.models import Role, User
from delivr.tests.wired import Wired, fresh, wired_to
from integrations.operations import disconnect
from releases.models import Release

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

TRIGGER = {"provider": "jenkins", "method": "POST", "path": "/job/ios-prod/buildWithParameters"}


@pytest.fixture
def wired(tenant: Any, sandbox: Any) -> Wired:
    return wired_to(tenant, sandbox)


@pytest.fixture
def web(client_for: Any, owner: User) -> Client:
    client: Client = client_for(owner)
    return client


def start(wired: Wired, **kwargs: Any) -> TestBuild:
    values = {"version": "0.0.1", "branch": "main", **kwargs}
    return start_test(pipeline=wired.pipelines["ios"], actor=None, **values)


def effect_of(test: TestBuild) -> Effect:
    effect: Effect = Effect.objects.get(kind="build.test", payload__testBuildId=test.pk)
    return effect


def queued(wired: Wired) -> TestBuild:
    test = start(wired)
    run_effect(effect_of(test).pk)
    found: TestBuild = fresh(test)
    return found


def polled(test: TestBuild, times: int = 1) -> TestBuild:
    for _n in range(times):
        TestBuild.objects.filter(pk=test.pk).update(poll_at=timezone.now())
        assert test.pk in due_tests()
        poll_test(test.pk)
    found: TestBuild = fresh(test)
    return found


def page(web: Client, wired: Wired) -> str:
    return web.get(f"/integrations/pipelines/{wired.pipelines['ios'].pk}").content.decode()


def figures(web: Client) -> bytes:
    return web.get("/insights.csv").getvalue()


def address(wired: Wired) -> str:
    return f"/integrations/pipelines/{wired.pipelines['ios'].pk}/test-build"


def test_viewer_reads_that_there_was_none(wired: Wired, client_for: Any, member_of: Any) -> None:
    viewer = client_for(member_of(wired.tenant, Role.VIEWER))
    assert "No test build yet. A workspace admin can start one." in page(viewer, wired)


# --- From start to end -------------------------------------------------------------------------


def test_it_ends_by_polling_alone(wired: Wired, sandbox: Any, web: Client) -> None:
    web.post(address(wired), {"version": "0.0.1", "branch": "main"})
    test = TestBuild.objects.get()
    assert (test.status, sandbox.state.jenkins.builds_of("ios-prod")) == ("TRIGGERING", [])
    assert "delivr is asking Jenkins to start it." in page(web, wired)
    run_effect(effect_of(test).pk)
    assert (fresh(test).status, fresh(test).queue_id) == ("QUEUED", 1001)
    row = polled(test, 3)
    assert (row.status, row.number) == ("RUNNING", 245)
    assert f"{sandbox.url}/jenkins/job/ios-prod/245/console" in page(web, wired)
    sandbox.state.jenkins.finish("ios-prod", 245)
    row = polled(test)
    assert (row.status, row.poll_at, row.took is not None) == ("SUCCESS", None, True)
    TestBuild.objects.update(finished_at=timezone.now() - WEBHOOK_GRACE)
    assert "No webhook was received for it" in page(web, wired)
    sent = sandbox.state.jenkins.build("ios-prod", 245).parameters
    assert (sent["VERSION"], sent["BRANCH"]) == ("0.0.1", "main")
    assert sent["DELIVR_BUILD_ID"] == test.pk


def test_it_is_in_no_release_and_no_figure(wired: Wired, sandbox: Any, web: Client) -> None:
    before = figures(web)
    test = polled(queued(wired), 3)
    sandbox.state.jenkins.finish("ios-prod", 245)
    assert polled(test).status == "SUCCESS"
    assert not Build.objects.exists()
    assert not Release.objects.exists()
    assert figures(web) == before


@pytest.mark.parametrize("body", [{"DELIVR_BUILD_ID": True}, {}], ids=["by id", "by number"])
def test_a_webhook_is_noted_and_only_a_reason_to_ask(
    wired: Wired, sandbox: Any, web: Client, body: dict[str, bool]
) -> None:
    test = polled(queued(wired), 3)
    sandbox.state.jenkins.finish("ios-prod", 245, "FAILURE")
    named = {"parameters": {"DELIVR_BUILD_ID": test.pk}} if body else {}
    delivery = deliver(wired.pipelines["ios"], plugin("COMPLETED", status="SUCCESS", **named))
    assert (delivery.state, delivery.build) == ("APPLIED", None)
    row = fresh(test)
    assert (row.status, row.first_webhook_at is not None) == ("RUNNING", True)
    assert row.poll_at <= timezone.now()
    assert polled(test).status == "FAILURE"
    html = page(web, wired)
    assert "Its webhook was received." in html
    assert "the build itself failed" in html


@pytest.mark.parametrize("key", ["buildId", "parameters"])
def test_a_webhook_that_knows_it_by_its_id_alone_is_noted(wired: Wired, key: str) -> None:
    """Before its number is known, and whatever number the report has."""
    test = queued(wired)
    body = {"buildNumber": 7, "status": "STARTED", "buildId": test.pk}
    if key == "parameters":
        body = plugin("STARTED", number=7, parameters={"DELIVR_BUILD_ID": test.pk})
    assert deliver(wired.pipelines["ios"], body).state == "APPLIED"
    assert fresh(test).first_webhook_at is not None


def test_while_it_waits_the_page_says_why(wired: Wired, sandbox: Any, web: Client) -> None:
    sandbox.state.jenkins.job("ios-prod").executors = 0
    polled(queued(wired))
    assert "Waiting for next available executor" in page(web, wired)


def test_a_lost_answer_is_found_again(wired: Wired, sandbox: Any) -> None:
    sandbox.state.faults.add(**TRIGGER, kind="drop_after", count=1)
    test = queued(wired)
    assert test.status == "TRIGGERING"
    Effect.objects.update(next_at=timezone.now())
    run_effect(effect_of(test).pk)
    assert fresh(test).status in ("QUEUED", "RUNNING")
    assert len(sandbox.state.jenkins.queued() + sandbox.state.jenkins.builds_of("ios-prod")) == 1


def test_a_refused_trigger_says_what_to_do(wired: Wired, sandbox: Any, web: Client) -> None:
    sandbox.state.jenkins.job("ios-prod").buildable = False
    test = queued(wired)
    assert test.status == "TRIGGER_FAILED"
    html = page(web, wired)
    assert "is disabled" in html
    with pytest.raises(ValidationError, match="Start a new test build"):
        retry_effect(effect=effect_of(test), actor=None)


def test_one_that_jenkins_does_not_know_is_lost(wired: Wired, sandbox: Any) -> None:
    test = polled(queued(wired), 3)
    sandbox.state.jenkins.delete_build("ios-prod", 245)
    sandbox.state.jenkins.forget_left_items()
    assert polled(test, LOST_AFTER).status == "RUNNING"
    TestBuild.objects.update(missing_since=timezone.now() - LOST_WITHIN)
    assert polled(test).status == "LOST"


def test_a_pipeline_that_is_disconnected_meanwhile_is_not_asked(wired: Wired) -> None:
    test = queued(wired)
    disconnect(wired.pipelines["ios"], actor=None)
    assert polled(test).status == "LOST"


# --- The rules ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"branch": "no..branch"}, "not a valid git branch name"),
        ({"version": ""}, "a version has up to 64"),
        ({"version": "1 0"}, "a version has up to 64"),
    ],
)
def test_what_no_release_could_have_is_refused(
    wired: Wired, web: Client, values: dict[str, str], words: str
) -> None:
    answer = web.post(address(wired), {"version": "1", "branch": "main", **values}, follow=True)
    assert words in answer.content.decode()
    assert not TestBuild.objects.exists()
    assert not Effect.objects.exists()


def test_one_at_a_time_and_only_where_the_checks_pass(wired: Wired) -> None:
    start(wired)
    with pytest.raises(Conflict) as refused:
        start(wired)
    assert refused.value.code == "build_in_progress"
    TestBuild.objects.update(status="SUCCESS")
    type(wired.pipelines["ios"]).objects.update(verification_status="INVALID")
    with pytest.raises(Conflict) as refused:
        start(wired)
    assert refused.value.code == "not_verified"
    assert TestBuild.objects.count() == Effect.objects.count() == 1
    assert AuditEvent.objects.filter(action="test_build.started").count() == 1


def test_only_the_newest_are_kept(wired: Wired) -> None:
    for n in range(MAX_KEPT + 2):
        test = start(wired)
        earlier = timezone.now() - timedelta(days=MAX_KEPT + 2 - n)
        TestBuild.objects.filter(pk=test.pk).update(status="SUCCESS", created_at=earlier)
    assert TestBuild.objects.count() == MAX_KEPT
    assert TestBuild.objects.first() == test


def test_one_that_may_still_have_to_be_stopped_is_kept(wired: Wired) -> None:
    for _n in range(MAX_KEPT + 2):
        cancel_test(test=start(wired), actor=None)
    assert TestBuild.objects.count() == MAX_KEPT + 2


def test_a_trigger_that_gave_up_can_be_cancelled_after_its_build_was_deleted(
    wired: Wired, sandbox: Any
) -> None:
    sandbox.state.jenkins.job("ios-prod").buildable = False
    effect = effect_of(queued(wired))
    TestBuild.objects.all().delete()
    with pytest.raises(ValidationError, match="Start a new test build"):
        retry_effect(effect=effect, actor=None)
    assert cancel_effect(effect=effect, actor=None).state == "CANCELLED"


def test_the_fragment_leads_back_to_the_page_that_shows_it(wired: Wired, web: Client) -> None:
    start(wired)
    assert "next=/setup/pipelines" in web.get("/setup/pipelines").content.decode()
    html = web.get(address(wired), {"next": "/setup/pipelines"}).content.decode()
    assert 'name="next" value="/setup/pipelines"' in html
    assert "next=/setup/pipelines" in html


def test_the_fragment_stops_refreshing_with_the_build(wired: Wired, web: Client) -> None:
    start(wired)
    answer = web.get(address(wired))
    assert answer.status_code == 200
    seen = answer.context["seen"]
    assert web.get(address(wired), {"seen": seen}).status_code == 204
    Effect.objects.update(last_error="Jenkins cannot be reached.")
    assert "Jenkins cannot be reached." in web.get(address(wired), {"seen": seen}).content.decode()
    TestBuild.objects.update(status="ABORTED")
    assert web.get(address(wired), {"seen": seen}).status_code == 286


# --- Stopping one ------------------------------------------------------------------------------


def stop_of(test: TestBuild) -> Effect:
    effect: Effect = Effect.objects.get(kind="build.test_stop", payload__testBuildId=test.pk)
    return effect


def test_a_running_one_is_stopped_here_and_there(wired: Wired, sandbox: Any, web: Client) -> None:
    test = polled(queued(wired), 3)
    assert "Stop the test build?" in page(web, wired)
    answer = web.post(f"{address(wired)}/cancel", {"next": "/setup/pipelines"})
    assert answer["Location"] == "/setup/pipelines"
    row = fresh(test)
    assert (row.status, row.poll_at, row.finished_at is not None) == ("CANCELLED", None, True)
    assert "It was stopped here" in page(web, wired)
    run_effect(stop_of(test).pk)
    assert stop_of(test).state == "DONE"
    assert sandbox.state.jenkins.build("ios-prod", 245).result == "ABORTED"
    event = AuditEvent.objects.get(action="test_build.cancelled")
    assert (event.subject_id, event.changes["status"]) == (
        wired.pipelines["ios"].pk,
        ["RUNNING", "CANCELLED"],
    )


def test_one_in_the_queue_is_taken_out_of_it(wired: Wired, sandbox: Any) -> None:
    sandbox.state.jenkins.job("ios-prod").executors = 0
    test = queued(wired)
    cancel_test(test=test, actor=None)
    run_effect(stop_of(test).pk)
    assert sandbox.state.jenkins.queued() == sandbox.state.jenkins.builds_of("ios-prod") == []


def test_one_that_leaves_the_queue_at_this_moment_is_stopped_by_its_number(
    wired: Wired, sandbox: Any
) -> None:
    test = queued(wired)
    cancel_test(test=test, actor=None)
    run_effect(stop_of(test).pk)
    assert (stop_of(test).state, stop_of(test).last_error_code) == ("PENDING", "just_left")
    Effect.objects.update(next_at=timezone.now())
    run_effect(stop_of(test).pk)
    assert stop_of(test).state == "DONE"
    assert sandbox.state.jenkins.build("ios-prod", 245).result == "ABORTED"


def test_one_that_was_not_sent_yet_is_never_sent(wired: Wired, sandbox: Any) -> None:
    test = start(wired)
    cancel_test(test=test, actor=None)
    run_effect(effect_of(test).pk)
    run_effect(stop_of(test).pk)
    assert {effect_of(test).state, stop_of(test).state} == {"CANCELLED"}
    assert sandbox.state.jenkins.queued() == sandbox.state.jenkins.builds_of("ios-prod") == []


def test_one_whose_trigger_is_on_the_way_is_stopped_once_it_arrived(
    wired: Wired, sandbox: Any
) -> None:
    test = start(wired)
    sandbox.state.faults.add(**TRIGGER, kind="drop_after", count=1)
    run_effect(effect_of(test).pk)  # the response is lost: the build may exist
    cancel_test(test=test, actor=None)
    run_effect(stop_of(test).pk)
    assert stop_of(test).state == "PENDING"
    Effect.objects.filter(kind="build.test").update(next_at=timezone.now())
    run_effect(effect_of(test).pk)
    assert fresh(test).status == "CANCELLED"
    assert stop_of(test).next_at <= timezone.now()
    run_effect(stop_of(test).pk)
    assert stop_of(test).state == "DONE"
    ended = [build.result for build in sandbox.state.jenkins.builds_of("ios-prod")]
    assert (sandbox.state.jenkins.queued(), set(ended) - {"ABORTED"}) == ([], set())


def test_one_whose_trigger_arrives_while_its_stop_is_prepared_is_stopped(
    wired: Wired, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.state.jenkins.job("ios-prod").executors = 0
    test = start(wired)
    sandbox.state.faults.add(**TRIGGER, kind="drop_after", count=1)
    run_effect(effect_of(test).pk)
    cancel_test(test=test, actor=None)
    build_of = StopTest.build_of

    def meanwhile(stop: StopTest, effect: Effect) -> TestBuild:
        row = build_of(stop, effect)
        monkeypatch.setattr(StopTest, "build_of", build_of)
        Effect.objects.filter(kind="build.test").update(next_at=timezone.now())
        run_effect(effect_of(test).pk)
        return row

    monkeypatch.setattr(StopTest, "build_of", meanwhile)
    run_effect(stop_of(test).pk)
    assert effect_of(test).state == "DONE"
    run_effect(stop_of(test).pk)
    assert stop_of(test).state == "DONE"
    assert sandbox.state.jenkins.queued() == []


def test_the_one_that_the_page_showed_is_stopped_and_no_later_one(
    wired: Wired, web: Client
) -> None:
    shown = start(wired)
    assert f'name="test" value="{shown.pk}"' in page(web, wired)
    TestBuild.objects.update(status="SUCCESS")
    later = start(wired)
    html = web.post(f"{address(wired)}/cancel", {"test": shown.pk}, follow=True).content.decode()
    assert "This test build has already finished." in html
    assert web.post(f"{address(wired)}/cancel", {"test": "tst_\x00"}).status_code == 404
    assert fresh(later).status == "TRIGGERING"


def test_a_finished_one_is_not_stopped(wired: Wired, web: Client) -> None:
    assert web.post(f"{address(wired)}/cancel").status_code == 404  # there is none
    start(wired)
    TestBuild.objects.update(status="SUCCESS")
    html = web.post(f"{address(wired)}/cancel", follow=True).content.decode()
    assert "This test build has already finished." in html
    assert not Effect.objects.filter(kind="build.test_stop").exists()
    assert TestBuild.objects.get().status == "SUCCESS"


def test_after_a_stop_another_one_can_start(wired: Wired) -> None:
    cancel_test(test=start(wired), actor=None)
    assert start(wired).status == "TRIGGERING"


def failed(wired: Wired, sandbox: Any) -> TestBuild:
    test = queued(wired)
    polled(test, 3)
    sandbox.state.jenkins.finish("ios-prod", 245, "FAILURE")
    return polled(test)


def test_a_failed_test_build_shows_why_by_its_log(wired: Wired, sandbox: Any, web: Client) -> None:
    test = failed(wired, sandbox)
    assert test.status == "FAILURE"
    assert "Reading the log" in page(web, wired)
    assert due_test_logs() == [test.pk]
    read_test_log(test.pk)
    assert "error: cannot find" in page(web, wired)
    assert fresh(test).log_at is None


def test_a_missing_webhook_is_only_told_after_a_while_and_never_once_it_came(
    wired: Wired, sandbox: Any, web: Client
) -> None:
    test, told = failed(wired, sandbox), "No webhook was received"
    shown = page(web, wired)
    assert told not in shown
    assert "data-live" in shown
    TestBuild.objects.update(finished_at=timezone.now() - WEBHOOK_GRACE, log_at=None)
    assert told in page(web, wired)
    TestBuild.objects.filter(pk=test.pk).update(first_webhook_at=timezone.now())
    shown = page(web, wired)
    assert told not in shown
    assert "Its webhook was received." in shown
