"""The interface to a repository host."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from django.utils.translation import gettext_lazy, ngettext_lazy

from .base import Option, Provider
from .fields import Words

_PREFIX = re.compile(r"^(refs/)?(heads/|(remotes/)?(origin|upstream)/|remotes/[^/]+/)")


def short_branch(name: str) -> str:
    """The branch's own name, where git or a CI server writes it as a ref or with its remote:
    `release/1.5.0` for `refs/remotes/origin/release/1.5.0`."""
    return _PREFIX.sub("", name.strip())


@dataclass(frozen=True, kw_only=True)
class Branch:
    """What a repository has under the name that a build uses: a branch, a tag or a commit.

    If it `exists`, its newest commit, as far as it is known (`title` is the first line of its
    message); otherwise `similar` branch names, the most similar first.
    """

    name: str
    exists: bool
    commit: str = ""
    title: str = ""
    similar: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Ref:
    """A branch or a tag: the commit that it points to (also for an annotated tag), and its page."""

    name: str
    commit: str
    url: str = ""


@dataclass(frozen=True, kw_only=True)
class PullRequest:
    """A pull or merge request. `text` is the rest of its text: its description and its branch."""

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
    """The commits that `head` has and `base` lacks.

    `total` and `behind` are the host's own counts, or of what it lists: commits that only `head`
    has, and those that only `base` has. `commits` are the newest of them, newest first. If not all
    are listed, or their pull requests could not be read, `is_complete` is False and `note` says
    why.
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
    """A release at the host; `commit` is the one it was prepared for, "" if unknown."""

    tag: str
    url: str
    is_draft: bool
    commit: str = ""


class ScmProvider(Provider):
    """A repository host.

    Effects call the methods that change something, one at a time for a release, and again after a
    lost response: the name of the branch, the tag or the release's tag is the natural key.
    """

    has_releases: ClassVar[bool] = False  # besides tags
    # What a pull request is called in its host's words, and what stands before its number.
    pull_words: ClassVar[Words] = ngettext_lazy(
        "%(count)d pull request", "%(count)d pull requests", "count"
    )
    pull_mark: ClassVar[str] = "#"
    # What a prepared release is called, and what to know before one is wanted.
    draft_words: ClassVar[Words] = gettext_lazy("Draft of %(tag)s")
    draft_note: ClassVar[Words] = ""

    @abstractmethod
    def repositories(self) -> list[Option]: ...

    @abstractmethod
    def branch(self, name: str, *, within: float) -> Branch:
        """Look for a branch (or a tag), within this many seconds for all calls together.

        Reports a missing branch only if that is certain; otherwise raises ProviderError.
        """

    @abstractmethod
    def default_branch(self) -> str: ...

    @abstractmethod
    def read_branch(self, name: str) -> Ref | None:
        """The branch of exactly this name; None if it certainly does not exist."""

    @abstractmethod
    def create_branch(self, name: str, *, commit: str) -> Ref:
        """Create a branch at a commit of the repository. No error if it already exists at this
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
        """Prepare an unpublished release: a draft or, if the host has no drafts, an upcoming
        release. If there is already one for the tag, it is only moved to the commit: people may
        have edited its notes. Not called if `has_releases` is False."""
        raise NotImplementedError
