"""What the insights count of submissions: how long reviews and staged roll-outs took."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import Q

from delivr.tenants.models import Tenant
from integrations.models import TargetIntegration
from integrations.providers.stores import SubmissionState
from submissions.models import Submission, SubmissionEvent

_COUNTED = (SubmissionState.REJECTED, SubmissionState.ROLLING_OUT, SubmissionState.LIVE)


class Row(NamedTuple):
    release: str
    platform: str
    created_at: datetime
    review: timedelta | None
    rollout: timedelta | None
    is_rejected: bool


def rows(tenant: Tenant | str, when: Q) -> list[Row]:
    """The submissions that fit `when`, in two queries."""
    chosen = Submission.objects.for_tenant(tenant).filter(when)
    happened: dict[str, dict[str, list[datetime]]] = defaultdict(lambda: defaultdict(list))
    events = SubmissionEvent.objects.for_tenant(tenant).filter(
        submission__in=chosen.order_by(), state__in=_COUNTED
    )
    for pk, state, at in events.order_by("at", "pk").values_list("submission", "state", "at"):
        happened[pk][state].append(at)
    return [
        Row(
            release,
            TargetIntegration(target_type=kind).platform,
            created,
            review,
            _rollout(happened[pk]),
            bool(happened[pk][SubmissionState.REJECTED]),
        )
        for pk, release, kind, created, review in chosen.order_by().values_list(
            "pk", "release", "target__target_type", "created_at", "review_took"
        )
    ]


def _rollout(happened: dict[str, list[Any]]) -> timedelta | None:
    """From the first share to everybody; None without a staged roll-out, or while it lasts."""
    shares, live = happened[SubmissionState.ROLLING_OUT], happened[SubmissionState.LIVE]
    if not shares or not live:
        return None
    ends = [at for at in live if at >= shares[0]]
    return ends[0] - shares[0] if ends else None
