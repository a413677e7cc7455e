"""Android vitals: what Google Play counts of the users who share it.

https://developers.google.com/play/developer/reporting/reference/rest/v1beta1/vitals.crashrate
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from ..base import Check, ProviderError
from ..health import Figure, HealthProvider, Metric
from ..http import DEADLINE, dicts, garbage, only_provider_errors
from ..play_store.keys import check_service_account
from ..verifying import first_contact, try_in_order

if TYPE_CHECKING:
    from .client import ReportingClient

MOST_ROWS = 10_000  # of an answer
HOUR, DAY = timedelta(hours=1), timedelta(hours=24)
# The set and the name in it of each figure.
SETS = {
    Metric.CRASH_FREE_USERS: ("crashRateMetricSet", "crashRate"),
    Metric.ANR_RATE: ("anrRateMetricSet", "anrRate"),
}
_VERSION_CODE = re.compile(r"[0-9]{1,18}")
_UTC = {"timeZone": {"id": "UTC"}}


class PlayVitals(HealthProvider):
    """One app, by the key file of its service account."""

    label = "Play vitals"
    references = {"target": "targets"}
    metrics = (Metric.CRASH_FREE_USERS, Metric.ANR_RATE)
    platforms = ("ANDROID",)
    deadline = DEADLINE

    def __init__(self, *, service_account: str, app: str) -> None:
        self._document = service_account
        self._app = app

    @classmethod
    def from_connection(cls, connection: Any) -> Self:
        target = connection.target
        return cls(service_account=target.credentials.reveal(), app=target.app_identifier)

    @cached_property
    def _client(self) -> ReportingClient:
        from .client import ReportingClient

        try:
            info = json.loads(check_service_account(self._document))
        except ValueError as error:
            failure = ProviderError.refused("unreadable_key", str(error))
        else:
            client = ReportingClient(info, deadline=self.deadline)
            client.sign_in()
            return client
        raise failure

    def checks(self) -> Iterator[Check]:
        return try_in_order(
            self.label,
            [
                ("address", lambda: first_contact(self.label, lambda: self._client)),
                ("freshness", self._check_freshness),
                ("figures", self._check_figures),
            ],
        )

    def _check_freshness(self) -> list[Check]:
        until = self._fresh_until(SETS[Metric.CRASH_FREE_USERS][0])
        words = f"Google has counted up to {until:%d %b %H:%M} UTC." if until else ""
        if words:
            return [Check(name="freshness", ok=True, message=words)]
        return [_nothing("freshness", "Google has no vitals of this app yet.")]

    def _check_figures(self) -> list[Check]:
        """Of the newest version that Google shows."""
        metric = Metric.CRASH_FREE_USERS
        since = datetime.now(UTC) - DAY
        rows, until = self._rows(metric, "", since)
        newest = max(map(_version_code, rows), default=0)
        found = _figure(metric, [row for row in rows if _version_code(row) == newest], until)
        if found is None:
            return [_nothing("figures", "Google has counted too few users of this app.")]
        words = (
            f"{found.value:.2f} % crash-free users of version code {newest} within 24 hours "
            f"({found.sample:,} users)."
        )
        return [Check(name="figures", ok=True, message=words)]

    @only_provider_errors
    def figures(self, app: str, version: str, build: str, since: datetime) -> Sequence[Figure]:
        if not _VERSION_CODE.fullmatch(build):
            return []
        found = [_figure(metric, *self._rows(metric, build, since)) for metric in SETS]
        return [figure for figure in found if figure is not None]

    def _rows(
        self, metric: Metric, build: str, since: datetime
    ) -> tuple[list[dict[str, Any]], datetime]:
        """One for each hour and version, and up to when Google has counted. Without a build they
        are of all versions."""
        name, rate = SETS[metric]
        until = self._fresh_until(name)
        if until is None or until - HOUR < since:
            return [], since
        body = {
            "timelineSpec": {
                "aggregationPeriod": "HOURLY",
                "startTime": _hour(max(since, until - DAY)),
                "endTime": _hour(until),
            },
            "metrics": [rate, "distinctUsers"],
            "dimensions": ["versionCode"],
            "pageSize": MOST_ROWS,
            **({"filter": f"versionCode = {build}"} if build else {}),
        }
        rows = dicts(self._client.query(self._app, name, body).get("rows"))
        return [row for row in rows if not build or _version_code(row) == int(build)], until

    def _fresh_until(self, name: str) -> datetime | None:
        """A query beyond it is refused."""
        told = self._client.metric_set(self._app, name).get("freshnessInfo")
        fresh = dicts(told.get("freshnesses")) if isinstance(told, dict) else []
        hourly = next((f for f in fresh if f.get("aggregationPeriod") == "HOURLY"), None)
        return _moment(hourly.get("latestEndTime")) if hourly else None


def _figure(metric: Metric, rows: Sequence[dict[str, Any]], until: datetime) -> Figure | None:
    """The hours together, each by its users. A user may be in several of them, so the sample is
    that of the largest hour, and no sum. None where Google hides the numbers of too few users."""
    name = SETS[metric][1]
    told = [(_number(row, name), _number(row, "distinctUsers")) for row in rows]
    hours = [(rate, users) for rate, users in told if rate is not None and users]
    if not hours:
        return None
    share = sum(rate * users for rate, users in hours) / sum(users for _rate, users in hours)
    if not 0 <= share <= 1:
        raise garbage("Play vitals")
    value = 100 * (1 - share) if metric is Metric.CRASH_FREE_USERS else 100 * share
    sample = int(max(users for _rate, users in hours))
    return Figure(metric=metric, value=value, sample=sample, until=until)


def _version_code(row: dict[str, Any]) -> int:
    """0 if it is unreadable."""
    told = (d for d in dicts(row.get("dimensions")) if d.get("dimension") == "versionCode")
    code = str(next(told, {}).get("int64Value"))
    return int(code) if _VERSION_CODE.fullmatch(code) else 0


def _number(row: dict[str, Any], name: str) -> float | None:
    """https://developers.google.com/play/developer/reporting/reference/rest/v1beta1/MetricValue"""
    found = next((m for m in dicts(row.get("metrics")) if m.get("metric") == name), {})
    decimal = found.get("decimalValue")
    try:
        return float(decimal["value"]) if isinstance(decimal, dict) else None
    except (KeyError, TypeError, ValueError):
        return None


def _hour(moment: datetime) -> dict[str, Any]:
    """Minutes are left out of hourly data."""
    at = moment.astimezone(UTC)
    return {"year": at.year, "month": at.month, "day": at.day, "hours": at.hour, **_UTC}


def _moment(told: object) -> datetime | None:
    """A DateTime of Google's, which leaves out zeros."""
    if not isinstance(told, dict):
        return None
    try:
        day = (told["year"], told["month"], told["day"])
        return datetime(*day, told.get("hours", 0), tzinfo=UTC)
    except (KeyError, TypeError, ValueError):
        return None


def _nothing(name: str, words: str) -> Check:
    return Check.warning(name, "no_vitals", words, "Until there are figures, rules do nothing.")
