"""Looks up a branch and its newest commit, or names similar to a missing branch.

https://docs.github.com/en/rest/branches/branches https://docs.github.com/en/rest/git/refs
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ..base import ProviderError
from ..branch_names import nearest, refs_of
from ..http import garbage, objects, vendor_words
from ..scm import Branch
from .refusals import LABEL
from .verification import moved, not_found

if TYPE_CHECKING:
    from .client import GitHubClient

LISTED = 100  # branches searched for similar names; the maximum of a page
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_SHORT_SHA = re.compile(r"[0-9a-f]{7,64}")
_NOT_THERE = {"not_found", "redirect", "conflict", "refused"}  # 404, renamed, empty, 422


def look_for(client: GitHubClient, repository: str, name: str) -> Branch:
    """Look up a branch; `repository` is `owner/name`. Raises ProviderError if the result is not
    certain."""
    base = f"/repos/{repository}"
    for ref in refs_of(name):
        kind, _slash, short = ref.partition("/")
        path = f"/branches/{short}" if kind == "heads" else f"/git/ref/{ref}"
        if (data := _get(client, f"{base}{path}")) is not None:
            return _found(client, name, data.get("commit" if kind == "heads" else "object"))
    if _SHORT_SHA.fullmatch(name):
        data = _get(client, f"{base}/commits/{name}", per_page=1)  # with one of its files
        if data is not None:
            return _found(client, name, data)
    # A 404 may also mean that the token has no access; if it may list branches, it has.
    return Branch(name=name, exists=False, similar=nearest(name, _names(client, repository, name)))


def _get(client: GitHubClient, path: str, **parameters: Any) -> dict[str, Any] | None:
    """The object at a path, or None."""
    try:
        data = client.get(quote(path), **parameters).data
    except ProviderError as error:
        failure = error
    else:
        if not isinstance(data, dict):
            raise garbage(LABEL)
        return data
    if failure.code not in _NOT_THERE:
        raise failure
    return None


def _found(client: GitHubClient, name: str, commit: object) -> Branch:
    """The branch with its commit, which is unknown for a ref to an annotated tag."""
    if not isinstance(commit, dict) or not _SHA.fullmatch(str(commit.get("sha"))):
        raise garbage(LABEL)
    about = commit.get("commit")
    message = about.get("message") if isinstance(about, dict) else None
    title = client.words(message.partition("\n")[0]) if isinstance(message, str) else ""
    sha = "" if commit.get("type") == "tag" else str(commit["sha"])
    return Branch(name=name, exists=True, commit=sha, title=title)


def _names(client: GitHubClient, repository: str, name: str) -> list[str]:
    """Names of branches: those in the same folder, and the first page of all. Raises ProviderError
    if the repository cannot be read."""
    try:
        data = client.get(f"/repos/{repository}/branches", per_page=LISTED).data
    except ProviderError as error:
        failure = error
    else:
        return [*_in_folder(client, repository, name), *_each(data, "name")]
    if failure.code == "not_found":
        raise not_found(repository)
    raise moved(repository) if failure.code == "redirect" else failure


def _in_folder(client: GitHubClient, repository: str, name: str) -> list[str]:
    folder = name.rpartition("/")[0]
    if not folder:
        return []
    try:
        path = f"/repos/{repository}/git/matching-refs/heads/{folder}/"
        refs = _each(client.get(quote(path), per_page=LISTED).data, "ref")
    except ProviderError:  # such as too many: the names are only a help
        return []
    return [ref.removeprefix("refs/heads/") for ref in refs]


def _each(data: object, key: str) -> list[str]:
    found = [entry.get(key) for entry in objects(data, LABEL)]
    return [name for name in found if name and vendor_words(name, secrets=()) == name]
