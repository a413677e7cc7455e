"""Creates branches and tags, and explains in words why GitHub refuses.

https://docs.github.com/en/rest/git/refs
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ..base import Outcome, ProviderError
from ..http import garbage, objects
from ..ref_errors import (
    after_refusal,
    commit_gone,
    elsewhere,
    empty,
    folder_in_the_way,
    name_in_the_way,
)
from ..scm import Ref
from .refusals import LABEL, WORKFLOWS, reason_of
from .verification import moved, not_found

if TYPE_CHECKING:
    from .client import GitHubClient

HEADS, TAGS = "heads", "tags"
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_WORDS = {HEADS: "branch", TAGS: "tag"}


class Refs:
    """The branches and tags of one repository; `server` is where people open it."""

    def __init__(self, client: GitHubClient, repository: str, server: str) -> None:
        self._client = client
        self._repository = repository
        self._base = f"/repos/{repository}"
        self._page = f"{server}/{repository}"

    def default_branch(self) -> str:
        data = self._read("").data
        name = data.get("default_branch") if isinstance(data, dict) else None
        if not isinstance(name, str) or not name:
            raise garbage(LABEL)
        return name

    def read(self, kind: str, name: str) -> Ref | None:
        """Exactly this ref, not one whose name only begins with it."""
        try:
            data = self._client.get(quote(f"{self._base}/git/ref/{kind}/{name}")).data
        except ProviderError as error:
            failure = error
        else:
            return self._ref(kind, name, self._commit(data))
        if failure.code == "conflict":  # an empty repository
            return None
        if failure.code == "not_found":
            self._read("")  # may the token see the repository at all?
            return None
        raise self._explained(failure)

    def create(self, kind: str, name: str, commit: str) -> Ref:
        try:
            self._client.post(f"{self._base}/git/refs", ref=f"refs/{kind}/{name}", sha=commit)
        except ProviderError as error:
            failure = error
        else:
            return self._ref(kind, name, commit)
        if failure.code != "refused":
            raise self._explained(failure)
        there = after_refusal(lambda: self.read(kind, name))
        if there is None:
            raise self._refused(failure, kind, name, commit)
        if there.commit != commit:
            raise elsewhere(LABEL, _WORDS[kind], there, commit)
        return there

    def _commit(self, data: Any) -> str:
        """The commit of a ref; that of an annotated tag is in the tag's own object."""
        target = data.get("object") if isinstance(data, dict) else None
        if not isinstance(target, dict) or not _SHA.fullmatch(str(target.get("sha"))):
            raise garbage(LABEL)
        if target.get("type") == "tag":
            return self._commit(self._client.get(f"{self._base}/git/tags/{target['sha']}").data)
        return str(target["sha"])

    def _ref(self, kind: str, name: str, commit: str) -> Ref:
        path = "tree" if kind == HEADS else "releases/tag"
        return Ref(name=name, commit=commit, url=f"{self._page}/{path}/{quote(name)}")

    def _read(self, path: str) -> Any:
        try:
            return self._client.get(f"{self._base}{path}")
        except ProviderError as error:
            failure = error
        raise self._explained(failure)

    def _explained(self, failure: ProviderError) -> ProviderError:
        if failure.code == "redirect":
            return moved(self._repository)
        if failure.code == "not_found":
            return not_found(self._repository)
        if failure.code == "conflict":
            return empty(self._repository)
        return failure

    def _refused(self, failure: ProviderError, kind: str, name: str, commit: str) -> ProviderError:
        """The reason for a 422 of a ref that is not there."""
        if re.search(WORKFLOWS, failure.message):
            reason = reason_of("workflows_permission")
            return ProviderError(reason.code, failure.message, reason.hint, outcome=reason.outcome)
        if "object does not exist" in failure.message.lower():
            return commit_gone(LABEL, commit)
        if kind == HEADS and (rule := self._rule(name)):
            return _ruled(failure, name, rule)
        if "rule violations" in failure.message.lower():
            return _ruled(failure, name, "a ruleset")
        if other := self._in_the_way(kind, name):
            return name_in_the_way(LABEL, _WORDS[kind], name, other)
        return failure

    def _rule(self, name: str) -> str:
        """The active rule that does not allow creating a branch; "" if none is known. GitHub also
        reports it for names that do not exist: https://docs.github.com/en/rest/repos/rules"""
        try:
            data = self._client.get(quote(f"{self._base}/rules/branches/{name}")).data
            rules = objects(data, LABEL)
        except ProviderError:  # the words of the refusal have to do
            return ""
        for rule in rules:
            if rule.get("type") in _FORBIDS_CREATION:
                number = rule.get("ruleset_id")
                source = self._client.words(rule.get("ruleset_source")) or self._repository
                return f"ruleset {number} of {source}" if isinstance(number, int) else source
        return ""

    def _in_the_way(self, kind: str, name: str) -> str:
        """A ref that is a folder of this name, or that has this name as a folder."""
        try:
            if found := folder_in_the_way(name, lambda part: self.read(kind, part)):
                return found
            path = quote(f"{self._base}/git/matching-refs/{kind}/{name}/")
            below = objects(self._client.get(path, per_page=1).data, LABEL)
        except ProviderError:
            return ""
        full = str(below[0].get("ref", "")) if below else ""
        return self._client.words(full.removeprefix(f"refs/{kind}/"))


_FORBIDS_CREATION = {"creation", "branch_name_pattern", "tag_name_pattern"}


def _ruled(failure: ProviderError, name: str, rule: str) -> ProviderError:
    return ProviderError(
        "rule_forbids",
        f"{rule[0].upper()}{rule[1:]} does not allow creating {name}. {failure.message}",
        "Add the token's owner to the ruleset's bypass list on GitHub (Settings > Rules) and "
        "retry, or create it manually.",
        outcome=Outcome.REFUSED,
    )
