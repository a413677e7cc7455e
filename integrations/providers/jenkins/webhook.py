"""Parses webhooks from Jenkins: of a pipeline step, and of the Notification plugin.

The step's body is ours: `{"buildNumber": 245, "status": "SUCCESS", "artifactUrl": "s3://…"}` with
optional `buildUrl`, `queueId`, `buildId`. The plugin's is described at
https://plugins.jenkins.io/notification/. Unless it is signed, Jenkins is polled to confirm it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ..ci import BuildReport, BuildStatus
from ..incoming import json_object, number, text
from ..webhooks import BASIC, STANDARD_WEBHOOKS, Webhooks
from .paths import path_of_build
from .reading import BUILD_ID, RESULTS, moment, rank

_OURS = {"buildNumber", "buildId", "queueId"}
_BUILD_ID = re.compile(r"(?:bld|tst)_[A-Za-z0-9_-]{1,60}")  # of a release, or a test build
_LINKS = ("http", "https")
_ARTIFACTS = (*_LINKS, "s3", "gs")

STATUSES = {
    **RESULTS,
    "FAILED": BuildStatus.FAILURE,
    "QUEUED": BuildStatus.QUEUED,
    "STARTED": BuildStatus.RUNNING,
    "RUNNING": BuildStatus.RUNNING,
}
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
    if _OURS & document.keys():
        return _step(document)
    return BuildReport(
        status=None,
        note=("This is neither the report of a pipeline step nor that of the Notification plugin."),
    )


WEBHOOKS = Webhooks(ways=(STANDARD_WEBHOOKS, BASIC), parse=parse)  # plugins cannot sign


def _step(document: Mapping[str, Any]) -> BuildReport:
    word = text(document, "status")
    if not word and "status" not in document:
        raise ValueError("The body has no status.")
    status = STATUSES.get(word.upper())
    url = _address(document, "buildUrl")
    report = BuildReport(
        status=status,
        asks=word.lower() in ("", "null"),  # `currentBuild.result` is null until the build ends
        note="" if status else "Its status is not one that a Jenkins build can have.",
        job_path=path_of_build(url),
        build_id=_build_id(_text_alone(document, "buildId")),
        queue_id=_queue_id(document, "queueId"),
        number=number(document, "buildNumber"),
        url=_url(url, _LINKS),
        artifact_url=_url(text(document, "artifactUrl"), _ARTIFACTS),
    )
    return _named(report)


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
        job_path=path_of_build(_address(build, "url")),
        build_id=_build_id(text(parameters, BUILD_ID) if isinstance(parameters, dict) else ""),
        queue_id=_queue_id(build, "queue_id"),
        number=number(build, "number"),
        url=_url(_address(build, "full_url"), _LINKS),
        artifact_url=_first_artifact(build.get("artifacts")),
        phase=phase[:20],
        at=moment(build.get("timestamp")),
    )
    return _named(report)


def _address(document: Mapping[str, Any], name: str) -> str:
    """The URL, or "" if it cannot be shown: it may have a zero-width space, for example."""
    try:
        return text(document, name)
    except ValueError:
        return ""


def _queue_id(document: Mapping[str, Any], name: str) -> int | None:
    """None also for -1 (Run.QUEUE_ID_UNKNOWN) and for 0, which is no queue id.
    https://javadoc.jenkins.io/hudson/model/Run.html"""
    unknown = str(document.get(name)) in ("-1", "0")
    return None if unknown else number(document, name)


def _text_alone(document: Mapping[str, Any], name: str) -> str:
    """The text, or "" for a number: some pipelines send a number of their own under this name."""
    return text(document, name) if isinstance(document.get(name), str) else ""


def _named(report: BuildReport) -> BuildReport:
    if not report.build_id and report.number is None and report.queue_id is None:
        raise ValueError("The body does not name a build: it has neither a number nor an id.")
    return report


def _first_artifact(artifacts: object) -> str:
    """Of `{"app.ipa": {"archive": "https://…", "s3": "https://…"}}`, an app first."""
    named = artifacts if isinstance(artifacts, dict) else {}
    for places in (named[name] for name in sorted(named, key=rank)):
        for name in ("archive", "s3"):
            url = _url(text(places, name), _ARTIFACTS) if isinstance(places, dict) else ""
            if url:
                return url
    return ""


def _build_id(word: str) -> str:
    return word if _BUILD_ID.fullmatch(word) else ""


def _url(word: str, schemes: tuple[str, ...]) -> str:
    """The URL if it is of one of the schemes; everything else is dropped."""
    try:
        parts = urlsplit(word)
    except ValueError:
        return ""
    return word if parts.scheme.lower() in schemes and parts.netloc else ""
