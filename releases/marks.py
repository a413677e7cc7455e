"""What people say of a release that is ready: that it was submitted, and that it is released."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from delivr.audit.operations import record
from delivr.effects import clock
from delivr.failures import Conflict
from delivr.tenants.models import User
from releases.models import Mark, Release, ReleaseStatus
from releases.notices import Notice, notify

MARKED = [f"{mark}_{part}" for mark in Mark.values for part in ("at", "by")]
_NOTICES = {Mark.SUBMITTED: Notice.RELEASE_SUBMITTED, Mark.RELEASED: Notice.RELEASE_RELEASED}


@transaction.atomic
def set_mark(*, release: Release, mark: Mark, actor: User | None) -> Release:
    """Mark a release, and tell the channels. A mark that is there already stays as it is.

    Raises Conflict: `not_ready` until all of its builds are complete, `already_released` for
    `submitted` on a released one.
    """
    release = _locked(release)
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
    ready_at = release.completed_at
    words = {"candidates": candidates} if (candidates := release.candidates) else {}
    # Marking it once more, after a mark was taken back, tells nothing new.
    cause = ready_at.isoformat() if ready_at else ""
    notify(release, _NOTICES[mark], cause=cause, words=words)
    return release


@transaction.atomic
def remove_mark(*, release: Release, mark: Mark, actor: User | None) -> Release:
    """Take a mark back; nothing happens where there is none.

    Raises Conflict("already_released") for `submitted` on a released one.
    """
    release = _locked(release)
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
    return release


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
    rows = Release.objects.select_for_update(of=("self",)).select_related("communication")
    locked: Release = rows.get(pk=release.pk)
    return locked


def _write(release: Release, mark: Mark, *, at: Any, by: User | None) -> None:
    setattr(release, f"{mark}_at", at)
    setattr(release, f"{mark}_by", by)
    release.save(update_fields=[f"{mark}_at", f"{mark}_by", "updated_at"])
