"""The interface of CI servers, with servers that are not like Jenkins."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import RequestFactory
from django.utils import timezone

from builds.adopting import adopt_build
from builds.cancelling import cancel_build
from builds.models import Build, Trust, WebhookDelivery
from builds.tests.delivering import deliver, store_delivery
from builds.tests.fake_ci import FakeCi, parse
from builds.tests.polling import offers, polled
from builds.webhooks.authentication import authenticate
from builds.webhooks.deliveries import read
from delivr.effects.models import Effect, EffectState
from delivr.effects.runner import run_effect
from delivr.failures import Outcome, ProviderError
from delivr.tests.wired import Wired, fresh, trigger_of
from integrations.models import PipelineIntegration
from integrations.providers import registry
from integrations.providers.ci import BuildHandle, BuildStatus
from releases.blockers import blockers
from releases.models import Release

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]
HERE = "builds.tests.fake_ci"


@pytest.fixture
def ci(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Make one of the fakes the CI server of every pipeline."""

    def use(name: str = "FakeCi") -> type[FakeCi]:
        kind = name.upper()
        monkeypatch.setitem(registry.PROVIDERS, ("pipelines", kind), f"{HERE}.{name}")
        monkeypatch.setitem(registry.WEBHOOKS, kind.lower(), f"{HERE}.WEBHOOKS")
        PipelineIntegration.objects.update(pipeline_type=kind)
        return FakeCi

    for kept in (FakeCi.requests, FakeCi.runs, FakeCi.stopped):
        kept.clear()
    FakeCi.failure = None
    yield use
    FakeCi.failure = None


def triggered(wired: Wired) -> Build:
    """A build on the fake server, after its trigger was sent."""
    build = wired.build("ios", slack=True)
    run_effect(trigger_of(build).pk)
    found: Build = fresh(build)
    return found


def messages_of(build: Build) -> list[str]:
    effects = Effect.objects.filter(kind="message.post", build_id=build.pk)
    return sorted(set(effects.values_list("payload__notice", flat=True)))


def test_a_build_is_known_by_its_id_from_the_trigger_to_its_end(wired: Wired, ci: Any) -> None:
    fake = ci()
    build = triggered(wired)
    assert (build.status, build.external_id, build.number) == ("QUEUED", "run1/1", None)
    [request] = fake.requests
    assert (request.build_id, request.version, request.branch, request.platform) == (
        build.pk,
        "1.5.1",
        "release/1.5.1",
        "IOS",
    )
    assert request.parameters == build.parameters

    fake.turn("run1/1", BuildStatus.WAITING, queue_reason="Dana has to approve", number=57)
    build = polled(build)
    release = Release.objects.get()
    assert (build.status, build.queue_reason) == ("WAITING", "Dana has to approve")
    assert (release.status, build.poll_at > timezone.now()) == ("BUILDING", True)
    [blocker] = blockers(release, [], [], None, timezone.now())
    assert "Dana has to approve" in blocker.message
    assert messages_of(build) == ["build_waiting"]

    fake.turn("run1/1", BuildStatus.RUNNING)
    build = polled(build)
    assert (build.status, build.queue_reason) == ("RUNNING", "")
    fake.turn("run1/1", BuildStatus.WAITING, queue_reason="Once more")
    assert (polled(build).status, fresh(build).queue_reason) == ("WAITING", "Once more")
    fake.turn("run1/1", BuildStatus.SUCCESS)
    assert polled(build).status == "SUCCESS"
    assert Release.objects.get().status == "BUILD_COMPLETE"
    assert messages_of(build) == ["build_complete", "build_waiting"]


def test_a_failure_on_a_server_without_logs_is_posted_without_one(wired: Wired, ci: Any) -> None:
    fake = ci()
    build = triggered(wired)
    fake.turn("run1/1", BuildStatus.FAILURE)
    build = polled(build)
    assert (build.status, build.log_at) == ("FAILURE", None)
    assert "build_failed" in messages_of(build)


def test_a_lost_response_waits_for_a_person_if_no_search_is_possible(wired: Wired, ci: Any) -> None:
    fake = ci()
    fake.failure = ProviderError("timeout", "No answer.", outcome=Outcome.UNCERTAIN)
    build = triggered(wired)
    effect = trigger_of(build)
    Effect.objects.filter(pk=effect.pk).update(
        next_at=timezone.now(), dispatched_at=timezone.now() - timedelta(minutes=10)
    )
    run_effect(effect.pk)
    assert (fresh(build).status, len(fake.requests)) == ("TRIGGER_FAILED", 1)
    assert (fresh(effect).state, fresh(effect).last_error_code) == ("DEAD", "cannot_correlate")
    assert "Fake CI" in fresh(effect).last_error


def test_a_second_attempt_under_one_number_is_another_build(wired: Wired, ci: Any) -> None:
    fake = ci()
    build = triggered(wired)
    fake.turn("run1/1", BuildStatus.FAILURE, number=57, carried_id=build.pk)
    build = polled(build)
    fake.turn("run1/2", BuildStatus.SUCCESS, number=57, carried_id=build.pk)
    build = polled(build)
    assert (build.status, build.external_id) == ("FAILURE", "run1/1")
    assert [retry["number"] for retry in offers(build)] == [57]
    adopt_build(effect=trigger_of(build), number=57, actor=None)
    first, second = Build.objects.order_by("attempt")
    assert (first.status, first.external_id) == ("FAILURE", "run1/1")
    assert (second.status, second.external_id, second.number) == ("SUCCESS", "run1/2", 57)


def stop_of(build: Build) -> Effect:
    cancel_build(build=build, actor=None)
    effect = Effect.objects.get(kind="build.cancel")
    run_effect(effect.pk)
    found: Effect = fresh(effect)
    return found


def test_a_build_is_stopped_by_its_id(wired: Wired, ci: Any) -> None:
    fake = ci()
    assert stop_of(triggered(wired)).state == EffectState.DONE
    assert fake.stopped == [BuildHandle(external_id="run1/1")]


def test_a_build_without_an_id_is_found_before_it_is_stopped(wired: Wired, ci: Any) -> None:
    fake = ci("LateCi")
    build = triggered(wired)
    assert not build.handle.is_known
    assert stop_of(build).state == EffectState.DONE
    assert [handle.external_id for handle in fake.stopped] == ["run1/1"]


# --- A server that cannot be polled ---------------------------------------------------------------


@pytest.fixture
def silent(wired: Wired, ci: Any) -> Build:
    ci("SilentCi")
    return triggered(wired)


@pytest.mark.parametrize("trust", [Trust.SIGNED, Trust.BASIC])
def test_the_reports_of_a_server_that_cannot_be_polled_are_trusted(
    silent: Build, trust: Trust
) -> None:
    deliver(silent, f"RUNNING {silent.pk}".encode(), trust=trust)
    assert polled(silent).status == "RUNNING"
    deliver(silent, f"SUCCESS {silent.pk}".encode(), trust=trust)
    build = polled(silent)
    assert (build.status, build.poll_at, build.number) == ("SUCCESS", None, None)
    assert "build_complete" in messages_of(build)


def test_a_build_without_reports_for_too_long_is_lost(silent: Build) -> None:
    build = polled(silent)
    assert build.status == "QUEUED"
    assert build.poll_at == build.created_at + timedelta(hours=2)
    Build.objects.update(created_at=timezone.now() - timedelta(hours=2))
    assert polled(build).status == "LOST"


def test_a_report_restarts_the_timeout(silent: Build) -> None:
    delivery = deliver(silent, f"RUNNING {silent.pk}".encode())
    Build.objects.update(created_at=timezone.now() - timedelta(hours=3))
    build = polled(silent)
    assert (build.status, build.poll_at) == ("RUNNING", delivery.received_at + timedelta(hours=2))


def test_a_build_that_cannot_be_stopped_is_cancelled_here(silent: Build) -> None:
    assert stop_of(silent).state == EffectState.CANCELLED
    assert (fresh(silent).status, FakeCi.stopped) == ("CANCELLED", [])


def test_a_kind_may_bring_its_own_parser_for_a_sender(
    wired: Wired, ci: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ci()
    build = triggered(wired)
    delivery = store_delivery(build, f"SUCCESS {build.pk}".encode())
    WebhookDelivery.objects.update(sender="github")
    with pytest.raises(ValueError, match="not JSON"):
        read(fresh(delivery))
    monkeypatch.setattr(FakeCi, "parsers", {"github": parse})
    assert read(fresh(delivery)).status == "SUCCESS"


# --- Authentication -------------------------------------------------------------------------------


def test_a_sender_may_send_the_secret_in_a_header_of_its_own(ci: Any) -> None:
    ci()
    headers = {"x-fake-token": "s3cret", "x-fake-id": "7", "x-fake-event": "build"}
    request = RequestFactory().post("/", headers=headers)
    found = authenticate("fakeci", request.headers, b"body", ["earlier", "s3cret"])
    assert found is not None
    assert (found.trust, found.dedupe_key, found.event) == (Trust.BASIC, "fakeci:7", "build")
    assert authenticate("fakeci", request.headers, b"body", ["other"]) is None
    assert authenticate("fakeci", RequestFactory().post("/").headers, b"", ["s3cret"]) is None
