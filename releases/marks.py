"""What people say of a release that is ready: that it was submitted, and that it is released."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import OuterRef
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from delivr.audit.models import AuditEvent
from delivr.audit.operations import record
from delivr.effects import clock
from delivr.effects.models import Effect, EffectState
from delivr.effects.operations import cancel_effect
from delivr.failures import Conflict
from delivr.json_rows import JsonRows, read_rows
from delivr.tenants.models import User
from releases.in_stores import FOLLOWED_IN, RELEASED_IN
from releases.messages.notices import Notice, notify, refresh
from releases.messages.standing import candidates_of
from releases.models import IN_STORES, Mark, Release, ReleaseStatus
from releases.tickets.acts import follow
from releases.tickets.texts import OF_MARK

MARKED = [f"{mark}_{part}" for mark in Mark.values for part in ("at", "by")]
# What the channels are told when a mark is set, and when it is removed.
_NOTICES = {
    Mark.SUBMITTED: (Notice.RELEASE_SUBMITTED, Notice.RELEASE_NOT_SUBMITTED),
    Mark.RELEASED: (Notice.RELEASE_RELEASED, Notice.RELEASE_NOT_RELEASED),
}
MUTED = "muted"  # what is recorded beside the marks: that the release is muted
_SET = ("release.marked", "release.muted")
_REMOVED = ("release.unmarked", "release.unmuted")
_RECORD = (*_SET, *_REMOVED, "release.status", "release.cancelled")


@transaction.atomic
def set_mark(*, release: Release, mark: Mark, actor: User | None) -> Release:
    """Mark a release, and tell the channels. A mark that is there already stays as it is.

    Raises Conflict: `not_ready` until all of its builds are complete, `in_stores` once delivr
    submitted it, `already_released` for `submitted` on a released one.
    """
    release = _locked(release)
    _refuse_in_stores(release)
    if getattr(release, f"{mark}_at") is not None:
        return release
    if release.status != ReleaseStatus.BUILD_COMPLETE:
        raise Conflict("not_ready", _("This release is not ready for submission."))
    refuse_released(release)
    now = clock.now()
    _write(release, mark, at=now, by=actor)
    record(
        tenant=release.tenant,
        actor=actor,
        action="release.marked",
        subject=release,
        changes={f"{mark}_at": [None, now.isoformat()]},
    )
    words = candidates_of(release)
    notify(release, _NOTICES[mark][0], cause=now.isoformat(), words=words)
    follow(release, OF_MARK[mark][0], cause=now.isoformat())
    refresh(release)
    return release


@transaction.atomic
def remove_mark(*, release: Release, mark: Mark, actor: User | None) -> Release:
    """Remove a mark, and tell the channels that were told about it. Does nothing without a mark.

    Raises Conflict: `already_released` for `submitted` on a released one, `in_stores` once delivr
    submitted it.
    """
    release = _locked(release)
    _refuse_in_stores(release)
    before = getattr(release, f"{mark}_at")
    if before is None:
        return release
    if mark == Mark.SUBMITTED:
        refuse_released(release)
    _write(release, mark, at=None, by=None)
    record(
        tenant=release.tenant,
        actor=actor,
        action="release.unmarked",
        subject=release,
        changes={f"{mark}_at": [before.isoformat(), None]},
    )
    places = [place for place, told in _told(release, mark) if not _withdraw(told, actor)]
    words = candidates_of(release)
    cause = before.isoformat()
    notify(release, _NOTICES[mark][1], cause=cause, words=words, places=places)
    follow(release, OF_MARK[mark][1], cause=cause)
    refresh(release)
    return release


def _told(release: Release, mark: Mark) -> Iterator[tuple[tuple[str, str], Effect]]:
    """The places (connection, channel) whose last message about the mark is that it was set, each
    with that message."""
    is_set, is_removed = _NOTICES[mark]
    messages = Effect.objects.for_tenant(release.tenant_id).filter(
        release_id=release.pk,
        kind="message.post",
        payload__notice__in=(is_set, is_removed),
    )
    last = {
        (effect.integration_id, effect.payload["channel"]): effect
        for effect in messages.order_by("created_at", "pk")
    }
    for place, effect in last.items():
        if effect.payload["notice"] == is_set and effect.state != EffectState.CANCELLED:
            yield place, effect


def _withdraw(message: Effect, actor: User | None) -> bool:
    """Cancel a message that is not there yet. False if it was sent, or may have been."""
    if not message.may_cancel:
        return False
    try:
        cancel_effect(effect=message, actor=actor)
    except ValidationError:  # it is being sent right now
        return False
    return message.dispatched_at is None


@dataclass(frozen=True)
class MarkChange:
    """A mark, or `MUTED`, that was set, removed by hand, or dropped because the release was no
    longer ready."""

    mark: str
    at: datetime
    is_set: bool
    is_removed: bool
    by_stores: bool  # its submissions said so
    stores: str  # the ones that it is about; "" if that is not known
    by: str  # the person's name; "" if the account is gone or nobody did it


def mark_changes(release: Release) -> list[MarkChange]:
    """All of them, oldest first, as the audit log has them. One query."""
    actor = User.objects.filter(pk=OuterRef("actor_id"))
    rows = (
        AuditEvent.objects.for_tenant(release.tenant_id)
        .filter(subject_id=release.pk, action__in=_RECORD)
        .annotate(actor_rows=JsonRows(actor, "name", "email"))
    )
    found = [
        (row, mark)
        for row in rows.order_by("pk")
        for mark in (*Mark.values, MUTED)
        if f"{mark}_at" in row.changes
    ]
    return [
        MarkChange(
            mark=mark,
            at=parse_datetime(row.changes[f"{mark}_at"][1] or "") or row.at,
            is_set=row.changes[f"{mark}_at"][1] is not None,
            by_stores=row.action == "release.status" and row.changes["status"][1] in IN_STORES,
            stores=_stores_in(row, mark),
            is_removed=row.action in _REMOVED,
            by="".join(actor.called for actor in read_rows(User, row.actor_rows)),
        )
        for row, mark in found
    ]


def _stores_in(row: AuditEvent, mark: str) -> str:
    """Those where it was released, or which followed when it was."""
    if mark != Mark.RELEASED:
        return ""
    pair = row.changes.get(RELEASED_IN) or row.changes.get(FOLLOWED_IN) or [None, ""]
    return str(pair[1])


def _refuse_in_stores(release: Release) -> None:
    if release.status in IN_STORES:
        raise Conflict("in_stores", _("delivr follows this release in the stores by itself."))


def follow_stores(release: Release) -> dict[str, Any]:
    """Date the marks by what its submissions say; returns the changes for the audit log. The caller
    saves `MARKED`."""
    now, changes = clock.now(), {}
    is_released = release.status == ReleaseStatus.RELEASED
    for mark, is_due in ((Mark.SUBMITTED, True), (Mark.RELEASED, is_released)):
        before = getattr(release, f"{mark}_at")
        if is_due == (before is not None):
            continue
        setattr(release, f"{mark}_at", now if is_due else None)
        setattr(release, f"{mark}_by", None)
        changes[f"{mark}_at"] = [before and before.isoformat(), now.isoformat() if is_due else None]
    return changes


def refuse_released(release: Release) -> None:
    """Raises Conflict("already_released")."""
    if release.released_at is not None:
        raise Conflict(
            "already_released",
            _("This release is marked as released. Undo that first."),
        )


def clear_marks(release: Release) -> dict[str, Any]:
    """Drop all marks of a release that is not ready any more; returns them for the audit log. The
    caller saves `MARKED`."""
    changes = {}
    for mark in Mark.values:
        if (before := getattr(release, f"{mark}_at")) is not None:
            changes[f"{mark}_at"] = [before.isoformat(), None]
            setattr(release, f"{mark}_at", None)
            setattr(release, f"{mark}_by", None)
    return changes


def _locked(release: Release) -> Release:
    rows = Release.objects.select_for_update(of=("self",))
    locked: Release = rows.get(pk=release.pk)
    return locked


def _write(release: Release, mark: Mark, *, at: Any, by: User | None) -> None:
    setattr(release, f"{mark}_at", at)
    setattr(release, f"{mark}_by", by)
    release.save(update_fields=[f"{mark}_at", f"{mark}_by", "updated_at"])
