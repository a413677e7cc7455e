"""Why a run does not continue, in words, as far as GitHub says. Best effort: what cannot be read is
left out, since the run's own state is already known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..base import ProviderError
from ..http import objects
from .reading import LABEL, Run, each_name

if TYPE_CHECKING:
    from .client import ActionsClient

# The API offers concurrency groups since this version, but not on Enterprise Server.
# https://docs.github.com/en/rest/actions/concurrency-groups
NEW_API = {"X-GitHub-Api-Version": "2026-03-10"}
NO_RUNNER = "No runner has picked it up yet."
BEHIND = "Another run in its concurrency group has to finish first."
_SHOWN = 3  # names, the rest as a number


def reason_of(client: ActionsClient, path: str, run: Run) -> str:
    """`path`: that of the repository's Actions. "" for a run that is running or has ended."""
    if run.status == "waiting":
        return _approval(client, path, run)
    if run.status == "pending":
        return _group(client, path, run)
    return NO_RUNNER if run.status in ("queued", "requested") else ""


def _approval(client: ActionsClient, path: str, run: Run) -> str:
    """https://docs.github.com/en/rest/actions/workflow-runs#get-pending-deployments-for-a-workflow-run"""
    items = _asked(client, f"{path}/runs/{run.id}/pending_deployments")
    return (
        " ".join(filter(None, map(_deployment, items)))
        or "A protection rule of its environment is blocking it."
    )


def _deployment(item: dict[str, Any]) -> str:
    environment = next(each_name([item.get("environment")]), "")
    reviewers = item.get("reviewers")
    named = [one.get("reviewer") for one in reviewers or [] if isinstance(one, dict)]
    names = list(each_name(named))
    timer = item.get("wait_timer")
    if names:
        return f"Waiting for {_joined(names)} to approve the environment {environment}."
    if isinstance(timer, int) and timer > 0:
        return f"The environment {environment} has a wait timer of {timer} minutes."
    return f"Waiting for the environment {environment}." if environment else ""


def _joined(names: list[str]) -> str:
    more = len(names) - _SHOWN
    shown = ", ".join(names[:_SHOWN])
    return f"{shown} or {more} more" if more > 0 else " or ".join(names)


def _group(client: ActionsClient, path: str, run: Run) -> str:
    for item in _asked(client, f"{path}/runs/{run.id}/concurrency_groups", "concurrency_groups"):
        members = item.get("group_members")
        ahead = [one for one in members or [] if isinstance(one, dict)]
        names = [
            f"{name} (run {one.get('run_id')})"
            for one in ahead
            if one.get("run_id") != run.id and (name := next(each_name([_as_named(one)]), ""))
        ]
        if names:
            group = next(each_name([_as_named(item)]), "")
            return f"In the concurrency group {group}, {_joined(names)} is ahead of it."
    return BEHIND


def _as_named(item: dict[str, Any]) -> dict[str, Any]:
    return {"name": item.get("run_name") or item.get("group_name") or item.get("name")}


def _asked(client: ActionsClient, path: str, name: str = "") -> list[dict[str, Any]]:
    headers = NEW_API if name else {}
    try:
        answer = client.with_headers(path, headers)
        return objects(answer.get(name) if name and isinstance(answer, dict) else answer, LABEL)
    except ProviderError:
        return []
