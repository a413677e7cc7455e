"""Parses webhooks from a repository on GitHub, few of which are about a build.

A pipeline of another CI server uses a workflow run only if its name has the id of one of our
builds (`run-name: Beta ${{ inputs.delivr_build_id }}`): that server is then polled. The rest of the
body is ignored: events arrive in any order, and their `status` may be outdated (`completed`
with "queued", `requested` with "completed" were both seen).
https://docs.github.com/en/webhooks/webhook-events-and-payloads
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..ci import BuildReport, BuildStatus
from ..incoming import json_object
from ..webhooks import Scheme, Way, Webhooks

_BUILD_ID = re.compile(r"(?<![A-Za-z0-9_])bld_[A-Za-z0-9]{1,60}(?![A-Za-z0-9_])")
_NAMES = ("display_title", "name")
CONCLUSIONS = {
    "success": BuildStatus.SUCCESS,
    "neutral": BuildStatus.SUCCESS,
    "cancelled": BuildStatus.ABORTED,
    "skipped": BuildStatus.ABORTED,
    "stale": BuildStatus.ABORTED,
    "failure": BuildStatus.FAILURE,
    "timed_out": BuildStatus.FAILURE,
    "startup_failure": BuildStatus.FAILURE,
    "action_required": BuildStatus.QUEUED,
}
ACTIONS = {"requested": BuildStatus.QUEUED, "in_progress": BuildStatus.RUNNING}


def parse(body: bytes, event: str) -> BuildReport:
    """What the event `X-GitHub-Event` says about a build; `status` is None, with a `note`, if it is
    about none. Raises ValueError with a message for the user if it cannot be parsed."""
    document = json_object(body)
    if event == "workflow_run":
        return _workflow_run(document)
    if event == "ping":
        return _nothing("This is GitHub's ping: the webhook works.")
    if not event:
        return _nothing("GitHub did not name the event.")
    return _nothing(f"The event {event} says nothing about a build of this pipeline.")


# The key is the secret as a person pasted it into GitHub, `whsec_` and all.
# https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
_SIGNED = Way(
    scheme=Scheme.HEX_MAC,
    header="x-hub-signature-256",
    prefix="sha256=",
    id_header="x-github-delivery",
)
WEBHOOKS = Webhooks(ways=(_SIGNED,), parse=parse, event_header="x-github-event")


def _nothing(note: str) -> BuildReport:
    return BuildReport(status=None, note=note)


def _workflow_run(document: Mapping[str, Any]) -> BuildReport:
    run = document.get("workflow_run")
    if not isinstance(run, dict):
        raise ValueError("The event has no workflow_run.")
    names = [run.get(name) for name in _NAMES]
    found = [_BUILD_ID.search(name) for name in names if isinstance(name, str)]
    ids = [match.group() for match in found if match]
    if not ids:
        return _nothing("The name of this workflow run contains no build id (bld_…).")
    return BuildReport(status=_status(document, run), build_id=ids[0])


def _status(document: Mapping[str, Any], run: Mapping[str, Any]) -> BuildStatus:
    action, conclusion = document.get("action"), run.get("conclusion")
    if action == "completed" and isinstance(conclusion, str):
        return CONCLUSIONS.get(conclusion, BuildStatus.FAILURE)
    return ACTIONS.get(str(action), BuildStatus.RUNNING)
