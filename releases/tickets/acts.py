"""The effects in the ticket system: when they are created."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from delivr.effects import clock
from delivr.effects.models import Effect
from delivr.effects.operations import create_effect, create_effects
from delivr.effects.queue import enqueue_on_commit
from integrations.models import TargetIntegration
from integrations.providers.tickets import MOST_PLANNED
from releases.models import ChangeTicket, Release, ReleaseTarget
from releases.tickets.models import MoveAt, TicketPart
from releases.tickets.texts import Milestone, comment_of, milestone_of

CREATE_EPIC = "ticket.create_epic"
LINK, COMMENT, MOVE = "ticket.remote_link", "ticket.comment", "ticket.move"
VERSION, PLAN = "ticket.version", "ticket.fix_version"
RELEASE_VERSION = "ticket.release_version"
ON_EPIC = (LINK, COMMENT, MOVE)
IN_VERSION = (VERSION, PLAN, RELEASE_VERSION)
MOST_TICKETS = 1000  # of a release's changes


def ticket_part_of(release: Release) -> TicketPart | None:
    """The ticket system's part in a release that has one."""
    return getattr(release, "ticket_part", None) if release.ticket_id else None


def begin(release: Release, part: TicketPart, targets: Iterable[TargetIntegration]) -> None:
    """Create the effects for the epics and the version. In the transaction that creates the
    release."""
    rows = [_row(release, f"epic:{target.pk}", {"target": target.pk}) for target in targets]
    create_effects(tenant=release.tenant, kind=CREATE_EPIC, effects=rows)
    if part.makes_version:
        create_effect(
            tenant=release.tenant, kind=VERSION, **_row(release, "version", {"cause": "created"})
        )


def follow(release: Release, milestone: Milestone, *, cause: str = "") -> None:
    """The release has reached a milestone: create what follows it. The caller holds its lock.

    Epics that do not exist yet follow when they are created (`epic_created`).
    """
    ticket = release.ticket
    if ticket is None or ticket.disconnected_at is not None:
        return
    part = TicketPart.objects.filter(release=release).first()
    if part is None:
        return
    epics = [target for target in release.targets.all() if target.epic_key]
    _follow_at(release, part, epics, milestone, cause)
    if milestone == Milestone.RELEASED and part.makes_version:
        row = _row(release, f"release-version:{cause}", {"cause": cause})
        create_effect(tenant=release.tenant, kind=RELEASE_VERSION, **row)


def epic_created(release: Release, target: ReleaseTarget) -> None:
    """An epic exists now: it follows the milestone that the release has reached meanwhile."""
    part = TicketPart.objects.filter(release=release).first()
    if part is not None:
        _follow_at(release, part, [target], milestone_of(release), "epic")


def _follow_at(
    release: Release,
    part: TicketPart,
    epics: Iterable[ReleaseTarget],
    milestone: Milestone | None,
    cause: str,
) -> None:
    wanted: dict[str, dict[str, Any]] = {}
    if part.links_epics:
        wanted[LINK] = {}
    if part.comments_epics and milestone and (text := comment_of(release, milestone)):
        wanted[COMMENT] = {"text": text}
    if _is_moved_at(part, milestone):
        wanted[MOVE] = {"mark": part.moves_epics}
    for kind, payload in wanted.items():
        word = f"{kind.partition('.')[2]}:{milestone or 'created'}:{cause}"
        rows = [
            _row(release, f"{target.target_id}:{word}", {"target": target.target_id, **payload})
            for target in epics
        ]
        create_effects(tenant=release.tenant, kind=kind, effects=rows)


def _is_moved_at(part: TicketPart, milestone: Milestone | None) -> bool:
    """A release may be marked as released without ever having been marked as submitted."""
    at = {
        MoveAt.SUBMITTED: (Milestone.SUBMITTED, Milestone.RELEASED),
        MoveAt.RELEASED: (Milestone.RELEASED,),
    }
    return milestone in at.get(MoveAt(part.moves_epics), ())


# --- The tickets of the changes -------------------------------------------------------------------


def plan_tickets(release: Release) -> None:
    """Create the effects that add the version to the tickets that the release's changes name, and
    that none was created for yet. Within a transaction, which locks the ticket system's part."""
    rows = TicketPart.objects.select_for_update(of=("self",), no_key=True)
    part = rows.filter(release=release).first()
    if part is None or not part.version_id:  # known only behind the lock
        return
    named = ChangeTicket.objects.filter(change__release=release).order_by("key")
    keys = named.values_list("key", flat=True).distinct()[:MOST_TICKETS]
    mine = Effect.objects.for_tenant(release.tenant_id).filter(release_id=release.pk, kind=PLAN)
    payloads = mine.values_list("payload", flat=True)
    asked = {key for payload in payloads for key in payload["keys"]}
    new = [key for key in keys if key not in asked]
    batches = [new[n : n + MOST_PLANNED] for n in range(0, len(new), MOST_PLANNED)]
    create_effects(
        tenant=release.tenant,
        kind=PLAN,
        effects=[_row(release, f"plan:{batch[0]}", {"keys": batch}) for batch in batches],
    )


def look_soon(release_id: str, *, after: Any = None) -> None:
    """Have the version's tickets looked up, after the current transaction commits; `after` is a
    pause before."""
    parts = TicketPart.objects.filter(release_id=release_id).exclude(version_id="")
    due = clock.now() + after if after else clock.now()
    if parts.update(look_at=due) and not after:
        enqueue_on_commit("tickets", str(parts.values_list("pk", flat=True)[0]))


def _row(release: Release, key: str, payload: dict[str, Any]) -> dict[str, Any]:
    return {
        "integration_id": release.ticket_id,
        "release_id": release.pk,
        "dedupe_key": f"release:{release.pk}:{key}",
        "payload": payload,
    }
