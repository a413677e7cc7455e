"""Adopting: a person names the build that a trigger led to, instead of triggering again."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from builds.addresses import safe_build_url
from builds.effects import ci_of, connected_build
from builds.models import Build, Source
from builds.polling.next_poll import FAILED
from builds.updates.apply import (
    BuildUpdate,
    apply_update,
    counted_status,
    is_newest,
    lock_build,
)
from builds.updates.identity import why_not_adopted, why_not_found
from builds.webhooks.deliveries import apply_unmatched
from delivr.audit.operations import record
from delivr.effects import clock
from delivr.effects.models import Effect, EffectState
from delivr.failures import Conflict, ProviderError
from delivr.tenants.models import User
from integrations.providers.ci import BuildHandle, BuildState, BuildStatus, Retry
from releases.models import ReleaseStatus


def adopt_build(*, effect: Effect, number: int, actor: User | None) -> Effect:
    """Settle a trigger that gave up, or whose build is lost or failed, with the build of this
    number. A failed build can only be replaced by a successful retry of it.

    Reads the build from the CI server first (network). Raises Conflict("not_dead") if there is
    nothing to adopt, and ValidationError({"buildNumber"}) if the number is unknown, belongs to
    another build, or is not a retry.
    """
    if effect.kind != "build.trigger" or not _may_adopt(effect, connected_build(effect)):
        words = _("Only a build that could not be triggered, failed or is lost can be adopted.")
        raise Conflict("not_dead", words)
    state = _ask(effect, number)
    return _adopt(effect, state, actor)


def as_row(retry: Retry, build: Build) -> dict[str, Any]:
    """A retry as `Build.retries` stores it."""
    return {
        "number": retry.state.number,
        "url": safe_build_url(retry.state.url, build.pipeline.home),
        "startedBy": retry.started_by,
        "commit": retry.commit,
    }


def _may_adopt(effect: Effect, build: Build) -> bool:
    is_dead = effect.state == EffectState.DEAD and build.status == BuildStatus.TRIGGER_FAILED
    return is_dead or build.status == BuildStatus.LOST or build.status in FAILED


def _ask(effect: Effect, number: int) -> BuildState:
    build = connected_build(effect)
    try:
        state: BuildState | None = ci_of(build).read(BuildHandle(number=number), build_id=build.pk)
    except ProviderError as error:
        words = " ".join(filter(None, [error.message, error.hint]))
        raise ValidationError({"buildNumber": [words]}) from None
    if state is None or state.number != number:
        raise ValidationError(
            {"buildNumber": [_("The job has no build #%(number)d.") % {"number": number}]}
        )
    if reason := why_not_adopted(build, state):
        raise ValidationError({"buildNumber": [reason]})
    if build.status in FAILED and not _is_good_retry(build, state):
        words = _("#%(number)d is not a successful retry of %(build)s.")
        raise ValidationError({"buildNumber": [words % {"number": number, "build": build}]})
    return state


def _is_good_retry(build: Build, state: BuildState) -> bool:
    is_offered = any(row["number"] == state.number for row in build.retries)
    is_other = (state.number, state.external_id) != (build.number, build.external_id)
    is_retry = state.carried_id == build.pk and is_other
    is_good = counted_status(build.pipeline, state.status) == BuildStatus.SUCCESS
    return is_good and (is_offered or is_retry)


@transaction.atomic
def _adopt(effect: Effect, state: BuildState, actor: User | None) -> Effect:
    build = lock_build(effect.build_id)
    effect = Effect.objects.select_for_update().get(pk=effect.pk)
    # A lost build may have turned out to be a failed one since the state was read.
    is_retry = build.status not in FAILED or _is_good_retry(build, state)
    if not (_may_adopt(effect, build) and is_newest(build) and is_retry):
        raise Conflict("not_dead", _("This build changed in the meantime. Reload the page."))
    if build.release_pipeline.release.status == ReleaseStatus.CANCELLED:
        raise Conflict("release_cancelled", _("This release was cancelled."))
    _refuse_taken_number(build, state)
    if build.status in FAILED:
        build = _next_attempt(build, actor)
    else:
        _clear_identity(build, state)
    apply_update(build.pk, BuildUpdate.from_state(state, Source.PERSON))
    apply_unmatched(build_id=build.pk)
    before, effect.state, effect.done_at = effect.state, EffectState.DONE, clock.now()
    effect.result = {"adopted": True, "number": state.number, "url": state.url}
    effect.save()
    changes = {"state": [before, effect.state], "number": [None, state.number]}
    record(actor=actor, action="effect.adopted", subject=effect, changes=changes)
    return effect


def _next_attempt(failed: Build, actor: User | None) -> Build:
    """A retry becomes an attempt of its own; the failed one is kept unchanged."""
    build: Build = Build.objects.create(
        tenant_id=failed.tenant_id,
        release_pipeline=failed.release_pipeline,
        attempt=failed.attempt + 1,
        candidate=failed.candidate,
        parameters=failed.parameters,
        status=BuildStatus.QUEUED,
        started_by=actor,
    )
    return build


def _clear_identity(build: Build, state: BuildState) -> None:
    """If the adopted build is another one, drop the number, queue id and times of the lost one."""
    if why_not_found(build, state):
        build.number = build.queue_id = build.started_at = build.server_started_at = None
        build.external_id, build.url, build.estimated_ms = "", "", None
        build.save()


def _refuse_taken_number(build: Build, state: BuildState) -> None:
    taken = (
        Build.objects.for_tenant(build.tenant_id)
        .of_pipeline(build.release_pipeline.pipeline_id)
        .filter(
            number=state.number,
            external_id=state.external_id,
            release_pipeline__job_path=build.release_pipeline.job_path,
        )
        .exclude(pk=build.pk)
        .select_related("release_pipeline__release")
        .first()
    )
    if taken is not None:
        words = {"number": state.number, "version": taken.release_pipeline.release.version}
        raise ValidationError(
            {"buildNumber": [_("Build #%(number)d belongs to release %(version)s.") % words]}
        )
