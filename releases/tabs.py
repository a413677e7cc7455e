"""The tabs of the list of releases: what each release needs next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import Exists, IntegerField, OuterRef, Q, QuerySet, Subquery
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from delivr.tenants.models import Tenant
from integrations.providers.ci import BuildStatus
from releases.models import (
    FAILED,
    MOVING,
    READY_OR_IN_STORES,
    ReleasePipeline,
    ReleaseQuerySet,
    ReleaseStatus,
)

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

NEEDS_YOU, BUILDING, READY, DONE = "needs-you", "building", "ready", "done"
MOST = 250  # a tab with more releases says "250+"
LABELS: dict[str, StrOrPromise] = {
    NEEDS_YOU: gettext_lazy("Needs you"),
    BUILDING: gettext_lazy("Building"),
    READY: gettext_lazy("Ready"),
    DONE: gettext_lazy("Done"),
}


def _conditions() -> dict[str, Q]:
    """Each release fits exactly one of them."""
    parts = ReleasePipeline.objects.filter(tenant=OuterRef("tenant"), release=OuterRef("pk"))
    stopped = Exists(parts.filter(build_status__in=[*FAILED, BuildStatus.WAITING]))
    rests = ~Exists(parts.filter(build_status__in=MOVING))
    building = Q(status=ReleaseStatus.BUILDING)
    complete = Q(status__in=READY_OR_IN_STORES)
    released = Q(status=ReleaseStatus.RELEASED) | Q(released_at__isnull=False)
    idle = Q(status__in=[ReleaseStatus.KICKOFF_PENDING, ReleaseStatus.BUILD_FAILED])
    return {
        NEEDS_YOU: idle | (building & (stopped | rests)),
        BUILDING: building & ~stopped & ~rests,
        READY: complete & ~released,
        DONE: Q(status=ReleaseStatus.CANCELLED) | (complete & released),
    }


def in_tab(releases: ReleaseQuerySet, name: str) -> ReleaseQuerySet:
    return releases.filter(_conditions()[name])


class _Count(Subquery):
    """How many rows a queryset has, as a value of another query."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) counted)"
    output_field = IntegerField()


def counts(tenant: Tenant, releases: ReleaseQuerySet) -> dict[str, int]:
    """How many of the tenant's releases are in each tab that has some, in one query; no more than
    `MOST` + 1, so that it costs the same however many there are."""
    found = {name: _Count(bounded(in_tab(releases, name))) for name in LABELS}
    row: Any = Tenant.objects.filter(pk=tenant.pk).values(**found).get()
    return {name: number for name, number in row.items() if number}


def bounded(releases: ReleaseQuerySet) -> QuerySet[Any, Any]:
    return releases.order_by("-created_at").values("pk")[: MOST + 1]


def words_of(number: int) -> int | str:
    """A bounded count as it is shown: 12, or `250+`."""
    return number if number <= MOST else _("%(most)s+") % {"most": MOST}
