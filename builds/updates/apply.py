"""Apply updates to builds: one path for trigger responses, polls and webhooks."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from builds.addresses import safe_artifact_url
from builds.announcing import announce
from builds.models import Build, BuildEvent, Source, TestBuild
from builds.polling.next_poll import next_poll
from builds.stopping import create_stop
from builds.updates.filling import fill
from builds.updates.transitions import Transition, transition
from builds.updates.update import BuildUpdate, counted
from delivr.effects import clock
from delivr.effects.models import Effect, EffectState
from delivr.monitoring import traces
from integrations.providers.ci import BuildStatus
from releases.models import MOVING, ReleasePipeline, ReleaseStatus
from releases.operations import lock_release, mirror_build, recompute

_LOOKED_UP = (Source.POLL, Source.WEBHOOK)  # their build was looked up before it was locked


def apply_update(build_id: str, update: BuildUpdate) -> Transition:
    """Lock the build, apply one update, record it as a BuildEvent, and return the transition."""
    with traces.span("build update", source=update.source):
        return _apply(build_id, update)


@transaction.atomic
def _apply(build_id: str, update: BuildUpdate) -> Transition:
    build = lock_build(build_id)
    if update.source in _LOOKED_UP and build.handle.is_another(update):
        return Transition.IGNORE  # a person took another one on meanwhile
    before, update = build.status, counted(build.pipeline, update)
    step = _step(build, update)
    had_name = build.handle.is_named
    filled = (step in _IDENTIFYING or update.is_authoritative) and fill(build, update)
    _note_claim(build, update, step)
    if step is Transition.APPLY:
        _set_status(build, update)
    elif step is Transition.ASK:
        build.poll_at = clock.now()
    event = _record(build, before, update, step) if _is_recorded(update, step, filled) else None
    if step is Transition.APPLY or (build.handle.is_named and not had_name):
        schedule_log(build)
    build.save()
    if filled or step is Transition.APPLY:
        mirror_if_newest(build)
    if step is Transition.APPLY and before == BuildStatus.TRIGGER_FAILED:
        _settle_trigger(build)
    if step is Transition.STOP and event is not None:
        create_stop(build, event)
    if event is not None:
        _tell(build, event, got_name=build.handle.is_named and not had_name)
    traces.note(before=before, status=build.status, step=step)
    return step


def _tell(build: Build, event: BuildEvent, *, got_name: bool) -> None:
    """Announce what changed. The start of a build that already runs could not be announced before
    it had a number or an id; a cancelled one gets it in the message that it has already."""
    if event.step == Transition.APPLY or (got_name and build.status == BuildStatus.RUNNING):
        announce(build, event)
        recompute(build.release_pipeline.release, cause=build.pk, event_id=event.pk)
    elif got_name and build.status == BuildStatus.CANCELLED:
        announce(build, event, quietly=True)


def _settle_trigger(build: Build) -> None:
    """A trigger that was given up did arrive: no person has to look at it any more."""
    triggers = Effect.objects.for_tenant(build.tenant_id).filter(
        dedupe_key=f"build:{build.pk}:trigger", state=EffectState.DEAD
    )
    triggers.update(
        state=EffectState.DONE,
        done_at=clock.now(),
        last_error="",
        last_error_code="",
        last_error_hint="",
    )


def _is_recorded(update: BuildUpdate, step: Transition, filled: bool) -> bool:
    """False for an update that adds nothing, and for repeated polls of a finished build."""
    if step is Transition.FILL:
        return filled
    return not (step is Transition.IGNORE and update.source == Source.POLL)


def _step(build: Build, update: BuildUpdate) -> Transition:
    """What to do about the update, as far as the CI server can be asked and told."""
    step = _step_of_table(build, update)
    if step is Transition.ASK and build.pipeline.silence is not None:
        may_move = update.status in MOVING and not update.is_hint
        return Transition.APPLY if may_move else Transition.IGNORE
    if step is Transition.STOP and not build.pipeline.can_cancel:
        return Transition.IGNORE
    return step


def _step_of_table(build: Build, update: BuildUpdate) -> Transition:
    """The transition of the table, with the exceptions that depend on more than the status."""
    if update.is_hint:
        return Transition.ASK
    step = transition(build.status, update.status, is_authoritative=update.is_authoritative)
    if step is Transition.APPLY and _is_unwanted(build, update.status):
        return Transition.STOP
    if step is Transition.APPLY and _is_superseded(build, update.status):
        return Transition.IGNORE
    if step is Transition.FILL and not build.is_moving and _is_doubtful(build, update):
        return Transition.ASK
    return step


def _is_doubtful(build: Build, update: BuildUpdate) -> bool:
    """A number alone may now belong to another build. So if a webhook names only a number and adds
    an artifact to a finished build, the artifact is stored only after a poll has confirmed the
    build (`settle_polled`)."""
    adds = safe_artifact_url(update.artifact_url) not in ("", build.artifact_url)
    is_weak = not update.is_authoritative and update.is_number_only
    return adds and is_weak and build.is_confirmed


def _note_claim(build: Build, update: BuildUpdate, step: Transition) -> None:
    """Note an end that only a webhook reported, or that the CI server confirmed it."""
    if update.is_authoritative:
        if update.is_end:
            build.end_claimed_at, build.is_confirmed = None, True
    elif update.is_end and step in (Transition.APPLY, Transition.ASK):
        build.end_claimed_at = clock.now()
        build.is_confirmed = build.is_confirmed and step is Transition.ASK


# Transitions in which a webhook's number is stored. A build that is to be stopped needs one, too.
_IDENTIFYING = (Transition.APPLY, Transition.FILL, Transition.STOP)


def lock_build(build_id: str) -> Build:
    """Lock the release, the release pipeline and the build, always in this order."""
    known = Build.objects.select_related("release_pipeline").get(pk=build_id)
    release = lock_release(known.release_pipeline.release_id)
    pipeline = ReleasePipeline.objects.select_for_update(of=("self",)).get(
        pk=known.release_pipeline_id
    )
    pipeline.release = release
    build: Build = Build.objects.select_for_update(of=("self",)).get(pk=build_id)
    build.release_pipeline = pipeline
    return build


def is_newest(build: Build) -> bool:
    later = Build.objects.filter(
        release_pipeline=build.release_pipeline_id, attempt__gt=build.attempt
    )
    return not later.exists()


def mirror_if_newest(build: Build) -> None:
    """Copy the build to its release pipeline, unless there is a newer build."""
    if is_newest(build):
        mirror_build(build.release_pipeline, build=build)


def _is_unwanted(build: Build, status: str) -> bool:
    """A lost build reappears after its release was cancelled."""
    is_cancelled = build.release_pipeline.release.status == ReleaseStatus.CANCELLED
    return is_cancelled and status in MOVING


def _is_superseded(build: Build, status: str) -> bool:
    """A lost build reappears after a newer one was triggered."""
    return status in MOVING and not is_newest(build)


def _set_status(build: Build, update: BuildUpdate) -> None:
    now = clock.now()
    build.status, build.reported_status = update.status, update.reported
    build.polls = build.misses = 0
    build.missing_since = None
    if update.status == BuildStatus.RUNNING:
        build.started_at = build.started_at or now
    build.finished_at = None if build.is_moving else end_of(build, update, now)
    build.poll_at = next_poll(build)


_EXPLAINED_BY_LOG = (BuildStatus.FAILURE, BuildStatus.UNSTABLE, BuildStatus.ABORTED)


def schedule_log(build: Build | TestBuild) -> None:
    """Have the log read if it can explain the status; drop what was read for an earlier status."""
    ci: Any = build.pipeline.provider_class
    has_reason = build.status in _EXPLAINED_BY_LOG and build.handle.is_named
    build.log_at = clock.now() if has_reason and ci.has_log else None
    build.log_tries, build.log_excerpt = 0, ""
    build.log_error = "" if ci.has_log or not has_reason else _without_log(ci.label)


def _without_log(server: str) -> str:
    words = _("%(server)s does not pass logs on. Look at the build's own page.")
    return words % {"server": server}


def end_of(build: Build | TestBuild, update: BuildUpdate, now: datetime) -> datetime:
    """When it ended: by the CI server's duration if known, and never in the future."""
    if build.started_at is None or not update.duration_ms:
        return now
    return min(now, build.started_at + timedelta(milliseconds=update.duration_ms))


def _record(build: Build, before: str, update: BuildUpdate, step: Transition) -> BuildEvent:
    return BuildEvent.objects.create(
        tenant_id=build.tenant_id,
        build=build,
        source=update.source,
        from_status=before,
        to_status=update.status,
        applied=step in (Transition.APPLY, Transition.FILL),
        step=step,
        detail=(update.detail or update.queue_reason)[:300],
        delivery=update.delivery,
    )


@transaction.atomic
def undo_unconfirmed_end(build_id: str, *, reason: str) -> None:
    """The CI server has another build under our number: undo an end that only a webhook reported.

    A status that was read from the CI server itself is kept.
    """
    build = lock_build(build_id)
    if build.is_confirmed or build.is_moving:
        return
    update = BuildUpdate(status=BuildStatus.LOST, source=Source.POLL, detail=reason)
    before, build.artifact_url, build.artifacts = build.status, "", []
    build.artifact_reported, build.is_confirmed, build.end_claimed_at = False, True, None
    _set_status(build, update)
    schedule_log(build)
    build.save()
    event = _record(build, before, update, Transition.APPLY)
    mirror_if_newest(build)
    announce(build, event)
    recompute(build.release_pipeline.release, cause=build.pk, event_id=event.pk)


@transaction.atomic
def trigger_failed(build_id: str, *, message: str) -> None:
    """The trigger gave up: set TRIGGER_FAILED with the reason; it can be triggered again."""
    build = lock_build(build_id)
    if build.status != BuildStatus.TRIGGERING:
        return
    build.status, build.finished_at = BuildStatus.TRIGGER_FAILED, clock.now()
    build.poll_at = None
    build.save()
    update = BuildUpdate(status=BuildStatus.TRIGGER_FAILED, source=Source.TRIGGER, detail=message)
    event = _record(build, BuildStatus.TRIGGERING, update, Transition.APPLY)
    mirror_build(build.release_pipeline, build=build)
    announce(build, event)
    recompute(build.release_pipeline.release, cause=build.pk, event_id=event.pk)


def revive_build(build: Build) -> None:
    """Set the build back to TRIGGERING, because a person retries its trigger. The caller holds the
    locks of `lock_build`."""
    update = BuildUpdate(status=BuildStatus.TRIGGERING, source=Source.PERSON)
    event = _record(build, build.status, update, Transition.APPLY)
    build.status, build.finished_at = BuildStatus.TRIGGERING, None
    build.save()
    mirror_build(build.release_pipeline, build=build)
    announce(build, event)
    recompute(build.release_pipeline.release, cause=build.pk)
