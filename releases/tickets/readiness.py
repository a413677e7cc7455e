"""How far a release's version is: which of its tickets are not done.

A job looks it up in the ticket system while the release is in progress, and a dry run at once.
Nothing waits for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from delivr.api.problems import Problem
from delivr.effects import clock
from delivr.effects.health import one_call
from delivr.failures import ProviderError
from delivr.tenants.models import User
from integrations.concurrency import SLOT_RETRY_DELAY, slot
from integrations.models import TicketIntegration
from integrations.providers.registry import provider_for
from integrations.providers.tickets import FoundTicket, Readiness, Version
from integrations.throttle import throttled_call
from releases.models import Release, ReleaseStatus
from releases.tickets.models import TicketPart

MOST = 20  # tickets that are listed
CLAIM = timedelta(seconds=60)  # longer than one look takes
PAUSE = timedelta(minutes=5)  # between two looks, on the first day
LONG_PAUSE = timedelta(hours=1)  # afterwards
YOUNG, OLD = timedelta(days=1), timedelta(days=60)  # ages of a release
REQUEST_TIMEOUT = 4.0  # seconds, while a person waits for a dry run
DRY_RUNS_PER_MINUTE = 60  # with a look at a version, for one user


@transaction.atomic
def due() -> list[str]:
    """Ids of the parts that are due to be looked up; each is claimed for a minute."""
    now = clock.now()
    free = TicketPart.objects.select_for_update(skip_locked=True, no_key=True, of=("self",))
    waiting = free.filter(look_at__lte=now).order_by("look_at")
    ids = list(waiting.values_list("pk", flat=True)[:50])
    TicketPart.objects.filter(pk__in=ids).update(look_at=now + CLAIM)
    return [str(pk) for pk in ids]


def look_up(part_id: str) -> None:
    """Look up the tickets of one release's version, and store what was found."""
    rows = TicketPart.objects.exclude(look_at=None).select_related("release__ticket")
    part = rows.filter(pk=part_id).first()
    if part is None or part.release.ticket is None or part.release.ticket.disconnected_at:
        TicketPart.objects.filter(pk=part_id).update(look_at=None)
        return
    connection = part.release.ticket
    with slot(tenant_id=part.tenant_id, integration_id=connection.pk) as is_free:
        if is_free:
            _store(part, **_read(part, connection))
        else:
            TicketPart.objects.filter(pk=part.pk).update(look_at=clock.now() + SLOT_RETRY_DELAY)


def _read(part: TicketPart, connection: TicketIntegration) -> dict[str, Any]:
    """The values to store; after a failure, what was found earlier is kept."""
    version = Version(id=part.version_id, name=part.version_name)
    try:
        with one_call(tenant_id=part.tenant_id, integration_id=connection.pk):
            found: Readiness = provider_for(connection).readiness(version, most=MOST)
    except ProviderError as error:
        return {"note": error.message[:500]}
    return {
        "total": found.total,
        "not_done": found.not_done,
        "open_tickets": [_plain(ticket) for ticket in found.tickets],
        "version_released": found.version.is_released,
        "looked_at": clock.now(),
        "note": "",
    }


def _plain(ticket: FoundTicket) -> dict[str, str]:
    return {
        "key": ticket.key,
        "title": ticket.title,
        "status": ticket.status,
        "url": ticket.url,
    }


def _store(part: TicketPart, **values: Any) -> None:
    """Nothing is postponed if another look was asked for in the meantime."""
    TicketPart.objects.filter(pk=part.pk).update(**values)
    mine = TicketPart.objects.filter(pk=part.pk, look_at=part.look_at)
    mine.update(look_at=_next_look(part.release))


def _next_look(release: Release) -> datetime | None:
    """None once nothing is to be decided any more."""
    now = clock.now()
    age = now - release.created_at
    is_over = release.released_at is not None or release.status == ReleaseStatus.CANCELLED
    if is_over or age > OLD:
        return None
    return now + (PAUSE if age < YOUNG else LONG_PAUSE)


# --- The dry run ----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class PlannedVersion:
    """The version of a release that does not exist yet. `exists` is None if it is unknown, and
    `message` says why."""

    name: str
    exists: bool | None
    url: str = ""
    total: int = 0
    not_done: int = 0
    open_tickets: tuple[FoundTicket, ...] = ()
    message: str = ""


def look_up_for_dry_run(connection: TicketIntegration, name: str, *, user: User) -> PlannedVersion:
    """Within a request, with limits on its time, rate and concurrency. Raises nothing."""
    try:
        with (
            throttled_call("tickets", user=user, limit=DRY_RUNS_PER_MINUTE),
            one_call(tenant_id=connection.tenant_id, integration_id=connection.pk),
        ):
            found = provider_for(connection).readiness_of(name, most=MOST, within=REQUEST_TIMEOUT)
    except (Problem, ProviderError) as error:
        reason = error.detail if isinstance(error, Problem) else error.message
        words = _("The version was not looked up. %(reason)s") % {"reason": reason}
        return PlannedVersion(name=name, exists=None, message=words)
    if found is None:
        return PlannedVersion(name=name, exists=False)
    return PlannedVersion(
        name=name,
        exists=True,
        url=found.version.url,
        total=found.total,
        not_done=found.not_done,
        open_tickets=tuple(found.tickets),
    )
