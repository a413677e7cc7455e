"""What delivr asks of a host of repositories."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from .base import Option, Provider


@dataclass(frozen=True, kw_only=True)
class Branch:
    """What a repository has under a name that a build is made from: a branch, or a tag or commit.

    Where it `exists`, its newest commit, as far as it is told (`title` is the first line of its
    message); else `similar` names of branches, the nearest first.
    """

    name: str
    exists: bool
    commit: str = ""
    title: str = ""
    similar: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Ref:
    """A branch or a tag: the commit that it names (an annotated tag's too), and its page."""

    name: str
    commit: str
    url: str = ""


@dataclass(frozen=True, kw_only=True)
class PullRequest:
    """A pull or merge request. `text` is what else it says: its description and its branch."""

    number: int
    title: str
    url: str
    author: str = ""
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class Commit:
    """A commit with its whole message. `author` is the account at the host, or the name in git."""

    sha: str
    message: str
    url: str
    author: str = ""
    pull_request: PullRequest | None = None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What `head` has and `base` has not.

    `total` and `behind` are the host's own counts: commits that only `head` has, and those that
    only `base` has. `commits` are the newest of them, newest first. If not all are there, or their
    pull requests could not be read, `is_complete` is False and `note` says why.
    """

    commits: Sequence[Commit]
    total: int
    behind: int = 0
    is_complete: bool = True
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class ReleaseDraft:
    """A release to prepare at the host; `notes` are Markdown."""

    tag: str
    commit: str
    name: str
    notes: str


@dataclass(frozen=True, kw_only=True)
class HostedRelease:
    """A release at the host; `commit` is what it was prepared for, "" if that is not told."""

    tag: str
    url: str
    is_draft: bool
    commit: str = ""


class ScmProvider(Provider):
    """A host of repositories.

    What changes something is called by effects, at most once at a time for a release, and again
    after a lost response: the name of a branch, of a tag or of a release's tag is its natural key.
    """

    has_releases: ClassVar[bool] = False  # besides tags

    @abstractmethod
    def repositories(self) -> list[Option]: ...

    @abstractmethod
    def branch(self, name: str, *, within: float) -> Branch:
        """Look for a branch (or a tag), within so many seconds for all calls together.

        Answers that it does not exist only where that is sure; raises ProviderError where it is
        not.
        """

    @abstractmethod
    def default_branch(self) -> str: ...

    @abstractmethod
    def read_branch(self, name: str) -> Ref | None:
        """The branch of exactly this name; None if it certainly does not exist."""

    @abstractmethod
    def create_branch(self, name: str, *, commit: str) -> Ref:
        """Create a branch at a commit of the repository. No error if it is there already at this
        commit.

        Raises ProviderError("branch_elsewhere", REFUSED) if it is at another one.
        """

    @abstractmethod
    def read_tag(self, name: str) -> Ref | None:
        """Likewise for a tag."""

    @abstractmethod
    def create_tag(self, name: str, *, commit: str) -> Ref:
        """Likewise for a tag; the code is "tag_elsewhere"."""

    @abstractmethod
    def compare(self, base: str, head: str, *, most: int) -> Comparison:
        """The commits of `head` that `base` lacks, `most` at most, with their pull requests. Both
        are commits."""

    def read_release(self, tag: str) -> HostedRelease | None:
        """The release of a tag, published or not. Not called if `has_releases` is False."""
        raise NotImplementedError

    def draft_release(self, draft: ReleaseDraft) -> HostedRelease:
        """Prepare a release that nobody takes for published: a draft, or, where the host has none,
        an upcoming one. If there is one for the tag, it is only pointed at the commit: people may
        have edited its notes. Not called if `has_releases` is False."""
        raise NotImplementedError
