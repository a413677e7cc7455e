"""What Sentry counted of a release's sessions.

https://docs.sentry.io/api/releases/retrieve-release-health-session-statistics/
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from ..health import Figure, Metric
from ..http import garbage
from .client import LABEL, SentryClient

MOST_RELEASES = 1  # pages of 100
HOUR = timedelta(hours=1)  # the interval; dates are rounded to it
# What each figure and its sample is called in the answer. Grouping by status would count a user
# once for every status, so the rates are asked for.
FIELDS = {
    Metric.CRASH_FREE_SESSIONS: ("crash_free_rate(session)", "sum(session)"),
    Metric.CRASH_FREE_USERS: ("crash_free_rate(user)", "count_unique(user)"),
}


def names_of(app: str, version: str, build: str) -> list[str]:
    """What a release may be called, the mobile SDKs' own name first:
    https://docs.sentry.io/product/releases/naming-releases/"""
    return [
        f"{app}@{version}+{build}",
        f"{version}+{build}",
        f"{version} ({build})",
        f"{version}-{build}",
        f"{app}@{version}",
        version,
    ]


def find_release(client: SentryClient, project: str, names: Sequence[str], version: str) -> str:
    """The first of the names that a release has; "" if there is none."""
    found = client.listed(
        "/releases/", most=MOST_RELEASES, project=project, query=version, per_page=100
    )
    known = {str(release.get("version")) for release in found}
    return next((name for name in names if name in known), "")


def newest_release(client: SentryClient, project: str) -> str:
    """The name of the newest one; "" without any."""
    found = client.listed("/releases/", most=1, project=project, per_page=1)
    return str(next(found, {}).get("version") or "")


def read(client: SentryClient, project: str, release: str, since: datetime) -> list[Figure]:
    """The figures of a release; none where nothing was counted."""
    now = datetime.now(UTC)
    answer = client.get(
        "/sessions/",
        field=[name for pair in FIELDS.values() for name in pair],
        project=project,
        query=f'release:"{_quoted(release)}"',
        start=min(since, now - HOUR).isoformat(),
        end=now.isoformat(),
        interval="1h",
    )
    groups = answer.get("groups")
    if not isinstance(groups, list):
        raise garbage(LABEL)
    if not groups:
        return []
    until = min(_time(answer.get("end")) or now, now)
    totals = groups[0].get("totals") if isinstance(groups[0], dict) else None
    if not isinstance(totals, dict):
        raise garbage(LABEL)
    found = (_figure(metric, totals, until) for metric in FIELDS)
    return [figure for figure in found if figure is not None]


def _figure(metric: Metric, totals: dict[str, Any], until: datetime) -> Figure | None:
    """None for a rate of null, which is what nothing counted has."""
    rate, sample = (totals.get(name) for name in FIELDS[metric])
    if not isinstance(rate, int | float) or not isinstance(sample, int) or sample <= 0:
        return None
    if isinstance(rate, bool) or not 0 <= rate <= 1:
        return None
    return Figure(metric=metric, value=100 * rate, sample=sample, until=until)


def _quoted(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', '\\"')


def _time(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
