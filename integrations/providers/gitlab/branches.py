"""Looks up a branch and its newest commit, or names similar to a missing branch.

https://docs.gitlab.com/api/branches/
"""

from __future__ import annotations

import re
from typing import Any

from ..base import ProviderError
from ..branch_names import nearest, refs_of
from ..http import garbage, vendor_words
from ..scm import Branch
from .addresses import enc
from .project import Project
from .refusals import LABEL

LISTED = 100  # branches searched for similar names; the maximum of a page
_PATHS = {"heads": "branches", "tags": "tags"}
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_SHORT_SHA = re.compile(r"[0-9a-f]{7,64}")


def look_for(project: Project, name: str) -> Branch:
    """Look up a branch. Raises ProviderError if the result is not certain."""
    for ref in refs_of(name):
        kind, _slash, short = ref.partition("/")
        path = _PATHS.get(kind)
        data = _get(project, f"/repository/{path}/{enc(short)}") if path and short else None
        if data is not None:
            return _found(project, name, data.get("commit"))
    if _SHORT_SHA.fullmatch(name):
        data = _get(project, f"/repository/commits/{name}")
        if data is not None:
            return _found(project, name, data)
    # A 404 may also mean that the token has no access; if it may list branches, it has.
    return Branch(name=name, exists=False, similar=nearest(name, _names(project, name)))


def _get(project: Project, path: str) -> dict[str, Any] | None:
    try:
        data = project.get(path)
    except ProviderError as error:
        failure = error
    else:
        if not isinstance(data, dict):
            raise garbage(LABEL)
        return data
    if failure.code not in ("not_found", "refused"):  # 404; 400 for what is no name
        raise failure
    return None


def _found(project: Project, name: str, commit: object) -> Branch:
    if not isinstance(commit, dict) or not _SHA.fullmatch(str(commit.get("id"))):
        raise garbage(LABEL)
    title = project.client.words(commit.get("title"))
    return Branch(name=name, exists=True, commit=str(commit["id"]), title=title)


def _names(project: Project, name: str) -> list[str]:
    """Names of branches: those in the same folder, and the first page of all. None where the
    project is empty."""
    folder = name.rpartition("/")[0]
    searches = [{"search": f"^{folder}/"}] if folder else []
    found: list[str] = []
    for search in [*searches, {}]:
        try:
            pages = project.pages("/repository/branches", size=LISTED, most=1, **search)
            found += [str(entry.get("name")) for page in pages for entry in page]
        except ProviderError as error:
            failure = error
        else:
            continue
        if failure.code != "not_found":
            raise failure
        project.read()  # may the token see the project at all?
    return [one for one in found if one and vendor_words(one, secrets=()) == one]
