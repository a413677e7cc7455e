"""The commits between two commits, with their merge requests.

https://docs.gitlab.com/api/commits/ GitLab's own comparison has all commits and changes in one
answer, of any size; a range of commits (`a..b`) is paged.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from ..base import ProviderError
from ..http import garbage
from ..ref_errors import commit_gone
from ..scm import Commit, Comparison, PullRequest
from .addresses import enc
from .project import Project
from .refusals import LABEL

PAGE = 64  # commits, whose messages may be long
MOST_BEHIND = 1000  # commits that only the base has, which are counted only
REQUESTS, REQUEST_PAGES = 50, 20  # merge requests of a page, and pages
MOST_ASKED = 60  # merge requests that are asked for their commits
MARGIN = timedelta(days=1)  # by which the clocks of those who commit may be wrong
LONGEST_TEXT = 4000  # characters of a message or a description
UNREAD = "timeout"  # the code of an error if the time is over
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


class Comparing:
    """One comparison."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._notes: list[str] = []

    def compare(self, base: str, head: str, *, most: int) -> Comparison:
        """GitLab does not count: beyond `most` commits it is only known that there are more."""
        for sha in (base, head):
            self._check_exists(sha)
        entries = list(itertools.islice(self._range(base, head), most + 1))
        if len(entries) > most:
            self._notes.append(f"There are more commits: the newest {most:,} are listed.")
        entries = entries[:most]
        behind = sum(1 for _ in itertools.islice(self._range(head, base), MOST_BEHIND))
        found = self._merge_requests(entries) if entries else {}
        note = " ".join(self._notes)
        return Comparison(
            commits=[self._read(entry, found) for entry in entries],
            total=len(entries),
            behind=behind,
            is_complete=not note,
            note=note,
        )

    def _check_exists(self, sha: str) -> None:
        """GitLab responds to a range with an unknown commit as to one without commits."""
        try:
            self._project.get(f"/repository/commits/{enc(sha)}")
        except ProviderError as error:
            failure = error
        else:
            return
        raise commit_gone(LABEL, sha) if failure.code == "not_found" else failure

    def _range(self, base: str, head: str) -> Iterator[dict[str, Any]]:
        """The commits of `head` that `base` lacks, newest first."""
        if base == head:
            return
        pages = self._project.pages(
            "/repository/commits", size=PAGE, most=100, ref_name=f"{base}..{head}"
        )
        try:
            for page in pages:
                yield from page
        except ProviderError as error:
            if error.code != UNREAD:
                raise
            self._notes.append("GitLab responds too slowly to list them all.")

    def _read(self, entry: dict[str, Any], found: dict[str, PullRequest]) -> Commit:
        sha = _sha_of(entry)
        return Commit(
            sha=sha,
            message=str(entry.get("message") or entry.get("title") or "")[:LONGEST_TEXT],
            url=f"{self._project.page}/-/commit/{sha}",
            author=str(entry.get("author_name") or ""),
            pull_request=found.get(sha),
        )

    # --- Merge requests ---------------------------------------------------------------------------

    def _merge_requests(self, entries: list[dict[str, Any]]) -> dict[str, PullRequest]:
        """What brought each commit, by its id, as far as it can be read."""
        merged = Merged(self._project, entries)
        try:
            merged.read()
        except ProviderError as error:
            self._notes.append(f"Not all of their merge requests could be read: {error.message}")
        if merged.left_out:
            self._notes.append("Not all of their merge requests were read: there are too many.")
        return merged.found


class Merged:
    """The merge requests that brought these commits. Each would have to be asked for, so those that
    were merged since the oldest commit are listed, with the commits that they name."""

    def __init__(self, project: Project, entries: list[dict[str, Any]]) -> None:
        self._project = project
        self._entries = {_sha_of(entry): entry for entry in entries}
        self.found: dict[str, PullRequest] = {}
        self.left_out = False
        self._asked = 0

    def read(self) -> None:
        """https://docs.gitlab.com/api/merge_requests/#list-project-merge-requests"""
        pages = self._project.pages(
            "/merge_requests",
            size=REQUESTS,
            most=REQUEST_PAGES,
            state="merged",
            order_by="updated_at",
            **self._since(),
        )
        listed = list(itertools.chain.from_iterable(pages))
        self.left_out = len(listed) == REQUESTS * REQUEST_PAGES
        for entry in listed:
            self._note(entry)

    def _since(self) -> dict[str, str]:
        dates = [_moment(entry.get("committed_date")) for entry in self._entries.values()]
        known = [date for date in dates if date is not None]
        if len(known) < len(dates):
            return {}
        return {"updated_after": (min(known) - MARGIN).isoformat()}

    def _note(self, entry: dict[str, Any]) -> None:
        """A merge or squash commit; or else the last of the commits that were taken as they are."""
        pull = self._pull(entry)
        if pull is None:
            return
        made = {str(entry.get(name)) for name in ("merge_commit_sha", "squash_commit_sha")}
        if mine := made & self._entries.keys():
            for sha in mine:
                self.found[sha] = pull
                self._add(self._brought(sha), pull)
        elif entry.get("sha") in self._entries:
            self.found[str(entry["sha"])] = pull
            self._add(self._commits_of(pull.number), pull)

    def _add(self, shas: Iterable[str], pull: PullRequest) -> None:
        for sha in shas:
            self.found.setdefault(sha, pull)

    def _brought(self, merge: str) -> set[str]:
        """What a merge commit's other parents have, and its first parent has not."""
        first, *others = _parents(self._entries[merge]) or [""]
        return self._reached(others) - self._reached([first]) if others else set()

    def _reached(self, waiting: list[str]) -> set[str]:
        """These commits and all before them, as far as they are listed."""
        found: set[str] = set()
        waiting = list(waiting)
        while waiting:
            sha = waiting.pop()
            if sha in self._entries and sha not in found:
                found.add(sha)
                waiting += _parents(self._entries[sha])
        return found

    def _commits_of(self, number: int) -> Iterator[str]:
        """https://docs.gitlab.com/api/merge_requests/#retrieve-merge-request-commits"""
        self._asked += 1
        if self._asked > MOST_ASKED:
            self.left_out = True
            return
        pages = self._project.pages(f"/merge_requests/{number}/commits", size=100, most=3)
        yield from (_sha_of(entry) for page in pages for entry in page)

    def _pull(self, entry: dict[str, Any]) -> PullRequest | None:
        number, author = entry.get("iid"), entry.get("author")
        if not isinstance(number, int):
            return None
        text = " ".join(str(entry.get(name) or "") for name in ("source_branch", "description"))
        return PullRequest(
            number=number,
            title=str(entry.get("title") or ""),
            url=f"{self._project.page}/-/merge_requests/{number}",
            author=str(author.get("username") or "") if isinstance(author, dict) else "",
            text=text[:LONGEST_TEXT],
        )


def _sha_of(entry: dict[str, Any]) -> str:
    sha = entry.get("id")
    if not isinstance(sha, str) or not _SHA.fullmatch(sha):
        raise garbage(LABEL)
    return sha


def _parents(entry: dict[str, Any]) -> list[str]:
    found = entry.get("parent_ids")
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def _moment(text: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else None
