"""Creates branches and tags, and explains in words why GitLab refuses.

https://docs.gitlab.com/api/branches/ https://docs.gitlab.com/api/tags/
"""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from ..base import ProviderError
from ..http import garbage
from ..ref_errors import (
    after_refusal,
    commit_gone,
    elsewhere,
    empty,
    folder_in_the_way,
    name_in_the_way,
)
from ..scm import Ref
from .addresses import enc
from .project import Project
from .refusals import LABEL

_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


@dataclass(frozen=True)
class Kind:
    """`field` is what a new one's name is sent as, `page` where people open it."""

    word: str
    path: str
    field: str
    page: str


BRANCH = Kind("branch", "branches", "branch", "tree")
TAG = Kind("tag", "tags", "tag_name", "tags")


class Refs:
    """The branches and tags of one project."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def default_branch(self) -> str:
        name = self._project.read().get("default_branch")
        if name is None:
            raise empty(self._project.path)
        if not isinstance(name, str) or not name:
            raise garbage(LABEL)
        return name

    def read(self, kind: Kind, name: str) -> Ref | None:
        try:
            data = self._project.get(f"/repository/{kind.path}/{enc(name)}")
        except ProviderError as error:
            failure = error
        else:
            return self._ref(kind, name, data)
        if failure.code != "not_found":
            raise failure
        self._project.read()  # may the token see the project at all?
        return None

    def create(self, kind: Kind, name: str, commit: str) -> Ref:
        body = {kind.field: name, "ref": commit}
        try:
            return self._ref(kind, name, self._project.post(f"/repository/{kind.path}", **body))
        except ProviderError as error:
            failure = error
        if failure.code == "forbidden":
            raise self._project.why_forbidden(failure)
        if failure.code not in ("refused", "conflict"):
            raise failure
        there = after_refusal(lambda: self.read(kind, name))
        if there is None:
            raise self._refused(failure, kind, name, commit)
        if there.commit != commit:
            raise elsewhere(LABEL, kind.word, there, commit)
        return there

    def _ref(self, kind: Kind, name: str, data: Any) -> Ref:
        """The commit of an annotated tag is the one that it names, too."""
        commit = data.get("commit") if isinstance(data, dict) else None
        sha = commit.get("id") if isinstance(commit, dict) else None
        if not isinstance(sha, str) or not _SHA.fullmatch(sha):
            raise garbage(LABEL)
        return Ref(name=name, commit=sha, url=f"{self._project.page}/-/{kind.page}/{quote(name)}")

    def _refused(self, failure: ProviderError, kind: Kind, name: str, commit: str) -> ProviderError:
        """The reason for a refusal of a name that is not there."""
        text = failure.message.lower()
        if "protected" in text:
            return protected(kind, name, self._rule(kind, name), failure.message)
        if "pattern" in text:
            return _push_rule(failure, name)
        if other := self._in_the_way(kind, name):
            return name_in_the_way(LABEL, kind.word, name, other)
        if "invalid reference name" in text or text.endswith("is invalid"):
            return commit_gone(LABEL, commit)
        return failure

    def _rule(self, kind: Kind, name: str) -> str:
        """The protected name or wildcard that matches; "" if none is known.

        https://docs.gitlab.com/api/protected_branches/ https://docs.gitlab.com/api/protected_tags/
        """
        try:
            for page in self._project.pages(f"/protected_{kind.path}", size=100, most=2):
                for rule in page:
                    pattern = str(rule.get("name"))
                    if fnmatch.fnmatchcase(name, pattern):
                        return self._project.client.words(pattern)
        except ProviderError:  # the words of the refusal have to do
            pass
        return ""

    def _in_the_way(self, kind: Kind, name: str) -> str:
        """A ref that is a folder of this name, or that has this name as a folder."""
        try:
            if found := folder_in_the_way(name, lambda part: self.read(kind, part)):
                return found
            path = f"/repository/{kind.path}"
            below = next(self._project.pages(path, size=1, most=1, search=f"^{name}/"))
        except ProviderError:
            return ""
        return self._project.client.words(below[0].get("name")) if below else ""


def protected(kind: Kind, name: str, rule: str, said: str) -> ProviderError:
    """https://docs.gitlab.com/user/project/repository/branches/protected/"""
    named = f"The protected {kind.word} {rule}" if rule else f"A protected {kind.word}"
    allowed = "push and merge" if kind is BRANCH else "create"
    place = "Protected branches" if kind is BRANCH else "Protected tags"
    return ProviderError.refused(
        "rule_forbids",
        f"{named} does not allow creating {name}. {said}",
        f"On GitLab, under Settings > Repository > {place}, allow the token's user or role to "
        f"{allowed} {'it' if rule else 'such names'} and retry, or create it manually.",
    )


def _push_rule(failure: ProviderError, name: str) -> ProviderError:
    """https://docs.gitlab.com/user/project/repository/push_rules/"""
    return ProviderError.refused(
        "rule_forbids",
        f"A push rule does not allow creating {name}. {failure.message}",
        "Change the rule on GitLab under Settings > Repository > Push rules and retry, or create "
        "the release with another branch name.",
    )
