"""The Google Play Developer Reporting API: crash and ANR rates by the hour.

https://developers.google.com/play/developer/reporting/reference/rest
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from flask import Blueprint, Response, abort, jsonify, request

from sandbox import accounts
from sandbox.context import state
from sandbox.health import Version

blueprint = Blueprint("play_reporting", __name__)
API = "/playreporting/v1beta1/apps/<package>"
SCOPE = "https://www.googleapis.com/auth/playdeveloperreporting"
SETS: dict[str, tuple[str, Callable[[Version], float]]] = {
    "crashRateMetricSet": ("crashRate", lambda one: (100 - one.crashFreeUsers) / 100),
    "anrRateMetricSet": ("anrRate", lambda one: one.anrRate / 100),
}
LEAST_USERS = 10  # the numbers of fewer are hidden
_FILTER = re.compile(r"versionCode = ([0-9]+)")


def refuse(code: int, status: str, message: str) -> NoReturn:
    answer = jsonify({"error": {"code": code, "message": message, "status": status}})
    answer.status_code = code
    abort(answer)


def admit(package: str, name: str) -> tuple[str, Callable[[Version], float]]:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    expiry, scope, _user = state().stores.play.tokens.get(token, (0.0, "", ""))
    if kind.lower() != "bearer" or expiry <= time.time():
        refuse(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
    if SCOPE not in scope.split():
        refuse(403, "PERMISSION_DENIED", "Request had insufficient authentication scopes.")
    if package != accounts.APP_IDENTIFIER:
        refuse(403, "PERMISSION_DENIED", "The caller does not have permission")
    if name not in SETS:
        refuse(404, "NOT_FOUND", "Requested entity was not found.")
    return SETS[name]


@blueprint.get(f"{API}/<name>")
def metric_set(package: str, name: str) -> Response:
    admit(package, name)
    hourly = {"aggregationPeriod": "HOURLY", "latestEndTime": _told(_fresh())}
    path = f"apps/{package}/{name}"
    return jsonify({"name": path, "freshnessInfo": {"freshnesses": [hourly]}})


@blueprint.post(f"{API}/<name>:query")
def query(package: str, name: str) -> Response:
    rate, of = admit(package, name)
    body: dict[str, Any] = request.get_json(silent=True) or {}
    unknown = set(body.get("metrics", [])) - {rate, "distinctUsers"}
    if unknown or not body.get("metrics"):
        refuse(400, "INVALID_ARGUMENT", f"Unsupported metrics: {sorted(unknown)}")
    start, end = _range(body.get("timelineSpec", {}))
    wanted = _FILTER.fullmatch(body.get("filter", ""))
    if body.get("filter") and not wanted:
        refuse(400, "INVALID_ARGUMENT", "The filter is invalid.")
    found = [one for one in state().health.versions.values() if one.users >= LEAST_USERS]
    if wanted:
        found = [one for one in found if one.build == wanted[1]]
    if not found:
        return jsonify({})
    hours = int((end - start).total_seconds() // 3600)
    times = [start + timedelta(hours=n) for n in range(hours)]
    return jsonify({"rows": [_row(one, at, rate, of(one), body) for at in times for one in found]})


def _row(
    one: Version, start: datetime, rate: str, share: float, body: dict[str, Any]
) -> dict[str, Any]:
    values = {rate: f"{share:.6f}", "distinctUsers": str(_rounded(one.users))}
    row: dict[str, Any] = {
        "aggregationPeriod": "HOURLY",
        "startTime": _told(start),
        "metrics": [
            {"metric": metric, "decimalValue": {"value": values[metric]}}
            for metric in body["metrics"]
        ],
    }
    if "versionCode" in body.get("dimensions", []):
        row["dimensions"] = [{"dimension": "versionCode", "int64Value": one.build}]
    return row


def _rounded(users: int) -> int:
    """To its first digit, as Google rounds them."""
    size = int("1".ljust(len(str(users)), "0"))
    return users // size * size


def _fresh() -> datetime:
    at = datetime.fromtimestamp(state().clock() - state().health.lag, UTC)
    return at.replace(minute=0, second=0, microsecond=0)


def _range(spec: dict[str, Any]) -> tuple[datetime, datetime]:
    """Of whole hours, not beyond what was counted."""
    if spec.get("aggregationPeriod") != "HOURLY":
        refuse(400, "INVALID_ARGUMENT", "Only hourly data is here.")
    start, end = _moment(spec.get("startTime")), _moment(spec.get("endTime"))
    if start is None or end is None or start >= end:
        refuse(400, "INVALID_ARGUMENT", "The timeline is invalid.")
    if end > _fresh():
        refuse(400, "INVALID_ARGUMENT", "The end of the timeline is beyond the data's freshness.")
    return start, end


def _moment(told: Any) -> datetime | None:
    try:
        if set(told) - {"year", "month", "day", "hours", "timeZone"}:
            return None  # minutes have to be unset
        return datetime(told["year"], told["month"], told["day"], told.get("hours", 0), tzinfo=UTC)
    except (KeyError, TypeError, ValueError):
        return None


def _told(at: datetime) -> dict[str, Any]:
    """Zeros are left out."""
    hours = {"hours": at.hour} if at.hour else {}
    day = {"year": at.year, "month": at.month, "day": at.day}
    return {**day, **hours, "timeZone": {"id": "UTC"}}


@blueprint.route("/playreporting/<path:path>", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
def unknown(path: str) -> NoReturn:
    refuse(404, "NOT_FOUND", "Not Found")
