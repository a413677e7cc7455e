"""What a receiver's answers mean."""

from __future__ import annotations

import posixpath
from typing import Any
from urllib.parse import urlsplit

import requests

from ..base import ProviderError
from ..ci import Artifact, BuildReport, BuildState, BuildStatus
from ..http import error_from_status, garbage, parse_object
from ..incoming import json_object, number
from ..reports import LINKS, address, link, parse_report
from .client import LABEL

_HINTS = {
    400: "Look at what the receiver logged, then retry.",
    401: "Check the webhook secret and the headers that the receiver expects, then retry.",
    403: "Check the webhook secret and the headers that the receiver expects, then retry.",
    404: "Check the trigger address, then retry.",
    405: "The receiver has to accept POST at the trigger address.",
    409: "A receiver has to answer a repeated trigger with 2xx, not with a conflict.",
    410: "The receiver is gone for good. Enter the address of another one, then retry.",
    413: "Let the receiver accept bodies of 256 KiB, then retry.",
}


def accepted_build(answer: requests.Response) -> BuildState:
    """The build as the answer to its trigger tells it. Raises ProviderError unless it was accepted.

    A page instead of an answer may be that of a login or a proxy: then nothing is known.
    """
    if not 200 <= answer.status_code < 300:
        raise refusal(answer)
    if answer.content.lstrip()[:1] == b"<":
        raise garbage(LABEL)
    told = parse_object(answer.content) or {}
    return BuildState(
        status=BuildStatus.QUEUED,
        number=_number(told),
        url=link(address(told, "buildUrl"), LINKS),
    )


def _number(told: dict[str, Any]) -> int | None:
    """None also for a number that is none: the build was accepted in any case."""
    try:
        return number(told, "buildNumber")
    except ValueError:
        return None


def refusal(answer: requests.Response) -> ProviderError:
    """A trigger is refused for good also by 401 and 403: no verification can find out whether the
    receiver takes the signature by now, so nothing may wait for one."""
    status = answer.status_code
    error = error_from_status(LABEL, status, retry_after=answer.headers.get("Retry-After"))
    if 400 <= status < 500 and status not in (408, 429):
        words = f"The receiver refused the trigger (HTTP {status})."
        return ProviderError.refused(error.code, words, _HINTS.get(status, _HINTS[400]))
    return error


def read_status(answer: requests.Response, *, build_id: str) -> BuildState | None:
    """The build that was asked for as the status address tells it; None for 404. Raises
    ProviderError."""
    if answer.status_code == 404:
        return None
    if answer.status_code != 200:
        raise error_from_status(
            LABEL, answer.status_code, retry_after=answer.headers.get("Retry-After")
        )
    report = _report(answer)
    return BuildState(
        status=report.status or BuildStatus.RUNNING,  # without one it claims no end
        number=report.number,
        queue_id=report.queue_id,
        url=report.url,
        carried_id=report.build_id or build_id,
        artifacts=_artifacts(report.artifact_url),
    )


def _report(answer: requests.Response) -> BuildReport:
    try:
        report = parse_report(json_object(answer.content))
    except ValueError:
        raise garbage(LABEL) from None
    if report.status is None and not report.asks:
        raise garbage(LABEL)
    return report


def _artifacts(url: str) -> list[Artifact]:
    name = posixpath.basename(urlsplit(url).path)
    return [Artifact(name or url, url)] if url else []
