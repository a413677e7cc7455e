"""Cancel a build or a whole release: immediately in our database, through an effect on the CI
server."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from builds.announcing import announce
from builds.effects import ci_of, connected_build
from builds.models import Build, BuildEvent, Source, TestBuild
from builds.polling.next_poll import next_poll
from builds.stopping import create_stop
from builds.updates.apply import lock_build
from delivr.audit.operations import record
from delivr.effects import clock
from delivr.effects.handlers import EffectHandler, Unneeded, wait_for
from delivr.effects.models import Effect, EffectState
from delivr.effects.operations import create_effect
from delivr.failures import Conflict
from delivr.tenants.models import User
from integrations.providers.ci import BuildStatus
from releases.holding import free_version
from releases.marks import MARKED, clear_marks, refuse_released
from releases.messages.notices import Notice, notify, refresh
from releases.models import Release, ReleaseStatus
from releases.operations import lock_release, mirror_build, recompute
from releases.tickets.acts import follow
from releases.tickets.texts import Milestone


@transaction.atomic
def cancel_build(*, build: Build, actor: User | None) -> Build:
    """Mark a build CANCELLED now, and have the CI server stop it after the commit.

    Raises Conflict("not_moving") if the build is no longer in progress.
    """
    build = lock_build(build.pk)
    if not build.is_moving:
        raise Conflict("not_moving", _("This build has already finished."))
    _cancel(build, actor)
    recompute(build.release_pipeline.release, cause=build.pk)
    return build


@transaction.atomic
def cancel_release(*, release: Release, actor: User | None) -> Release:
    """Cancel a release and all of its builds that are in progress.

    Raises Conflict: `release_cancelled` if it already is cancelled, `already_released`, or
    `in_stores` while a store has it.
    """
    release = lock_release(release.pk)
    if release.status == ReleaseStatus.CANCELLED:
        raise Conflict("release_cancelled", _("This release was cancelled."))
    refuse_released(release)
    _refuse_in_stores(release)
    moving = Build.objects.moving().filter(release_pipeline__release=release)
    for build_id in moving.order_by("release_pipeline_id").values_list("pk", flat=True):
        _cancel(lock_build(build_id), actor, with_release=True)
    before, release.status = release.status, ReleaseStatus.CANCELLED
    unmarked = clear_marks(release)
    release.save(update_fields=["status", "updated_at", *MARKED])
    free_version(release)
    changes = {"status": [before, release.status], **unmarked}
    record(actor=actor, action="release.cancelled", subject=release, changes=changes)
    notify(release, Notice.RELEASE_CANCELLED)
    follow(release, Milestone.CANCELLED)
    refresh(release)
    return release


def _refuse_in_stores(release: Release) -> None:
    current = release.submissions.filter(is_current=True, ended_at=None)
    if current.exclude(submitted_at=None).exists():
        words = _("This release is in the stores. Withdraw it there first.")
        raise Conflict("in_stores", words)


def _cancel(build: Build, actor: User | None, *, with_release: bool = False) -> None:
    before, build.status = build.status, BuildStatus.CANCELLED
    build.finished_at, build.poll_at = clock.now(), None
    build.save()
    event = BuildEvent.objects.create(
        tenant_id=build.tenant_id,
        build=build,
        source=Source.PERSON,
        from_status=before,
        to_status=build.status,
        applied=True,
    )
    mirror_build(build.release_pipeline, build=build)
    changes = {"status": [before, build.status]}
    record(actor=actor, action="build.cancelled", subject=build, changes=changes)
    create_stop(build, event)
    if build.release_pipeline.release.status != ReleaseStatus.CANCELLED:
        announce(build, event, quietly=with_release)  # the release's message says it for all


class Stop(EffectHandler):
    """Remove a build from the queue, or stop it. Idempotent."""

    is_awaited = True
    send_again_when_uncertain = True

    @abstractmethod
    def build_of(self, effect: Effect) -> Build | TestBuild: ...

    @abstractmethod
    def trigger_key(self, effect: Effect) -> str:
        """The `dedupe_key` of the effect that triggers the build."""

    def prepare(self, effect: Effect) -> None:
        """Read the trigger before the build: if it settles in between, the build already has the
        number or queue id from its response."""
        mine = Effect.objects.for_tenant(effect.tenant_id)
        trigger = mine.filter(dedupe_key=self.trigger_key(effect)).first()
        build = self.build_of(effect)
        ci: Any = build.pipeline.provider_class
        if not ci.can_cancel:
            raise Unneeded
        if build.handle.is_known:
            return
        if trigger is not None and trigger.is_open:
            raise wait_for(trigger, clock.now())  # stop it when it arrived
        if trigger is None or trigger.state != EffectState.DONE:
            raise Unneeded  # the trigger never reached the CI server

    def send(self, effect: Effect) -> dict[str, Any]:
        """A triggered build without a handle is searched for by our id."""
        build = self.build_of(effect)
        ci, handle = ci_of(build), build.handle
        if not handle.is_known:
            handle = ci.read(handle, build_id=build.pk, since=build.created_at)
        if handle is not None:
            ci.cancel(handle)
        return {}

    def find(self, effect: Effect) -> dict[str, Any] | None:
        return None

    def finish(self, effect: Effect, result: dict[str, Any]) -> None:
        """Nothing to do: the build is already CANCELLED."""


class CancelBuild(Stop):
    def build_of(self, effect: Effect) -> Build:
        return connected_build(effect)

    def trigger_key(self, effect: Effect) -> str:
        return f"build:{effect.build_id}:trigger"

    def lock(self, effect: Effect) -> None:
        lock_build(effect.build_id)

    def finish(self, effect: Effect, result: dict[str, Any]) -> None:
        """Check later whether it really ended, if something can be done about it."""
        build = connected_build(effect)
        Build.objects.filter(pk=build.pk).update(poll_at=next_poll(build))


class ForceCancel(CancelBuild):
    def send(self, effect: Effect) -> dict[str, Any]:
        build = self.build_of(effect)
        ci_of(build).force_cancel(build.handle)
        return {}


@transaction.atomic
def force_cancel(*, build: Build, actor: User | None) -> Build:
    """Have the CI server end a build without running its remaining steps, because it is still
    running long after it was cancelled.

    Raises Conflict("not_running_on") unless the CI server was seen still running it.
    """
    build = lock_build(build.pk)
    if build.status != BuildStatus.CANCELLED or build.still_running_at is None:
        raise Conflict("not_running_on", _("This build is not running on the CI server."))
    create_effect(
        tenant=build.tenant,
        kind="build.force_cancel",
        integration_id=build.release_pipeline.pipeline_id,
        release_id=build.release_pipeline.release_id,
        build_id=build.pk,
        dedupe_key=f"build:{build.pk}:force:{build.still_running_at.timestamp()}",
    )
    record(
        tenant=build.tenant,
        actor=actor,
        action="build.force_cancelled",
        subject=build,
        changes={"still_running_at": [str(build.still_running_at), None]},
    )
    build.still_running_at = None
    build.save(update_fields=["still_running_at"])
    return build
