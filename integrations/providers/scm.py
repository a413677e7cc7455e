"""What delivr asks of a host of repositories."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

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


class ScmProvider(Provider):
    @abstractmethod
    def repositories(self) -> list[Option]: ...

    @abstractmethod
    def branch(self, name: str, *, within: float) -> Branch:
        """Look for a branch (or a tag), within so many seconds for all calls together.

        Answers that it does not exist only where that is sure; raises ProviderError where it is
        not.
        """
