"""Commits, pull requests and releases of the repositories in the stand-ins for GitHub and
GitLab, and the rules for new refs."""

from __future__ import annotations

import fnmatch
import hashlib
from dataclasses import asdict, dataclass, field
from typing import Any

from sandbox.shared import Shared

PEOPLE = ("octocat", "hubot", "priya")
MINUTES = 60.0
# What was merged into dream11/app, oldest first: title, and what its pull request adds.
WORK = (
    ("Show the wallet on the home screen", "MOBILE-101"),
    ("MOBILE-102 Keep the session over an update", ""),
    ("Update the SDK of the maps", ""),
    ("Fix the crash on opening a deep link", "Fixes MOBILE-104."),
    ("Translate the onboarding", ""),
    ("MOBILE-107 Let people mute a contest", "Also closes MOBILE-88."),
    ("Remove the old checkout", ""),
    ("Cache the list of players", "MOBILE-110"),
    ("Ask for notifications later", ""),
    ("MOBILE-112 Show the countdown in the widget", ""),
    ("Raise the minimum to iOS 16", ""),
    ("Fix the layout on tablets", "MOBILE-115"),
    ("Log in with a passkey", "Part of MOBILE-120."),
    ("MOBILE-121 Pay with saved cards", ""),
    ("Measure the start of the app", ""),
    ("Fix a leak in the video player", "MOBILE-124"),
    ("Show who is online", ""),
    ("MOBILE-126 Share a team by link", ""),
    ("Use the new icons", ""),
    ("Compress the images", "MOBILE-130, see UTF-8 and SHA-256."),
    ("Retry failed uploads", ""),
    ("MOBILE-131 Restore purchases", ""),
)
RELEASED = 12  # of them are in 1.4.0


def digest(*parts: str) -> str:
    return hashlib.sha1("/".join(parts).encode(), usedforsecurity=False).hexdigest()


@dataclass
class Commit:
    sha: str
    parents: list[str]
    message: str
    author: str
    at: float
    pull: int | None = None  # that brought it into the default branch


@dataclass
class Pull:
    number: int
    title: str
    body: str
    branch: str
    author: str


@dataclass
class Release:
    id: int
    tag: str
    target: str
    name: str
    body: str
    draft: bool
    author: str
    released_at: float = 0.0  # of GitLab, which knows upcoming releases in place of drafts


@dataclass
class Rule:
    """A ruleset that forbids to create refs: `kind` is heads or tags, `pattern` as in fnmatch."""

    id: int
    pattern: str
    kind: str = "heads"
    source: str = ""  # the organization; "": the repository itself


@dataclass
class RepositoryHistory:
    commits: dict[str, Commit] = field(default_factory=dict)
    pulls: dict[int, Pull] = field(default_factory=dict)
    releases: list[Release] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)  # id of an annotated tag -> its commit
    changed_files: int = 3  # that a comparison lists
    patch_size: int = 200  # bytes of each
    touches_workflows: bool = False  # the commits change .github/workflows
    hides_pulls: bool = False  # the token may not read pull requests

    def ancestors(self, sha: str) -> dict[str, Commit]:
        """The commit and all before it."""
        found: dict[str, Commit] = {}
        waiting = [sha]
        while waiting:
            commit = self.commits.get(waiting.pop())
            if commit is not None and commit.sha not in found:
                found[commit.sha] = commit
                waiting += commit.parents
        return found

    def only_in(self, head: str, base: str) -> list[Commit]:
        """The commits of `head` that `base` lacks, oldest first."""
        known = self.ancestors(base)
        found = [c for sha, c in self.ancestors(head).items() if sha not in known]
        return sorted(found, key=lambda commit: commit.at)

    def merge_base(self, head: str, base: str) -> str:
        """The newest common commit; "" if there is none."""
        known = self.ancestors(base)
        shared = [c for sha, c in self.ancestors(head).items() if sha in known]
        return max(shared, key=lambda commit: commit.at).sha if shared else ""

    def annotate(self, commit: str, name: str, message: str) -> str:
        """A new annotated tag's own object, which names the commit."""
        made = digest("tag", commit, name, message)
        self.tags[made] = commit
        return made

    def forbidding(self, kind: str, name: str) -> Rule | None:
        return next(
            (r for r in self.rules if r.kind == kind and fnmatch.fnmatch(name, r.pattern)), None
        )


class History:
    """By the repositories' full names. `brought_by` is what the host adds to the message of a
    commit that a pull request brought."""

    def __init__(self, shared: Shared, *, brought_by: str = " (#{number})") -> None:
        self._shared = shared
        self._brought_by = brought_by
        self.of: dict[str, RepositoryHistory] = {}

    def begin(self, name: str, refs: dict[str, str], work: tuple[tuple[str, str], ...]) -> None:
        """The first commits of a repository with the branches main, develop and release/1.4.0."""
        found = self.of[name] = RepositoryHistory()
        start = self._shared.clock() - 30 * 24 * 60 * MINUTES
        last = self._add(found, name, [], "Begin", at=start)
        for number, (title, body) in enumerate(work, 1):
            sha = refs["refs/heads/main"] if number == len(work) else ""
            last = self._merge(found, name, last, title, body, number, start, sha)
            if number == RELEASED:
                self._fix(found, name, last, refs["refs/heads/release/1.4.0"])
        self._add(
            found, name, [last], "Try something", at=start + 9e5, sha=refs["refs/heads/develop"]
        )

    def _merge(
        self,
        found: RepositoryHistory,
        name: str,
        parent: str,
        title: str,
        body: str,
        number: int,
        start: float,
        sha: str = "",
    ) -> str:
        """A squashed pull request on the default branch."""
        author = PEOPLE[number % len(PEOPLE)]
        branch = title.lower().replace(" ", "-")
        found.pulls[number] = Pull(number, title, body, branch, author)
        at = start + number * 90 * MINUTES
        message = title + self._brought_by.format(name=name, number=number)
        return self._add(found, name, [parent], message, author=author, at=at, pull=number, sha=sha)

    def _fix(self, found: RepositoryHistory, name: str, parent: str, sha: str) -> None:
        message = "Fix the price of a ticket\n\nMOBILE-117, only in 1.4.0 until it is merged back."
        at = found.commits[parent].at + 10 * MINUTES
        self._add(found, name, [parent], message, at=at, sha=sha)

    def _add(
        self,
        found: RepositoryHistory,
        name: str,
        parents: list[str],
        message: str,
        *,
        at: float,
        author: str = PEOPLE[0],
        pull: int | None = None,
        sha: str = "",
    ) -> str:
        sha = sha or digest(name, *parents, message, str(len(found.commits)))
        found.commits[sha] = Commit(sha, parents, message, author, at, pull)
        return sha

    def push(
        self,
        name: str,
        parent: str,
        *,
        count: int = 1,
        message: str = "Change something",
        author: str = PEOPLE[1],
        pull: bool = False,
    ) -> str:
        """New commits after `parent`; the last one's id. With `pull` each is a merged one."""
        found = self.of[name]
        at = max(self._shared.clock(), found.commits[parent].at)
        for step in range(1, count + 1):
            number = max(found.pulls, default=0) + 1
            text = message if count == 1 else f"{message} {step}"
            if pull:
                found.pulls[number] = Pull(number, text, "", f"change-{number}", author)
                text += self._brought_by.format(name=name, number=number)
            parent = self._add(
                found,
                name,
                [parent],
                text,
                at=at + step / 1000,
                author=author,
                pull=number if pull else None,
            )
        self._shared.touch()
        return parent

    def note(self, name: str, sha: str, parent: str, message: str) -> None:
        """A commit that a ref points to without having been pushed here."""
        found = self.of[name]
        if sha not in found.commits:
            before = found.commits.get(parent)
            at = max(self._shared.clock(), before.at if before else 0)
            self._add(found, name, [parent] if before else [], message, at=at, sha=sha)

    def rename(self, old: str, new: str) -> None:
        self.of[new] = self.of.pop(old)

    def dump(self) -> dict[str, Any]:
        return {name: asdict(found) for name, found in self.of.items()}

    def load(self, data: dict[str, Any]) -> None:
        self.of |= {name: _revive(found) for name, found in data.items()}


def _revive(data: dict[str, Any]) -> RepositoryHistory:
    return RepositoryHistory(
        **{
            **data,
            "commits": {sha: Commit(**commit) for sha, commit in data["commits"].items()},
            "pulls": {int(number): Pull(**pull) for number, pull in data["pulls"].items()},
            "releases": [Release(**release) for release in data["releases"]],
            "rules": [Rule(**rule) for rule in data["rules"]],
        }
    )
