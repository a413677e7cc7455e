"""The report that a pipeline's own step sends, and that a status address answers. The body is ours:
`{"buildNumber": 245, "status": "SUCCESS", "artifactUrl": "s3://…"}` with optional `buildUrl`,
`queueId` and `buildId`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from .ci import BuildReport, BuildStatus
from .incoming import number, text

OURS = {"buildNumber", "buildId", "queueId"}
LINKS = ("http", "https")
ARTIFACTS = (*LINKS, "s3", "gs")
_BUILD_ID = re.compile(r"(?:bld|tst)_[A-Za-z0-9_-]{1,60}")  # of a release, or a test build

STATUSES = {
    "SUCCESS": BuildStatus.SUCCESS,
    "UNSTABLE": BuildStatus.UNSTABLE,
    "FAILURE": BuildStatus.FAILURE,
    "FAILED": BuildStatus.FAILURE,
    "ABORTED": BuildStatus.ABORTED,
    "CANCELED": BuildStatus.ABORTED,
    "CANCELLED": BuildStatus.ABORTED,
    "NOT_BUILT": BuildStatus.ABORTED,
    "QUEUED": BuildStatus.QUEUED,
    "WAITING": BuildStatus.WAITING,
    "STARTED": BuildStatus.RUNNING,
    "RUNNING": BuildStatus.RUNNING,
}


def parse_report(document: Mapping[str, Any]) -> BuildReport:
    """What the report claims; `status` is None for a word that is no status.

    Raises ValueError with a message for the user if it cannot be parsed.
    """
    word = text(document, "status")
    if not word and "status" not in document:
        raise ValueError("The body has no status.")
    status = STATUSES.get(word.upper())
    return BuildReport(
        status=status,
        asks=word.lower() in ("", "null"),  # `currentBuild.result` is null until the build ends
        note="" if status else "Its status is not one that a build can have.",
        build_id=build_id(_text_alone(document, "buildId")),
        queue_id=queue_id(document, "queueId"),
        number=number(document, "buildNumber"),
        url=link(address(document, "buildUrl"), LINKS),
        artifact_url=link(text(document, "artifactUrl"), ARTIFACTS),
    )


def named(report: BuildReport) -> BuildReport:
    """The same. Raises ValueError if it names no build."""
    if not report.build_id and report.number is None and report.queue_id is None:
        raise ValueError("The body does not name a build: it has neither a number nor an id.")
    return report


def build_id(word: str) -> str:
    return word if _BUILD_ID.fullmatch(word) else ""


def address(document: Mapping[str, Any], name: str) -> str:
    """The URL, or "" if it cannot be shown: it may have a zero-width space, for example."""
    try:
        return text(document, name)
    except ValueError:
        return ""


def link(word: str, schemes: tuple[str, ...]) -> str:
    """The URL if it is of one of the schemes; everything else is dropped."""
    try:
        parts = urlsplit(word)
    except ValueError:
        return ""
    return word if parts.scheme.lower() in schemes and parts.netloc else ""


def queue_id(document: Mapping[str, Any], name: str) -> int | None:
    """None also for -1 (Run.QUEUE_ID_UNKNOWN) and for 0, which is no queue id.
    https://javadoc.jenkins.io/hudson/model/Run.html"""
    unknown = str(document.get(name)) in ("-1", "0")
    return None if unknown else number(document, name)


def _text_alone(document: Mapping[str, Any], name: str) -> str:
    """The text, or "" for a number: some pipelines send a number of their own under this name."""
    return text(document, name) if isinstance(document.get(name), str) else ""
