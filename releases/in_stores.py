"""Which stores a change of a release's status is about: not all of its targets need go to their
stores on the same day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from delivr.audit.models import AuditEvent
from integrations.providers.registry import provider_class
from integrations.providers.stores import HAS_USERS, SubmissionState
from releases.models import Release, ReleaseStatus

RELEASED_IN, FOLLOWED_IN = "released_in", "followed_in"  # in the audit log


@dataclass(frozen=True)
class Stores:
    """`released`: all users can get it there since now. `public`: all such stores. `followed`: it
    was submitted there after all users could get it elsewhere."""

    public: tuple[str, ...] = ()
    released: tuple[str, ...] = ()
    followed: tuple[str, ...] = ()
    is_first: bool = True  # it was not released anywhere before

    @property
    def changes(self) -> dict[str, Any]:
        """For the audit log."""
        found = {RELEASED_IN: ", ".join(self.public), FOLLOWED_IN: ", ".join(self.followed)}
        return {name: [None, words] for name, words in found.items() if words}

    @property
    def words(self) -> dict[str, str]:
        """For a message; empty if it is about the whole release."""
        names = self.followed or (() if self.is_first else self.released)
        return {"stores": ", ".join(names)} if names else {}


def stores_of(release: Release, before: str) -> Stores:
    """After its status became another one of those in stores. The caller holds its lock."""
    rows = release.submissions.filter(is_current=True, submitted_at__isnull=False)
    states: dict[str, set[SubmissionState]] = {}
    for row in rows.exclude(state=SubmissionState.WITHDRAWN).select_related("target"):
        label = provider_class(("targets", row.target.kind)).label
        states.setdefault(label, set()).add(SubmissionState(row.state))
    if release.status == ReleaseStatus.RELEASED:
        public = tuple(sorted(states))
        earlier = _released_in(release)
        new = tuple(name for name in public if name not in earlier) or public
        return Stores(public=public, released=new, is_first=not earlier)
    if before == ReleaseStatus.RELEASED:
        followed = (name for name, found in states.items() if found - HAS_USERS)
        return Stores(followed=tuple(sorted(followed)))
    return Stores()


def _released_in(release: Release) -> list[str]:
    """The stores in which it was released when it last was."""
    rows = AuditEvent.objects.for_tenant(release.tenant_id).filter(
        subject_id=release.pk, action="release.status", changes__has_key=RELEASED_IN
    )
    last = rows.order_by("-pk").first()
    return str(last.changes[RELEASED_IN][1]).split(", ") if last else []
