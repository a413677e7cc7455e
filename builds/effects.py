"""How a build is triggered, found again after a lost answer, and written down."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from builds import testing
from builds.deliveries import apply_unmatched
from builds.hearing import News, hear, is_newest, lock_build, revive_build, trigger_failed
from builds.models import Build, Source, TestBuild
from delivr.effects import clock
from delivr.effects.handlers import EffectHandler, Unneeded, behind
from delivr.effects.models import Effect
from delivr.effects.operations import wake
from integrations.providers.base import BuildState, BuildStatus
from integrations.providers.registry import provider_for
from releases.models import ReleaseStatus


class TriggerBuild(EffectHandler):
    """`POST buildWithParameters`, once. A build that fires a day late is worse than none."""

    def prepare(self, effect: Effect) -> None:
        build = connected_build(effect)
        if build.release_pipeline.release.status == ReleaseStatus.CANCELLED:
            raise Unneeded
        if build.status != BuildStatus.TRIGGERING:
            raise Unneeded

    def send(self, effect: Effect) -> dict[str, Any]:
        build = connected_build(effect)
        state = ci_of(build).trigger(build_id=build.pk, parameters=build.parameters)
        return _as_result(state)

    def find(self, effect: Effect) -> dict[str, Any] | None:
        """Where a webhook was faster than the answer the build is known; else it is looked for."""
        build = connected_build(effect)
        ci, state = ci_of(build), None
        if build.number is not None or build.queue_id is not None:
            state = ci.read(queue_id=build.queue_id, number=build.number, build_id=build.pk)
        if state is None:
            state = ci.find(build_id=build.pk, parameters=build.parameters, since=build.created_at)
        return _as_result(state) if state else None

    def lock(self, effect: Effect) -> None:
        lock_build(effect.build_id)

    def finish(self, effect: Effect, result: dict[str, Any]) -> None:
        hear(effect.build_id, _as_news(result))
        apply_unmatched(build_id=effect.build_id)
        self._let_its_stop_go(effect)

    def gave_up(self, effect: Effect) -> None:
        trigger_failed(effect.build_id, message=effect.last_error)
        self._let_its_stop_go(effect)

    def _let_its_stop_go(self, effect: Effect) -> None:
        """Where the build was cancelled meanwhile, its stop waited for this."""
        mine = Effect.objects.for_tenant(effect.tenant_id).filter(kind="build.cancel")
        stops = mine.filter(release_id=effect.release_id, build_id=effect.build_id)
        wake(stops.filter(last_error_code=""))

    def revive(self, effect: Effect) -> None:
        build = lock_build(effect.build_id)
        if not is_newest(build) or build.status != BuildStatus.TRIGGER_FAILED:
            raise ValidationError({"state": [_("A newer build took its place.")]})
        if build.release_pipeline.release.status == ReleaseStatus.CANCELLED:
            raise ValidationError({"state": [_("This release was cancelled.")]})
        revive_build(build)


def connected_build(effect: Effect) -> Build:
    """The build that an effect is about, with its release and pipeline."""
    found: Build = (
        Build.objects.for_tenant(effect.tenant_id)
        .select_related("release_pipeline__release", "release_pipeline__pipeline")
        .get(pk=effect.build_id)
    )
    return found


def ci_of(build: Build | TestBuild) -> Any:
    """The CI server of a build, at the job that it was promised for."""
    pipeline = build.pipeline
    pipeline.jenkins_job_path = build.job_path
    return provider_for(pipeline)


class StartTest(EffectHandler):
    """The trigger of a test build, which nobody waits long for."""

    expires_after = timedelta(minutes=10)

    def prepare(self, effect: Effect) -> None:
        test = _tested(effect)
        if test.status != BuildStatus.TRIGGERING or test.pipeline.disconnected_at:
            raise Unneeded

    def send(self, effect: Effect) -> dict[str, Any]:
        test = _tested(effect)
        return _as_result(ci_of(test).trigger(build_id=test.pk, parameters=test.parameters))

    def find(self, effect: Effect) -> dict[str, Any] | None:
        test = _tested(effect)
        state = ci_of(test).find(
            build_id=test.pk, parameters=test.parameters, since=test.created_at
        )
        return _as_result(state) if state else None

    def lock(self, effect: Effect) -> None:
        testing.lock_test(_test_id(effect))

    def finish(self, effect: Effect, result: dict[str, Any]) -> None:
        testing.hear_test(_test_id(effect), _as_news(result))
        self._let_its_stop_go(effect)

    def gave_up(self, effect: Effect) -> None:
        testing.test_failed(_test_id(effect), error=effect.last_error, hint=effect.last_error_hint)
        self._let_its_stop_go(effect)

    def _let_its_stop_go(self, effect: Effect) -> None:
        """Where it was cancelled meanwhile, its stop waited for this."""
        mine = Effect.objects.for_tenant(effect.tenant_id)
        wake(mine.filter(dedupe_key=f"test:{_test_id(effect)}:stop", last_error_code=""))

    def revive(self, effect: Effect) -> None:
        raise ValidationError({"state": [_("Start a new test build on its pipeline's page.")]})


class StopTest(EffectHandler):
    """Take a test build out of the queue, or stop it. Doing it twice does no harm."""

    send_again_when_uncertain = True

    def prepare(self, effect: Effect) -> None:
        test = _tested(effect)
        if test.pipeline.disconnected_at:
            raise Unneeded
        if test.queue_id is not None or test.number is not None:
            return
        mine = Effect.objects.for_tenant(effect.tenant_id)
        on_its_way = mine.filter(dedupe_key=f"test:{test.pk}:trigger").open().first()
        if on_its_way is not None:
            raise behind(on_its_way, clock.now())  # stop it when it arrived
        raise Unneeded  # it never reached the CI server

    def send(self, effect: Effect) -> dict[str, Any]:
        test = _tested(effect)
        ci_of(test).cancel(queue_id=test.queue_id, number=test.number)
        return {}

    def find(self, effect: Effect) -> dict[str, Any] | None:
        return None

    def finish(self, effect: Effect, result: dict[str, Any]) -> None:
        """The test build is CANCELLED already."""


def _test_id(effect: Effect) -> str:
    return str(effect.payload["testBuildId"])


def _tested(effect: Effect) -> TestBuild:
    tests = TestBuild.objects.for_tenant(effect.tenant_id).select_related("pipeline")
    found: TestBuild = tests.get(pk=_test_id(effect))
    return found


def _as_result(state: BuildState) -> dict[str, Any]:
    return {
        "status": state.status,
        "queueId": state.queue_id,
        "number": state.number,
        "url": state.url,
        "queueReason": state.queue_reason,
        "artifactUrl": state.artifact_url,
        "startedAt": state.started_at.isoformat() if state.started_at else None,
        "estimatedMs": state.estimated_ms,
        "isShared": state.is_shared,
    }


def _as_news(result: dict[str, Any]) -> News:
    started = result.get("startedAt")
    return News(
        status=BuildStatus(result["status"]),
        source=Source.TRIGGER,
        queue_id=result["queueId"],
        number=result["number"],
        url=result["url"],
        queue_reason=result["queueReason"],
        artifact_url=result["artifactUrl"],
        started_at=parse_datetime(started) if started else None,
        estimated_ms=result["estimatedMs"],
        detail=_("An equal build was queued already: Jenkins merged the two.")
        if result.get("isShared")
        else "",
    )
