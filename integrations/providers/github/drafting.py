"""Draft releases.

https://docs.github.com/en/rest/releases/releases
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..base import Outcome, ProviderError
from ..http import before_effect, garbage, objects
from ..scm import HostedRelease, ReleaseDraft
from .refusals import LABEL
from .verification import moved

if TYPE_CHECKING:
    from .client import GitHubClient

PAGE = 30  # a release's notes may have 125,000 characters, and 1 MB is read
PAGES = 4
LONGEST = 100_000  # characters of notes that are sent


def read_release(client: GitHubClient, repository: str, tag: str) -> HostedRelease | None:
    """The release of a tag. Drafts are only in the list, not under their tag; the newest come
    first."""
    found = _find(client, repository, tag)
    return _release(found) if found else None


def draft_release(client: GitHubClient, repository: str, draft: ReleaseDraft) -> HostedRelease:
    """GitHub would create a second draft for one tag, so look first."""
    there = before_effect(LABEL, lambda: _find(client, repository, draft.tag))
    if there is None:
        return _release(_create(client, repository, draft))
    if there.get("draft") is not True or there.get("target_commitish") == draft.commit:
        return _release(there)
    path = f"/repos/{repository}/releases/{int(there['id'])}"
    return _release(client.patch(path, target_commitish=draft.commit).data)


def _create(client: GitHubClient, repository: str, draft: ReleaseDraft) -> Any:
    try:
        return client.post(
            f"/repos/{repository}/releases",
            tag_name=draft.tag,
            target_commitish=draft.commit,
            name=draft.name,
            body=draft.notes[:LONGEST],
            draft=True,
        ).data
    except ProviderError as error:
        failure = error
    if failure.code == "redirect":
        raise moved(repository)
    raise _may_not(repository) if failure.code == "not_found" else failure


def _find(client: GitHubClient, repository: str, tag: str) -> dict[str, Any] | None:
    try:
        return _listed(client, repository, tag)
    except ProviderError as error:
        failure = error
    raise moved(repository) if failure.code == "redirect" else failure


def _listed(client: GitHubClient, repository: str, tag: str) -> dict[str, Any] | None:
    for page in range(1, PAGES + 1):
        path = f"/repos/{repository}/releases"
        entries = objects(client.get(path, per_page=PAGE, page=page).data, LABEL)
        for entry in entries:
            if entry.get("tag_name") == tag and isinstance(entry.get("id"), int):
                return entry
        if len(entries) < PAGE:
            break
    return None


def _release(data: Any) -> HostedRelease:
    if not isinstance(data, dict) or not isinstance(data.get("tag_name"), str):
        raise garbage(LABEL)
    url, target = data.get("html_url"), data.get("target_commitish")
    return HostedRelease(
        tag=data["tag_name"],
        url=url if isinstance(url, str) else "",
        is_draft=data.get("draft") is True,
        commit=target if isinstance(target, str) else "",
    )


def _may_not(repository: str) -> ProviderError:
    """GitHub responds with 404 for a token that may not write, and for commits that change workflow
    files if the token may not write those."""
    return ProviderError(
        "release_forbidden",
        f"GitHub does not let this token create a release in {repository}.",
        "Give the token the Contents and Workflows permissions (both write), or the repo and "
        "workflow scopes, then verify the connection.",
        outcome=Outcome.CREDENTIALS,
    )
