"""Lists the jobs of a Jenkins server for the picker, through its folders and within limits."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from ..base import Option, Options, ProviderError
from ..http import dicts, error_from_status
from .client import LABEL, JenkinsClient
from .paths import full_name, path_below
from .reading import is_container, is_multibranch

MAX_DEPTH = 8
MAX_REQUESTS = 30
MAX_JOBS = 500  # that are offered
MAX_CHILDREN = 500  # of one folder
LEVELS = 3  # of folders that one request asks for


def _tree(levels: int) -> str:
    below = f",{_tree(levels - 1)}" if levels > 1 else ""
    return f"jobs[_class,name{below}]{{0,{MAX_CHILDREN}}}"


TREES = (_tree(LEVELS), _tree(1))


def list_jobs(client: JenkinsClient, *, wanted: str = "") -> Options:
    """Breadth first, so that top-level jobs are listed even if the tree exceeds the limits. If
    there are too many, those with `wanted` in their name come first: a search through all
    folders."""
    found: list[Option] = []
    waiting = deque([""])
    for _ in range(MAX_REQUESTS):
        if not waiting:
            break
        folder = waiting.popleft()
        for option, below in _walk(_children(client, folder), folder):
            found += [option] if option else []
            waiting += [below] if below else []
    found.sort(key=lambda option: option.label.casefold())
    words = wanted.casefold()
    if words and len(found) > MAX_JOBS:
        found.sort(key=lambda option: words not in option.label.casefold())
    options = Options(found[:MAX_JOBS])
    if waiting or len(found) > MAX_JOBS:
        options.note = "There are more: type a part of the job's name, then load again."
    return options


def _walk(jobs: list[dict[str, Any]], folder: str) -> Iterator[tuple[Option | None, str]]:
    """(job, "") for what can be built, and (None, path) for a folder that is still to be read."""
    for job in jobs:
        path, kind = path_below(folder, job), str(job.get("_class") or "")
        if not path:
            continue
        if is_multibranch(kind):
            words = f"{full_name(path)} (the job of the release's branch)"
            yield Option(value=path, label=words), ""
        elif not is_container(kind):
            yield Option(value=path, label=full_name(path)), ""
        if not is_container(kind) or path.count("/job/") >= MAX_DEPTH:
            continue
        if isinstance(job.get("jobs"), list):
            yield from _walk(dicts(job["jobs"]), path)
        else:
            yield None, path


def _children(client: JenkinsClient, folder: str) -> list[dict[str, Any]]:
    """The jobs in a folder, and those below it; none if the folder may not be read."""
    try:
        document = client.get_fitting(folder, *TREES)
    except ProviderError as error:
        if folder and error.code == "forbidden":
            return []
        raise
    if document is None and not folder:
        raise error_from_status(LABEL, 404)
    return dicts((document or {}).get("jobs"))
