"""Adopting: a person names the build that counts for a release, instead of triggering one."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from builds.effects import connected_build
from builds.models import Build, Source
from builds.offers.finding import (
    ci_of_part,
    handle_of,
    is_meant,
    parts,
    taken_builds,
    taken_tests,
)
from builds.offers.looking import look_soon_after_commit
from builds.polling.next_poll import FAILED
from builds.updates.apply import apply_update
from builds.updates.identity import why_not_adopted, why_not_found
from builds.updates.update import BuildUpdate, counted_status
from builds.webhooks.deliveries import apply_orphans
from delivr.audit.operations import record
from delivr.effects import clock
from delivr.effects.models import Effect, EffectState
from delivr.failures import Conflict, ProviderError
from delivr.tenants.models import User
from integrations.models import PipelineIntegration
from integrations.providers.ci import BuildHandle, BuildState, BuildStatus
from releases.marks import refuse_released
from releases.models import MOVING, Release, ReleasePipeline, ReleaseStatus
from releases.operations import lock_release


def adopt_build(*, effect: Effect, number: int, actor: User | None) -> Effect:
    """Settle a trigger that gave up, or whose build is lost or failed, with the build of this
    number.

    Reads the build from the CI server first (network). Raises Conflict("not_dead") if there is
    nothing to adopt, and ValidationError({"buildNumber"}) if the number is unknown, belongs to
    another build, or is not for this release.
    """
    if effect.kind != "build.trigger" or not _may_adopt(effect, connected_build(effect)):
        words = _("Only a build that could not be triggered, failed or is lost can be adopted.")
        raise Conflict("not_dead", words)
    part = parts().get(builds=effect.build_id)
    _refuse(part)
    state = _read(part, BuildHandle(number=number), field="buildNumber")
    if state.number != number:
        raise ValidationError({"buildNumber": [_no_such(number)]})
    _adopt(part, state, actor, instead_of=effect.build_id)
    effect.refresh_from_db()
    return effect


def adopt_offer(*, release: Release, pipeline_id: str, offer_id: str, actor: User | None) -> Build:
    """Adopt a build that is offered for a pipeline of the release (`ReleasePipeline.offers`).

    Reads it from the CI server first (network). Raises Conflict with code `build_in_progress`,
    `already_built`, `already_released`, `release_cancelled` or `not_dead`, and ValidationError
    ({"pipeline_id"} or {"offer_id"}).
    """
    part = parts().filter(release=release, pipeline=pipeline_id).first()
    if part is None:
        raise ValidationError({"pipeline_id": [_("This release has no such pipeline.")]})
    _refuse(part)
    row = next((row for row in part.offers if row["id"] == offer_id), None)
    if row is None:
        words = _("This build is not offered any more. Reload the page.")
        raise ValidationError({"offer_id": [words]})
    newest = part.builds.order_by("-attempt").first()
    state = _read(part, handle_of(row), field="offer_id")
    return _adopt(part, state, actor, instead_of=newest and newest.pk)


def _may_adopt(effect: Effect, build: Build) -> bool:
    is_dead = effect.state == EffectState.DEAD and build.status == BuildStatus.TRIGGER_FAILED
    return is_dead or build.status == BuildStatus.LOST or build.status in FAILED


def _no_such(number: int | None) -> str:
    return _("The job has no build #%(number)d.") % {"number": number or 0}


def _read(part: ReleasePipeline, handle: BuildHandle, *, field: str) -> BuildState:
    """The build as it is now. Raises ValidationError if it is not for this part."""
    try:
        state: BuildState | None = ci_of_part(part).read(handle, build_id="")
    except ProviderError as error:
        words = " ".join(filter(None, [error.message, error.hint]))
        raise ValidationError({field: [words]}) from None
    if state is None:
        raise ValidationError({field: [_no_such(handle.number)]})
    ours = list(part.builds.order_by("-attempt"))
    if reason := _why_not(part, ours, state):
        raise ValidationError({field: [reason]})
    return state


def _why_not(part: ReleasePipeline, ours: list[Build], state: BuildState) -> str:
    """Why this build cannot be adopted, in words; "" if it can."""
    if reason := why_not_adopted(part, ours, state) or _why_taken(part, ours, state):
        return reason
    newest, words = next(iter(ours), None), {"number": state.number, "release": part.release}
    is_unknown = newest is not None and newest.status in _IN_DOUBT
    if is_unknown:  # ours, or any other that a person takes for it
        return ""
    status = counted_status(part.pipeline, state.status)
    if status not in MOVING and status != BuildStatus.SUCCESS:
        return _("#%(number)s did not succeed.") % words
    is_offered = any(not handle_of(row).is_another(state) for row in part.offers)
    if not is_offered and not is_meant(part, ours, state):
        return _("#%(number)s does not say that it was built for release %(release)s.") % words
    return ""


# What the CI server did is unknown, so a person may know better.
_IN_DOUBT = (BuildStatus.LOST, BuildStatus.TRIGGER_FAILED)


def _why_taken(part: ReleasePipeline, ours: list[Build], state: BuildState) -> str:
    same = {"number": state.number, "external_id": state.external_id}
    others = taken_builds(part).filter(**same)
    if ours and ours[0].status in _IN_DOUBT:
        others = others.exclude(pk=ours[0].pk)  # it was found again
    taken = others.select_related("release_pipeline__release").first()
    words = {"number": state.number, "release": taken and taken.release_pipeline.release}
    if taken is not None:
        return _("Build #%(number)s belongs to release %(release)s.") % words
    if taken_tests(part).filter(**same).exists():
        return _("Build #%(number)s is a test build.") % words
    return ""


def _changed() -> Conflict:
    return Conflict("not_dead", _("This build changed in the meantime. Reload the page."))


def _refuse(part: ReleasePipeline) -> None:
    """Raises Conflict if the release takes no build for this part."""
    if part.release.status == ReleaseStatus.CANCELLED:
        raise Conflict("release_cancelled", _("This release was cancelled."))
    refuse_released(part.release)
    if part.is_moving:
        words = _("A build that delivr triggered is in progress. Cancel it to adopt another one.")
        raise Conflict("build_in_progress", words)
    if part.may_build_again:
        raise Conflict("already_built", _("This is already built."))


@transaction.atomic
def _adopt(
    part: ReleasePipeline,
    state: BuildState,
    actor: User | None,
    *,
    instead_of: str | None,
) -> Build:
    """Record it under the locks; `instead_of` is the newest build that the caller saw."""
    release = lock_release(part.release_id)
    held, pipeline = _lock_pipeline(part), part.pipeline
    part = ReleasePipeline.objects.select_for_update(of=("self",)).get(pk=part.pk)
    part.release, part.pipeline = release, pipeline
    ours = list(part.builds.select_for_update(of=("self",)).order_by("-attempt"))
    newest = next(iter(ours), None)
    if (newest and newest.pk) != instead_of:
        raise _changed()
    _refuse(part)
    if _why_not(part, ours, state):  # by what has changed since it was read
        raise _changed()
    if newest is not None and newest.status in _IN_DOUBT:
        build = newest
        _clear_identity(build, state)
    else:
        build = _next_attempt(part, newest, state, actor)
    who = {"name": state.started_by, "server": part.pipeline.kind_label}
    detail = _("Started by %(name)s on %(server)s.") % who if state.started_by else ""
    apply_update(build.pk, BuildUpdate.from_state(state, Source.PERSON, detail=detail))
    apply_orphans(build_id=build.pk)
    _record(newest, build, state, actor)
    ReleasePipeline.objects.filter(pk=part.pk).update(offers=[], look_at=None)
    look_soon_after_commit(held)  # another release may offer it, too
    applied: Build = Build.objects.get(pk=build.pk)
    return applied


def _lock_pipeline(part: ReleasePipeline) -> PipelineIntegration:
    """Two releases may be given the same build at once, also by two pipelines of one job: the later
    one has to see that it is taken. Whoever holds these locks takes none of a release."""
    same = part.pipeline.on_same_server().values("pk")
    rows = PipelineIntegration.objects.filter(pk__in=same).select_for_update(no_key=True)
    held: PipelineIntegration = next(
        one for one in rows.order_by("pk") if one.pk == part.pipeline_id
    )
    return held


def _record(newest: Build | None, build: Build, state: BuildState, actor: User | None) -> None:
    """On the trigger that it replaces, if there is one."""
    trigger = (
        newest
        and Effect.objects.select_for_update()
        .filter(dedupe_key=f"build:{newest.pk}:trigger", tenant=newest.tenant_id)
        .first()
    )
    changes: dict[str, list[object]] = {"number": [None, state.number]}
    if not trigger:
        record(actor=actor, action="build.adopted", subject=build, changes=changes)
        return
    before, trigger.state, trigger.done_at = trigger.state, EffectState.DONE, clock.now()
    trigger.result = {"adopted": True, "number": state.number, "url": state.url}
    trigger.save()
    changes["state"] = [before, trigger.state]
    record(actor=actor, action="effect.adopted", subject=trigger, changes=changes)


def _next_attempt(
    part: ReleasePipeline, newest: Build | None, state: BuildState, actor: User | None
) -> Build:
    """An attempt of its own, with the id of delivr that it carries, if any; a build that failed is
    kept unchanged."""
    build = Build(
        tenant_id=part.tenant_id,
        release_pipeline=part,
        attempt=newest.attempt + 1 if newest else 1,
        candidate=newest.candidate if newest else 1,
        started_by=actor,
    )
    build.parameters = part.parameters_for(state.carried_id)
    build.save()
    return build


def _clear_identity(build: Build, state: BuildState) -> None:
    """If the adopted build is another one, drop the number, queue id and times of the lost one."""
    if why_not_found(build, state):
        build.number = build.queue_id = build.started_at = build.server_started_at = None
        build.external_id, build.url, build.estimated_ms = "", "", None
        build.save()
