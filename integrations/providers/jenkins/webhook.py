"""Parses webhooks from Jenkins: of a pipeline step, and of the Notification plugin.

The step's body is ours (`reports.py`), the plugin's is described at
https://plugins.jenkins.io/notification/. Unless it is signed, Jenkins is polled to confirm it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..ci import BuildReport, BuildStatus
from ..incoming import json_object, number, text
from ..reports import (
    ARTIFACTS,
    LINKS,
    OURS,
    STATUSES,
    address,
    build_id,
    link,
    named,
    parse_report,
    queue_id,
)
from ..webhooks import BASIC, STANDARD_WEBHOOKS, Webhooks
from .paths import path_of_build
from .reading import BUILD_ID, moment, rank

PHASES = {"QUEUED": BuildStatus.QUEUED, "STARTED": BuildStatus.RUNNING}
_ENDED = ("COMPLETED", "FINALIZED")
_ASKS = ("FINISHED", "NONE")  # of the plugin before 1.6, and of its manual step


def parse(body: bytes, event: str = "") -> BuildReport:
    """What the body claims; `status` is None for a body of an unknown kind.

    Raises ValueError with a message for the user if it cannot be parsed.
    """
    document = json_object(body)
    build = document.get("build")
    if isinstance(build, dict):
        return _notification(build)
    if OURS & document.keys():
        return _step(document)
    return BuildReport(
        status=None,
        note=("This is neither the report of a pipeline step nor that of the Notification plugin."),
    )


WEBHOOKS = Webhooks(ways=(STANDARD_WEBHOOKS, BASIC), parse=parse)  # plugins cannot sign


def _step(document: Mapping[str, Any]) -> BuildReport:
    """Its address names the job, also where it is no link."""
    report = parse_report(document)
    return named(replace(report, job_path=path_of_build(address(document, "buildUrl"))))


def _notification(build: Mapping[str, Any]) -> BuildReport:
    """The phases QUEUED and STARTED come together, when the build starts."""
    phase = text(build, "phase").upper()
    result = STATUSES.get(text(build, "status").upper())
    parameters = build.get("parameters")
    status = result if phase in _ENDED else PHASES.get(phase)
    report = BuildReport(
        status=status,
        asks=phase in _ASKS,
        note="" if status else "Its phase or status does not change a build.",
        job_path=path_of_build(address(build, "url")),
        build_id=build_id(text(parameters, BUILD_ID) if isinstance(parameters, dict) else ""),
        queue_id=queue_id(build, "queue_id"),
        number=number(build, "number"),
        url=link(address(build, "full_url"), LINKS),
        artifact_url=_first_artifact(build.get("artifacts")),
        phase=phase[:20],
        at=moment(build.get("timestamp")),
    )
    return named(report)


def _first_artifact(artifacts: object) -> str:
    """Of `{"app.ipa": {"archive": "https://…", "s3": "https://…"}}`, an app first."""
    named = artifacts if isinstance(artifacts, dict) else {}
    for places in (named[name] for name in sorted(named, key=rank)):
        for name in ("archive", "s3"):
            url = link(text(places, name), ARTIFACTS) if isinstance(places, dict) else ""
            if url:
                return url
    return ""
