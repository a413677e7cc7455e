"""Lists the jobs of a Jenkins server for the picker, through its folders and within limits."""

from __future__ import annotations

from collections import deque
from typing import Any

from ..base import Option, ProviderError
from ..http import dicts
from .client import JenkinsClient
from .paths import child_path, full_name
from .reading import is_container

MAX_DEPTH = 5
MAX_FOLDERS = 30
MAX_JOBS = 500
_TREE = f"jobs[_class,name]{{0,{MAX_JOBS}}}"


def list_jobs(client: JenkinsClient) -> list[Option]:
    """Breadth first, so that top-level jobs are listed even if the tree exceeds the limits."""
    found: list[Option] = []
    waiting = deque([""])
    for _ in range(MAX_FOLDERS):
        if not waiting or len(found) >= MAX_JOBS:
            break
        folder = waiting.popleft()
        for kind, path in _children(client, folder):
            if not is_container(kind):
                found.append(Option(value=path, label=full_name(path)))
            elif path.count("/job/") < MAX_DEPTH:
                waiting.append(path)
    return sorted(found[:MAX_JOBS], key=lambda option: option.label.casefold())


def _children(client: JenkinsClient, folder: str) -> list[tuple[str, str]]:
    """(class, path) of each child; none if the folder may not be read."""
    try:
        document = client.get(folder, tree=_TREE)
    except ProviderError as error:
        if folder and error.code in ("forbidden", "not_found"):
            return []
        raise
    return [pair for job in dicts(document.get("jobs")) if (pair := _child(job, folder))]


def _child(job: dict[str, Any], folder: str) -> tuple[str, str] | None:
    """The path is made from the name; the `url` in the answer is not used."""
    name = job.get("name")
    try:
        path = child_path(name) if isinstance(name, str) else ""
    except ValueError:
        return None
    return (str(job.get("_class") or ""), folder + path) if path else None
