"""Job paths: `/job/<segment>/job/<segment>`, each segment percent-encoded once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote

MAX_PATH = 500
# What no job may have: neither a person's (jenkins.model.Jenkins.checkGoodName) nor a branch's.
# Names of branches keep @ & ! $ and more, and encode the rest with "%".
# https://github.com/jenkinsci/branch-api-plugin (NameEncoder)
# https://git-scm.com/docs/git-check-ref-format
_NEVER_IN_NAMES = set("?*/\\#^[]:")
_EXAMPLE = "Enter the job like /job/mobile/job/ios, or mobile/ios."


def normalise_job_path(path: str) -> str:
    """`/job/mobile/job/ios` from an entered path: `mobile/ios`, `job/mobile/job/ios/` …

    A path with `job` segments is percent-encoded, as in a browser's address bar; one without is a
    full name. Raises ValueError with a message for the user.
    """
    text = path.strip()
    if "://" in text or text.startswith("//"):
        raise ValueError(f"Enter only the job's path, without the address of Jenkins. {_EXAMPLE}")
    if not text.strip("/") or len(text) > MAX_PATH:
        raise ValueError(f"The job's path is empty or too long. {_EXAMPLE}")
    segments = text.strip("/").split("/")
    names = _names_of_url(segments) if _is_url_form(segments) else segments
    return "".join(map(child_path, names))


def child_path(name: str) -> str:
    """`/job/<segment>` for the name of one job. Raises ValueError."""
    return f"/job/{quote(_checked(name), safe='')}"


def path_below(folder: str, job: Mapping[str, Any]) -> str:
    """The path of a job that a folder lists: made from its name, since the `url` in an answer is
    not used. "" for a name that no job has."""
    name = job.get("name")
    try:
        return folder + child_path(name) if isinstance(name, str) else ""
    except ValueError:
        return ""


def full_name(job_path: str) -> str:
    """The readable name, such as `mobile/ios`, of a normalised path; a branch keeps its slash."""
    return "/".join(unquote(unquote(part)) for part in job_path.split("/job/") if part)


def path_of_build(url: str) -> str:
    """The normalised job path in a build's URL or in `job/ios/245/`, or "". Host and context path
    are ignored, as in `path_of_task`."""
    job, _slash, number = url.split("?")[0].rstrip("/").rpartition("/")
    if not number.isdigit():
        return ""
    return path_of_task(job if job.startswith(("/", "http")) else f"/{job}") or ""


def path_of_task(url: object) -> str | None:
    """The normalized job path from the URL that Jenkins gives for a job; None if it gives none.

    "" if it is not a separate job, such as a cell of a matrix.

    Host and context path are ignored, because they are often wrong behind a proxy.
    """
    if not isinstance(url, str) or "/job/" not in url:
        return None
    try:
        return normalise_job_path("/job/" + url.partition("/job/")[2])
    except ValueError:
        return ""


def _is_url_form(segments: Sequence[str]) -> bool:
    return segments[0] == "job" or (segments[0] == "view" and "job" in segments[2:])


def _names_of_url(segments: Sequence[str]) -> list[str]:
    """The decoded names in `job/a/view/x/job/b`, without views."""
    pairs = list(zip(segments[::2], segments[1::2], strict=False))
    if len(segments) % 2 or any(kind not in ("job", "view") for kind, _ in pairs):
        raise ValueError(f"The job's path does not lead to a job. {_EXAMPLE}")
    return [unquote(name) for kind, name in pairs if kind == "job"]


def _checked(name: str) -> str:
    if name in (".", "..") or not name.strip() or unquote(name) in (".", ".."):
        raise ValueError(f"The job's path has an empty or relative part. {_EXAMPLE}")
    bad = sorted({c for c in name if c in _NEVER_IN_NAMES or not c.isprintable() or c == "\ufffd"})
    if bad:
        shown = " ".join(bad) if set(bad) <= _NEVER_IN_NAMES else "such characters"
        raise ValueError(f"A job's name cannot contain {shown}. {_EXAMPLE}")
    return name
