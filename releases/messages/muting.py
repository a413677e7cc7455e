"""Mute a release: no messages about it while it is muted, and none of that time afterwards."""

from __future__ import annotations

from django.db import transaction

from delivr.audit.operations import record
from delivr.effects import clock
from delivr.effects.handlers import Unneeded
from delivr.effects.models import Effect, EffectState
from delivr.tenants.models import User
from releases.messages.in_place import EDIT, MUTED, POST
from releases.models import Release


@transaction.atomic
def mute(*, release: Release, actor: User | None) -> Release:
    """Cancels the messages that were not sent yet, and creates none until `unmute`. Does nothing to
    a muted release."""
    release = _locked(release)
    if release.muted_at is not None:
        return release
    now = clock.now()
    _write(release, at=now, by=actor)
    unsent = Effect.objects.for_tenant(release.tenant_id).filter(
        release_id=release.pk,
        kind__in=(POST, EDIT),
        state=EffectState.PENDING,
        dispatched_at=None,
    )
    cancelled = unsent.update(state=EffectState.CANCELLED, last_error=MUTED, done_at=now)
    changes: dict[str, list[object]] = {"muted_at": [None, now.isoformat()]}
    if cancelled:
        changes["cancelled_messages"] = [0, cancelled]
    record(actor=actor, action="release.muted", subject=release, changes=changes)
    return release


@transaction.atomic
def unmute(*, release: Release, actor: User | None) -> Release:
    """From now on, messages are sent again; what happened meanwhile is not told. A message that was
    cancelled before it was posted is posted at the next change of what it tells."""
    release = _locked(release)
    before = release.muted_at
    if before is None:
        return release
    _write(release, at=None, by=None)
    changes = {"muted_at": [before.isoformat(), None]}
    record(actor=actor, action="release.unmuted", subject=release, changes=changes)
    return release


def refuse_muted(release: Release) -> None:
    """For what was on its way when the release was muted. Raises Unneeded."""
    if release.muted_at is not None:
        raise Unneeded(MUTED)


def _locked(release: Release) -> Release:
    rows = Release.objects.select_for_update(of=("self",))
    locked: Release = rows.get(pk=release.pk)
    return locked


def _write(release: Release, *, at: object, by: User | None) -> None:
    release.muted_at, release.muted_by = at, by  # type: ignore[assignment]
    release.save(update_fields=["muted_at", "muted_by", "updated_at"])
