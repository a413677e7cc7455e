"""The tabs of the list of releases: what each release needs next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Case, Count, Exists, OuterRef, Q, Value, When
from django.utils.translation import gettext_lazy

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


def counts(releases: ReleaseQuerySet) -> dict[str, int]:
    """How many of the releases are in each tab that has some, in one query."""
    cases = [When(condition, then=Value(name)) for name, condition in _conditions().items()]
    rows = releases.order_by().annotate(tab=Case(*cases)).values_list("tab")
    return dict(rows.annotate(number=Count("pk")))
