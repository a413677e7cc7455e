"""What comes in from Jenkins: the body of a pipeline step, and that of the Notification plugin.

The step's body is ours: `{"buildNumber": 245, "status": "SUCCESS", "artifactUrl": "s3://…"}` with
optional `buildUrl`, `queueId`, `buildId`. The plugin's is described at
https://plugins.jenkins.io/notification/. Nothing in either is believed before Jenkins confirms it,
except from a sender that signs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import urlsplit

from ..base import BuildReport, BuildStatus
from .reading import BUILD_ID, RESULTS, moment

MAX_TEXT = 2000
_OURS = {"buildNumber", "buildId", "queueId"}
_BUILD_ID = re.compile(r"bld_[A-Za-z0-9_-]{1,60}")
_DIGITS = re.compile(r"[0-9]{1,18}")
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


def parse(body: bytes) -> BuildReport:
    """What the body claims; `status` None where it is readable but of no kind that we know.

    Raises ValueError with a sentence for a person where it is unreadable.
    """
    document = _load(body)
    build = document.get("build")
    if isinstance(build, dict):
        return _notification(build)
    if _OURS & document.keys():
        return _step(document)
    return BuildReport(status=None)


def _load(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("The body is nested too deeply.") from None
    except ValueError:  # no JSON, no Unicode, NaN, or a number of thousands of digits
        raise ValueError("The body is not JSON.") from None
    if not isinstance(document, dict):
        raise ValueError("The body is not a JSON object.")
    return document


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _step(document: Mapping[str, Any]) -> BuildReport:
    word = _text(document, "status")
    if not word:
        raise ValueError("The body has no status.")
    report = BuildReport(
        status=STATUSES.get(word.upper()),
        build_id=_build_id(_text(document, "buildId")),
        queue_id=_number(document, "queueId"),
        number=_number(document, "buildNumber"),
        url=_url(_text(document, "buildUrl"), _LINKS),
        artifact_url=_url(_text(document, "artifactUrl"), _ARTIFACTS),
    )
    return _named(report)


def _notification(build: Mapping[str, Any]) -> BuildReport:
    """The phases QUEUED and STARTED come together, when the build starts."""
    phase = _text(build, "phase").upper()
    result = STATUSES.get(_text(build, "status").upper())
    parameters = build.get("parameters")
    report = BuildReport(
        status=result if phase in _ENDED else PHASES.get(phase),
        build_id=_build_id(_text(parameters, BUILD_ID) if isinstance(parameters, dict) else ""),
        queue_id=_number(build, "queue_id"),
        number=_number(build, "number"),
        url=_url(_text(build, "full_url"), _LINKS),
        artifact_url=_first_artifact(build.get("artifacts")),
        phase=phase[:20],
        at=moment(build.get("timestamp")),
    )
    return _named(report)


def _named(report: BuildReport) -> BuildReport:
    if not report.build_id and report.number is None and report.queue_id is None:
        raise ValueError("The body names no build: it has neither a number nor an id.")
    return report


def _first_artifact(artifacts: object) -> str:
    """`{"app.ipa": {"archive": "https://…", "s3": "https://…"}}`"""
    for places in artifacts.values() if isinstance(artifacts, dict) else ():
        for name in ("archive", "s3"):
            url = _url(_text(places, name), _ARTIFACTS) if isinstance(places, dict) else ""
            if url:
                return url
    return ""


def _text(document: Mapping[str, Any], name: str) -> str:
    """The text of a field, "" where there is none. Raises ValueError for what no text may hold."""
    value = document.get(name)
    if value is None or value == "":
        return ""
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise ValueError(f"{name} is not a text of up to {MAX_TEXT} characters.")
    if any(not c.isprintable() or "\ud800" <= c <= "\udfff" for c in value):
        raise ValueError(f"{name} has characters that cannot be stored.")
    return value.strip()


def _number(document: Mapping[str, Any], name: str) -> int | None:
    """A positive number, also written as text. Raises ValueError for anything else."""
    value = document.get(name)
    if value is None or value == "":
        return None
    digits = "" if isinstance(value, bool) or not isinstance(value, int | str) else str(value)
    if not _DIGITS.fullmatch(digits) or int(digits) < 1:
        raise ValueError(f"{name} is not a positive whole number.")
    return int(digits)


def _build_id(text: str) -> str:
    return text if _BUILD_ID.fullmatch(text) else ""


def _url(text: str, schemes: tuple[str, ...]) -> str:
    """The URL if it is of one of the schemes; everything else is dropped."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return ""
    return text if parts.scheme.lower() in schemes and parts.netloc else ""
