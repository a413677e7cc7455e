"""Reads only the end of a build's console log.

The progressive log takes the offset in bytes at which it begins, and says in X-Text-Size where it
ends; X-More-Data is sent while the build runs. An offset beyond the end is treated as 0.
https://www.jenkins.io/doc/book/using/remote-access-api/ (below any build: "Accessing Progressive
Console Output")
"""

from __future__ import annotations

import requests

from ..base import ProviderError
from ..ci import LogTail
from .client import JenkinsClient, is_jenkins

TAIL = 256 * 1024  # bytes; a longer answer is refused (MAX_BODY)


def read_tail(client: JenkinsClient, build_path: str) -> LogTail:
    """At most the last `TAIL` bytes, from the first line that begins within them."""
    where = f"{build_path}/logText/progressiveText"
    size = _size(_answered(client, client.ask("HEAD", where, start="0")))
    start = max(0, size - TAIL)
    answer = _answered(client, client.ask("GET", where, start=str(start)))
    body = answer.content[-TAIL:]
    if start or len(answer.content) > TAIL:
        body = body.partition(b"\n")[2]
    is_final = answer.headers.get("X-More-Data", "").lower() != "true"
    return LogTail(text=body.decode("utf-8", "replace"), is_final=is_final)


def _answered(client: JenkinsClient, answer: requests.Response) -> requests.Response:
    if answer.status_code == 404 and is_jenkins(answer):
        raise ProviderError.refused(
            "log_gone",
            "Jenkins no longer has the log of this build.",
            "Its job may keep only a few builds, or it was deleted there.",
        )
    if answer.status_code != 200:
        raise client.error(answer)
    return answer


def _size(answer: requests.Response) -> int:
    size = answer.headers.get("X-Text-Size", "")
    if not (size.isascii() and size.isdigit() and len(size) < 16):
        raise ProviderError.refused(
            "no_log_size",
            "Something between delivr and Jenkins hides the length of the log.",
            "A proxy in front of Jenkins must let the header X-Text-Size through.",
        )
    return int(size)
