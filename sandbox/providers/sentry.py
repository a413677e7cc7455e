"""Sentry's web API: an organization, its projects and releases, and their sessions.

https://docs.sentry.io/api/releases/retrieve-release-health-session-statistics/
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from flask import Blueprint, Response, abort, jsonify, request

from sandbox import accounts
from sandbox.context import state
from sandbox.health import Version

blueprint = Blueprint("sentry", __name__)
ORGANIZATION = f"/sentry/api/0/organizations/{accounts.SENTRY_ORGANIZATION}"
PROJECTS = {accounts.SENTRY_PROJECT: "4507000000000017", "website": "4507000000000018"}
FIELDS: dict[str, Callable[[Version], Any]] = {
    "sum(session)": lambda one: one.sessions,
    "count_unique(user)": lambda one: one.users,
    "crash_free_rate(session)": lambda one: _rate(one.sessions, one.crashFreeSessions),
    "crash_free_rate(user)": lambda one: _rate(one.users, one.crashFreeUsers),
}
INTERVALS = {"1h": 3600, "6h": 6 * 3600, "1d": 86400}
MOST_POINTS = 10_000
_RELEASE = re.compile(r'release:"((?:[^"\\]|\\.)*)"')


def refuse(status: int, detail: str) -> NoReturn:
    answer = jsonify({"detail": detail})
    answer.status_code = status
    abort(answer)


@blueprint.before_request
def admit() -> None:
    if not request.path.startswith("/sentry/"):
        return
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token:
        refuse(401, "Authentication credentials were not provided.")
    if token not in (accounts.SENTRY_TOKEN, accounts.SENTRY_NARROW_TOKEN):
        refuse(401, "Invalid token")
    if not f"{request.path}/".startswith(f"{ORGANIZATION}/"):
        refuse(404, "The requested resource does not exist")
    if token == accounts.SENTRY_NARROW_TOKEN:
        refuse(403, "You do not have permission to perform this action.")


@blueprint.get(f"{ORGANIZATION}/")
def organization() -> Response:
    return jsonify({"id": "1", "slug": accounts.SENTRY_ORGANIZATION, "name": "Dream11"})


@blueprint.get(f"{ORGANIZATION}/projects/")
def projects() -> Response:
    found = [{"id": id, "slug": slug, "name": slug.title()} for slug, id in PROJECTS.items()]
    answer = jsonify(found)
    answer.headers["Link"] = _link()
    return answer


@blueprint.get(f"{ORGANIZATION}/releases/")
def releases() -> Response:
    """The newest first."""
    _check_project()
    query = request.args.get("query", "")
    most = request.args.get("per_page", 100, type=int)
    found = [one for one in _versions()[::-1] if query in one.name][:most]
    answer = jsonify(
        [
            {
                "version": one.name,
                "shortVersion": one.name,
                "versionInfo": {"version": {"raw": f"{one.version}+{one.build}"}},
                "dateCreated": _text(datetime.fromtimestamp(one.at, UTC)),
            }
            for one in found
        ]
    )
    answer.headers["Link"] = _link()
    return answer


@blueprint.get(f"{ORGANIZATION}/sessions/")
def sessions() -> Response:
    _check_project()
    fields = request.args.getlist("field")
    if not fields or any(name not in FIELDS for name in fields):
        refuse(400, 'Request is missing a "field"' if not fields else "Invalid field")
    step = INTERVALS.get(request.args.get("interval", "1h"))
    if step is None:
        refuse(400, "The interval has to be one of 1h, 6h, 1d")
    start, end = _range(step)
    count = int((end - start).total_seconds() // step)
    if count * len(fields) > MOST_POINTS:
        refuse(400, "Your interval and date range would create too many results.")
    wanted = _RELEASE.search(request.args.get("query", ""))
    name = re.sub(r"\\(.)", r"\1", wanted[1]) if wanted else ""
    found = [one for one in _versions() if not name or one.name == name]
    totals = _totals(found, fields)
    series = {field: [None] * (count - 1) + [totals[field]] for field in fields}
    return jsonify(
        {
            "start": _text(start),
            "end": _text(end),
            "query": request.args.get("query", ""),
            "intervals": [_text(start + timedelta(seconds=step * n)) for n in range(count)],
            "groups": [{"by": {}, "totals": totals, "series": series}],
        }
    )


def _versions() -> list[Version]:
    return list(state().health.versions.values())


def _totals(found: list[Version], fields: list[str]) -> dict[str, Any]:
    """Of one release, or of all of which the newest speaks; rates of nothing are null."""
    one = found[-1] if found else Version("", "")
    return {name: FIELDS[name](one) for name in fields}


def _rate(sample: int, percent: float) -> float | None:
    return percent / 100 if sample else None


def _check_project() -> None:
    """Only by number: -1 stands for all."""
    wanted = request.args.get("project", "-1")
    if not re.fullmatch(r"-?[0-9]+", wanted):
        refuse(400, "Invalid project parameter. Values must be numbers.")
    if wanted != "-1" and wanted not in PROJECTS.values():
        refuse(403, "You do not have permission to perform this action.")


def _range(step: int) -> tuple[datetime, datetime]:
    """Rounded to the interval, and at least one of it."""
    try:
        start = datetime.fromisoformat(request.args["start"])
        end = datetime.fromisoformat(request.args["end"])
    except (KeyError, ValueError):
        refuse(400, "start and end are required")
    first = int(start.timestamp()) // step * step
    last = -(-int(end.timestamp()) // step) * step
    if last - first < step:
        refuse(400, "Invalid date range")
    return datetime.fromtimestamp(first, UTC), datetime.fromtimestamp(last, UTC)


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _link() -> str:
    """One page: https://docs.sentry.io/api/pagination/"""
    return (
        f'<{request.base_url}?cursor=0:0:1>; rel="previous"; results="false"; cursor="0:0:1", '
        f'<{request.base_url}?cursor=0:100:0>; rel="next"; results="false"; cursor="0:100:0"'
    )


@blueprint.route("/sentry/<path:path>", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
def unknown(path: str) -> NoReturn:
    refuse(404, "The requested resource does not exist")
