"""Keeps the figures of days that are over (PostgreSQL), and counts the others when asked.

A page never shows a figure that is out of date: a day of which a row has changed is noted in the
same transaction, and counted anew until the job has kept it again.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta

from django.db import connection, transaction

from builds.insights.counting import DAY, Tallies, count_days, day_of
from builds.insights.models import InsightsDay, InsightsKept, InsightsNote
from builds.insights.tallies import Choice, Tally
from delivr.effects import clock
from delivr.tenants.models import Tenant

LONGEST = timedelta(days=365)  # the longest period
SOME = 31  # days that are counted in one transaction
NOTES = 10_000  # that are dealt with in one transaction


def tallies_since(tenant: Tenant, first: date, last: date, choice: Choice) -> Tallies:
    """What was begun on the days from `first` to `last`: of the choice, and of each store and
    pipeline within it."""
    days = [first + n * DAY for n in range((last - first).days + 1)]
    kept = InsightsKept.objects.for_tenant(tenant).values_list("until", flat=True).first()
    noted = set(InsightsNote.objects.filter(tenant_key=tenant.pk).values_list("day", flat=True))
    is_open = {day for day in days if kept is None or day > kept or day in noted}
    found = {
        key: tally
        for key, tally in count_days(tenant, is_open).items()
        if _is_wanted(key[1], choice)
    }
    if kept is not None:
        found |= _kept(tenant, first, kept, choice, is_open)
    return found


def _is_wanted(each: Choice, choice: Choice) -> bool:
    """The choice itself, and what is part of it: each store and each pipeline."""
    is_within = (choice.platform or each.platform, choice.pipeline or each.pipeline) == (
        each.platform,
        each.pipeline,
    )
    return each == choice or (bool(each.platform) and is_within)


def _kept(
    tenant: Tenant, first: date, last: date, choice: Choice, without: Collection[date]
) -> Tallies:
    rows = InsightsDay.objects.for_tenant(tenant).filter(day__gte=first, day__lte=last)
    found: Tallies = {}
    columns = ("day", "platform", "pipeline_key", "tally")
    for day, platform, pipeline, tally in rows.order_by().values_list(*columns):
        each = Choice(platform, pipeline)
        if day not in without and _is_wanted(each, choice):
            found[day, each] = Tally.of_json(tally)
    return found


def due() -> list[str]:
    """The workspaces with days to be kept. None on SQLite, which has no triggers of ours and few
    rows: there, every page counts."""
    if connection.vendor != "postgresql":
        return []
    current = InsightsKept.objects.filter(until__gte=_newest())
    behind = Tenant.objects.exclude(pk__in=current.values("tenant")).values_list("pk", flat=True)
    noted = InsightsNote.objects.values_list("tenant_key", flat=True).distinct()
    return sorted({*behind, *noted})


def keep(tenant_id: str) -> None:
    """Keep the days that are over, and anew those that changed. Another call at the same time
    waits, and finds nothing left to do."""
    while _keep_some(tenant_id):
        pass


def _newest() -> date:
    """The newest day to be kept: of yesterday much still changes."""
    return day_of(clock.now()) - 2 * DAY


@transaction.atomic
def _keep_some(tenant_id: str) -> bool:
    """Returns whether there is more."""
    if not Tenant.objects.filter(pk=tenant_id).exists():
        InsightsNote.objects.filter(tenant_key=tenant_id).delete()
        return False
    newest = _newest()
    oldest = newest - LONGEST
    InsightsKept.objects.get_or_create(tenant_id=tenant_id, defaults={"until": oldest - DAY})
    kept = InsightsKept.objects.for_tenant(tenant_id).select_for_update().get()
    # Read before anything is counted: what is not counted yet is noted by a row not seen here.
    notes = dict(InsightsNote.objects.filter(tenant_key=tenant_id).values_list("pk", "day")[:NOTES])
    until = min(newest, max(kept.until, oldest - DAY) + SOME * DAY)
    new = {until - n * DAY for n in range(SOME) if until - n * DAY > kept.until}
    again = sorted({day for day in notes.values() if oldest <= day <= kept.until})
    for n in range(0, len(again), SOME):
        _replace(tenant_id, again[n : n + SOME])
    _replace(tenant_id, new)
    InsightsDay.objects.for_tenant(tenant_id).filter(day__lt=oldest).delete()
    InsightsNote.objects.filter(pk__in=notes).delete()
    kept.until = max(until, kept.until)
    kept.save(update_fields=["until"])
    return kept.until < newest or len(notes) == NOTES


def _replace(tenant_id: str, days: Collection[date]) -> None:
    InsightsDay.objects.for_tenant(tenant_id).filter(day__in=days).delete()
    InsightsDay.objects.bulk_create(
        InsightsDay(
            tenant_id=tenant_id,
            day=day,
            platform=choice.platform,
            pipeline_key=choice.pipeline,
            tally=tally.as_json(),
        )
        for (day, choice), tally in count_days(tenant_id, days).items()
    )
