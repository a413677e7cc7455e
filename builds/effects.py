"""The effect that triggers a build: send it, find it after a lost response, record the result."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from builds.models import Build, Source, TestBuild
from builds.offers.looking import look_soon_after_commit
from builds.updates.apply import apply_update, is_newest, lock_build, revive_build, trigger_failed
from builds.updates.identity import why_not_found
from builds.updates.update import BuildUpdate
from builds.webhooks.deliveries import apply_unmatched
from delivr.effects import clock
from delivr.effects.handlers import EffectHandler, Postpone, Unneeded
from delivr.effects.models import Effect
from delivr.effects.operations import wake
from delivr.failures import Outcome, ProviderError
from integrations.providers.ci import BuildRequest, BuildState, BuildStatus
from integrations.providers.registry import provider_for
from integrations.providers.templates import needs_commit
from releases.branches import BranchHead, require_branch
from releases.models import ReleaseStatus
from releases.repository.acts import known_commit, wait_for_branch

LOOK_FOR_REPORT = timedelta(seconds=5)


class TriggerBuild(EffectHandler):
    """Triggers a build exactly once. It expires: a build that starts a day late is worse than
    none."""

    is_awaited = True

    def prepare(self, effect: Effect) -> None:
        build = connected_build(effect)
        if build.release_pipeline.release.status == ReleaseStatus.CANCELLED:
            raise Unneeded
        if build.status != BuildStatus.TRIGGERING:
            raise Unneeded
        release = build.release_pipeline.release
        wait_for_branch(release)
        head = require_branch(release.scm, build.parameters["BRANCH"], release=release)
        part = build.release_pipeline
        if needs_commit(part.parameters):
            tell_commit(build, part.parameters_for(build.pk, commit=commit_of(head)))

    def send(self, effect: Effect) -> dict[str, Any]:
        build = connected_build(effect)
        state = ci_of(build).trigger(request_of(build))
        return as_result(state)

    def find(self, effect: Effect) -> dict[str, Any] | None:
        """If a webhook came before the response, the build already has a number or queue id;
        otherwise search for it."""
        build = connected_build(effect)
        if build.pipeline.silence is not None:
            return as_result(reported(build, effect, settle=self.settle))
        ci, state = ci_of(build), None
        if build.handle.is_known:
            state = ci.read(build.handle, build_id=build.pk)
        if state is not None and why_not_found(build, state):
            state = None
        if state is None:
            state = search(build)
        return as_result(state) if state else None

    def check_absent(self, effect: Effect) -> None:
        check_absent(connected_build(effect))

    def lock(self, effect: Effect) -> None:
        lock_build(effect.build_id)

    def finish(self, effect: Effect, result: dict[str, Any]) -> None:
        apply_update(effect.build_id, as_update(result))
        apply_unmatched(build_id=effect.build_id)
        self._wake_stop(effect)

    def gave_up(self, effect: Effect) -> None:
        trigger_failed(effect.build_id, message=effect.last_error)
        if effect.last_error_code == "cannot_correlate":  # it may be among those that are there
            look_soon_after_commit(connected_build(effect).pipeline)
        self._wake_stop(effect)

    def _wake_stop(self, effect: Effect) -> None:
        """If the build was cancelled in the meantime, the effect that stops it waits for this."""
        mine = Effect.objects.for_tenant(effect.tenant_id).filter(kind="build.cancel")
        stops = mine.filter(release_id=effect.release_id, build_id=effect.build_id)
        wake(stops.filter(last_error_code=""))

    def revive(self, effect: Effect) -> None:
        build = lock_build(effect.build_id)
        if not is_newest(build) or build.status != BuildStatus.TRIGGER_FAILED:
            raise ValidationError({"state": [_("A newer build replaced it.")]})
        if build.release_pipeline.release.status == ReleaseStatus.CANCELLED:
            raise ValidationError({"state": [_("This release was cancelled.")]})
        revive_build(build)


def connected_build(effect: Effect) -> Build:
    """The build that an effect is about, with its release and pipeline."""
    found: Build = (
        Build.objects.for_tenant(effect.tenant_id)
        .select_related("release_pipeline__release__scm", "release_pipeline__pipeline")
        .get(pk=effect.build_id)
    )
    return found


def ci_of(build: Build | TestBuild) -> Any:
    """The provider of a build's CI server, with the job that the build was created for."""
    pipeline = build.pipeline
    pipeline.job = build.job_path
    return provider_for(pipeline)


def commit_of(head: BranchHead) -> str:
    """The commit for a parameter that asks for it. Raises ProviderError (NOT_YET) while it is
    unknown: an empty one would be built as if it were right."""
    if head.commit:
        return head.commit
    raise ProviderError(
        "commit_unknown",
        _("A parameter asks for the commit of %(branch)s, which is not known yet.")
        % {"branch": head.name},
        head.message,
        outcome=Outcome.NOT_YET,
    )


def tell_commit(build: Build | TestBuild, parameters: dict[str, str]) -> None:
    """Note what is about to be sent. The commit is looked up before each attempt."""
    type(build).objects.filter(pk=build.pk).update(parameters=parameters)


def request_of(build: Build | TestBuild) -> BuildRequest:
    """The build request for the CI server."""
    return BuildRequest(
        build_id=build.pk,
        version=build.parameters.get("VERSION", ""),
        branch=build.parameters.get("BRANCH", ""),
        platform=build.pipeline.platform,
        parameters=build.parameters,
        commit=known_commit(build.release_pipeline.release) if isinstance(build, Build) else "",
    )


def reported(build: Build | TestBuild, effect: Effect, *, settle: timedelta) -> BuildState:
    """What the reports of a server that cannot be asked say of a build whose trigger was lost.

    Waits for one (Postpone) as long as it may still be under way; then a person has to look, and
    ProviderError (`cannot_correlate`) says so.
    """
    if build.status not in (BuildStatus.TRIGGERING, BuildStatus.CANCELLED):
        return BuildState(status=BuildStatus(build.status))
    assert effect.dispatched_at is not None  # noqa: S101 # in doubt means dispatched
    if clock.now() < effect.dispatched_at + settle:
        raise Postpone(LOOK_FOR_REPORT)
    state = search(build)
    assert state is not None  # noqa: S101 # it cannot be certain that there is none
    return state


def search(build: Build | TestBuild) -> BuildState | None:
    """The build that a lost response may have started; None if it certainly does not exist. Raises
    ProviderError (`cannot_correlate`) if it cannot be told from another build.
    """
    ci = ci_of(build)
    state: BuildState | None = ci.find(request_of(build), since=build.created_at)
    if state is not None and state.carried_id != build.pk and _is_contested(build, state):
        raise ProviderError(
            "cannot_correlate",
            _("The build that was found may also be another delivr build."),
            _("Find the right one on %(server)s, then adopt it or retry.") % {"server": ci.label},
            outcome=Outcome.REFUSED,
        )
    return state


def check_absent(build: Build | TestBuild) -> None:
    """Raises ProviderError (`cannot_correlate`) if `search` may have missed what was started."""
    ci_of(build).check_absent(request_of(build), since=build.created_at)


def _is_contested(build: Build | TestBuild, state: BuildState) -> bool:
    """For a build that was found without our id: True if another build of ours on the same server
    has it, or was triggered for the same job and branch and has no id from the CI server yet."""
    pipelines = build.pipeline.on_same_server()
    for model, pipeline in ((Build, "release_pipeline__pipeline"), (TestBuild, "pipeline")):
        others = model.objects.for_tenant(build.tenant_id).exclude(pk=build.pk)
        others = others.filter(**{f"{pipeline}__in": pipelines})
        if others.filter(external_id=state.external_id).exclude(external_id="").exists():
            return True
        unknown = others.filter(status=BuildStatus.TRIGGERING, external_id="")
        branch = build.parameters.get("BRANCH", "")
        if any(
            other.job_path == build.job_path and other.parameters.get("BRANCH", "") == branch
            for other in unknown.select_related(*_PIPELINE_OF[model])[:100]
        ):
            return True
    return False


_PIPELINE_OF: dict[Any, tuple[str, ...]] = {Build: ("release_pipeline",), TestBuild: ()}


def as_result(state: BuildState) -> dict[str, Any]:
    return {
        "status": state.status,
        "externalId": state.external_id,
        "queueId": state.queue_id,
        "number": state.number,
        "url": state.url,
        "queueReason": state.queue_reason,
        "artifactUrl": state.artifact_url,
        "startedAt": state.started_at.isoformat() if state.started_at else None,
        "estimatedMs": state.estimated_ms,
        "isShared": state.is_shared,
    }


def as_update(result: dict[str, Any]) -> BuildUpdate:
    started = result.get("startedAt")
    return BuildUpdate(
        status=BuildStatus(result["status"]),
        source=Source.TRIGGER,
        external_id=result.get("externalId", ""),
        queue_id=result["queueId"],
        number=result["number"],
        url=result["url"],
        queue_reason=result["queueReason"],
        artifact_url=result["artifactUrl"],
        started_at=parse_datetime(started) if started else None,
        estimated_ms=result["estimatedMs"],
        detail=_("An identical build was already queued, so the CI server merged the two.")
        if result.get("isShared")
        else "",
    )
