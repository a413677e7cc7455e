"""The commits between two commits, with their pull requests.

https://docs.github.com/en/rest/commits/commits#compare-two-commits
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..base import ProviderError
from ..http import garbage, objects
from ..scm import Commit, Comparison, PullRequest
from .refusals import LABEL
from .verification import moved

if TYPE_CHECKING:
    from .client import GitHubClient

PAGE = 64  # commits; a power of two, so that smaller pages end where these begin
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_NUMBER = re.compile(r"\(#(\d{1,9})\)\s*$")  # a squashed pull request's commit ends its title so
LONGEST_TEXT = 4000  # characters of a message or a description
UNREAD = "timeout"  # the code of an error if the time is over


class Comparing:
    """One comparison. `server` is where people open the repository."""

    def __init__(self, client: GitHubClient, repository: str, server: str) -> None:
        self._client = client
        self._repository = repository
        self._page = f"{server}/{repository}"
        self._notes: list[str] = []

    def compare(self, base: str, head: str, *, most: int) -> Comparison:
        self._head = head
        self._path = f"/repos/{self._repository}/compare/{base}...{head}"
        (total, behind), found = self._first(most)
        first = max((total - most) // PAGE + 1, 1) if total > most else 1
        found = [] if first > 1 else found
        found += self._pages(range(max(first, 2), (total - 1) // PAGE + 2))
        commits = [self._read(entry) for entry in found[::-1]][:most]
        if len(commits) < total:
            self._notes.append(f"{len(commits):,} of {total:,} commits are listed.")
        commits = self._with_pull_requests(commits)
        note = " ".join(self._notes)
        return Comparison(
            commits=commits, total=total, behind=behind, is_complete=not note, note=note
        )

    def _first(self, most: int) -> tuple[tuple[int, int], list[dict[str, Any]]]:
        """The counts, and the oldest commits.

        The first page has the changed files too, which may be more than is read. Without it, the
        counts are on any other, and the commits on the second pages of smaller sizes.
        """
        try:
            data = self._ask(1, PAGE)
        except ProviderError as error:
            failure = error
        else:
            return _totals(data), objects(data.get("commits"), LABEL)
        if failure.code != "too_large":
            raise failure
        data = self._ask(2, 1)
        totals = _totals(data)
        if totals[0] > most:
            return totals, []
        found = objects(data.get("commits"), LABEL)
        size = 2
        while size < PAGE and size < totals[0]:
            found += objects(self._ask(2, size).get("commits"), LABEL)
            size *= 2
        return totals, [*self._oldest(data, found), *found]

    def _oldest(self, data: dict[str, Any], others: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The commit before the first one: the only parent that is neither listed nor the merge
        base, if there is just one."""
        known = {_sha_of(entry) for entry in others} | {_sha_of(data.get("merge_base_commit"))}
        parents = {_sha_of(p) for entry in others for p in objects(entry.get("parents"), LABEL)}
        missing = parents - known if others else {self._head}
        if len(missing) != 1:
            return []
        path = f"/repos/{self._repository}/commits/{missing.pop()}"
        found = self._client.get(path, per_page=1).data  # with one of its files
        return [found] if isinstance(found, dict) else []

    def _pages(self, numbers: Iterable[int]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for number in numbers:
            try:
                found += objects(self._ask(number, PAGE).get("commits"), LABEL)
            except ProviderError as error:
                if error.code != UNREAD:
                    raise
                self._notes.append("GitHub responds too slowly to list them all.")
                break
        return found

    def _ask(self, page: int, size: int) -> dict[str, Any]:
        try:
            data = self._client.get(self._path, page=page, per_page=size).data
        except ProviderError as error:
            failure = error
        else:
            if not isinstance(data, dict):
                raise garbage(LABEL)
            return data
        raise moved(self._repository) if failure.code == "redirect" else failure

    def _read(self, entry: dict[str, Any]) -> Commit:
        sha, about = _sha_of(entry), entry.get("commit")
        about = about if isinstance(about, dict) else {}
        message = str(about.get("message") or "")[:LONGEST_TEXT]
        return Commit(
            sha=sha,
            message=message,
            url=f"{self._page}/commit/{sha}",
            author=_login(entry.get("author")) or _name(about.get("author")),
            pull_request=self._by_title(message.partition("\n")[0]),
        )

    def _by_title(self, title: str) -> PullRequest | None:
        number = _NUMBER.search(title)
        if number is None:
            return None
        words = title[: number.start()].strip()
        return PullRequest(number=int(number[1]), title=words, url=self._pull_page(number[1]))

    def _pull_page(self, number: object) -> str:
        return f"{self._page}/pull/{number}"

    def _with_pull_requests(self, commits: list[Commit]) -> list[Commit]:
        """With what brought each commit. Of a merge the number in its title has to do if they
        cannot be read."""
        found: dict[str, PullRequest] = {}
        for start in range(0, len(commits), PAGE):
            shas = [commit.sha for commit in commits[start : start + PAGE]]
            try:
                found |= self._pull_requests(shas)
            except ProviderError as error:
                self._notes.append(f"Not all of their pull requests could be read: {error.message}")
                break
        return [replace(c, pull_request=found.get(c.sha) or c.pull_request) for c in commits]

    def _pull_requests(self, shas: list[str]) -> dict[str, PullRequest]:
        try:
            return self._asked(shas, "body")
        except ProviderError as error:
            failure = error
        if failure.code != "too_large":
            raise failure
        return self._asked(shas, "")

    def _asked(self, shas: list[str], more: str) -> dict[str, PullRequest]:
        """One question for all: https://docs.github.com/en/graphql/reference/objects#commit"""
        each = " ".join(f'c{n}: object(oid: "{sha}") {{ ...P }}' for n, sha in enumerate(shas))
        query = f"{_QUERY % each} {_FRAGMENT % more}"
        owner, _slash, name = self._repository.partition("/")
        answer = self._client.graphql(query, owner=owner, name=name).data
        data = answer.get("data") if isinstance(answer, dict) else None
        repository = data.get("repository") if isinstance(data, dict) else None
        if isinstance(answer, dict) and answer.get("errors"):
            self._note_errors(objects(answer["errors"], LABEL))
        if not isinstance(repository, dict):
            return {}
        named = ((sha, repository.get(f"c{n}")) for n, sha in enumerate(shas))
        pulls = ((sha, self._pull(commit)) for sha, commit in named if isinstance(commit, dict))
        return {sha: pull for sha, pull in pulls if pull is not None}

    def _note_errors(self, errors: list[dict[str, Any]]) -> None:
        said = self._client.words(errors[0].get("message")) if errors else ""
        note = f"Not all of their pull requests could be read: {said or 'GitHub does not say why.'}"
        if note not in self._notes:
            self._notes.append(note)

    def _pull(self, commit: dict[str, Any]) -> PullRequest | None:
        """The merged one, if there are several."""
        pulls = commit.get("associatedPullRequests")
        nodes = objects(pulls.get("nodes"), LABEL) if isinstance(pulls, dict) else []
        nodes.sort(key=lambda node: node.get("mergedAt") is None)
        if not nodes or not isinstance(nodes[0].get("number"), int):
            return None
        node = nodes[0]
        text = " ".join(str(node.get(name) or "") for name in ("headRefName", "body"))
        return PullRequest(
            number=node["number"],
            title=str(node.get("title") or ""),
            url=self._pull_page(node["number"]),
            author=_login(node.get("author")),
            text=text[:LONGEST_TEXT],
        )


_QUERY = "query ($owner: String!, $name: String!) { repository(owner: $owner, name: $name) { %s } }"
_FRAGMENT = (
    "fragment P on Commit { associatedPullRequests(first: 3) { nodes "
    "{ number title mergedAt headRefName author { login } %s } } }"
)


def _totals(data: dict[str, Any]) -> tuple[int, int]:
    """The commits that only the head has, and those that only the base has."""
    total, behind = data.get("total_commits"), data.get("behind_by")
    if not isinstance(total, int) or not isinstance(behind, int) or min(total, behind) < 0:
        raise garbage(LABEL)
    return total, behind


def _sha_of(entry: object) -> str:
    sha = entry.get("sha") if isinstance(entry, dict) else None
    if not isinstance(sha, str) or not _SHA.fullmatch(sha):
        raise garbage(LABEL)
    return sha


def _login(user: object) -> str:
    login = user.get("login") if isinstance(user, dict) else None
    return login if isinstance(login, str) else ""


def _name(author: object) -> str:
    name = author.get("name") if isinstance(author, dict) else None
    return name if isinstance(name, str) else ""
