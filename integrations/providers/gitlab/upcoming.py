"""Upcoming releases, since GitLab has no drafts: whoever may see the project sees them, and their
tag is created with them.

https://docs.gitlab.com/api/releases/ https://docs.gitlab.com/user/project/releases/#upcoming-releases
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from ..base import ProviderError
from ..http import before_effect, garbage
from ..ref_errors import elsewhere
from ..scm import HostedRelease, Ref, ReleaseDraft
from .addresses import enc
from .project import Project
from .refs import TAG, protected
from .refusals import LABEL

FAR_AHEAD = timedelta(days=3653)  # its date, until a person sets it
LONGEST = 100_000  # characters of notes that are sent
PAGE, PAGES = 20, 5


def read_release(project: Project, tag: str) -> HostedRelease | None:
    try:
        return _release(project, project.get(f"/releases/{enc(tag)}"))
    except ProviderError as error:
        failure = error
    if failure.code == "forbidden":  # what older versions say where there is none
        return _listed(project, tag)
    if failure.code != "not_found":
        raise failure
    project.read()  # may the token see the project at all?
    return None


def _listed(project: Project, tag: str) -> HostedRelease | None:
    pages = project.pages("/releases", size=PAGE, most=PAGES)
    found = (entry for page in pages for entry in page if entry.get("tag_name") == tag)
    entry = next(found, None)
    return _release(project, entry) if entry else None


def prepare_release(project: Project, draft: ReleaseDraft) -> HostedRelease:
    """Its commit is that of its tag, which nothing moves."""
    there = before_effect(LABEL, lambda: read_release(project, draft.tag))
    there = there or _create(project, draft)
    if there.is_draft and there.commit != draft.commit:
        tag = Ref(name=draft.tag, commit=there.commit)
        raise elsewhere(LABEL, TAG.word, tag, draft.commit)
    return there


def _create(project: Project, draft: ReleaseDraft) -> HostedRelease:
    try:
        data = project.post(
            "/releases",
            tag_name=draft.tag,
            ref=draft.commit,
            name=draft.name,
            description=draft.notes[:LONGEST],
            released_at=(datetime.now(UTC) + FAR_AHEAD).isoformat(timespec="seconds"),
        )
    except ProviderError as error:
        failure = error
    else:
        return _release(project, data)
    if failure.code == "forbidden" and "protected" in failure.message:
        raise protected(TAG, draft.tag, "", failure.message)
    raise project.why_forbidden(failure) if failure.code == "forbidden" else failure


def _release(project: Project, data: Any) -> HostedRelease:
    if not isinstance(data, dict) or not isinstance(data.get("tag_name"), str):
        raise garbage(LABEL)
    commit = data.get("commit")
    sha = commit.get("id") if isinstance(commit, dict) else None
    return HostedRelease(
        tag=data["tag_name"],
        url=f"{project.page}/-/releases/{quote(data['tag_name'], safe='')}",
        is_draft=data.get("upcoming_release") is True,
        commit=sha if isinstance(sha, str) else "",
    )
