"""What differs between Jira Cloud and Jira Data Center.

https://developer.atlassian.com/cloud/jira/platform/rest/v3/
https://docs.atlassian.com/software/jira/docs/api/REST/9.12.0/
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from ..http import objects
from ..tickets import Comment
from .adf import document, linked_document
from .errors import DATA_CENTER_NAME, LABEL

_KEY = re.compile(r"[A-Z][A-Z0-9_]{0,99}-[0-9]{1,18}")
# https://jira.atlassian.com/secure/WikiRendererHelpAction.jspa?section=all
_WIKI_MARKUP = re.compile(r"([\\{}\[\]*_+^~!|#])")


@dataclass(frozen=True, kw_only=True)
class Found:
    """The first results of a search; `total` is their number as Jira counts them."""

    issues: list[dict[str, Any]]
    total: int


class Calls(Protocol):
    """The part of `JiraClient` that is needed here."""

    def get(self, path: str, **params: str | int) -> dict[str, Any]: ...

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]: ...


class Deployment(ABC):
    code: ClassVar[str]  # in the API, and in the list of checks
    name: ClassVar[str]
    api: ClassVar[str]  # version of the REST API
    account_key: ClassVar[str]  # what tells an account in `myself`
    user_key: ClassVar[str]  # by what a person is named in a field
    user_words: ClassVar[str]
    has_levels: ClassVar[bool]  # of issue types

    @abstractmethod
    def text(self, text: str) -> Any:
        """Plain text as the value of a field with formatted text."""

    @abstractmethod
    def comment(self, comment: Comment, url: str) -> Any:
        """The body of a comment that ends with a link to `url`."""

    @abstractmethod
    def search(self, client: Calls, jql: str, fields: Sequence[str], *, most: int) -> Found:
        """At most `most` issues, and the number of all."""

    @abstractmethod
    def issues(
        self, client: Calls, keys: Sequence[str], fields: Sequence[str]
    ) -> list[dict[str, Any]]:
        """Those of the issues that exist, and that the account may see."""


class CloudApi(Deployment):
    code, name, api = "Cloud", "Jira Cloud", "3"
    account_key, user_key, has_levels = "accountId", "accountId", True
    user_words = "the account id of a person, which ends the address of the profile"

    def text(self, text: str) -> Any:
        return document(text)

    def comment(self, comment: Comment, url: str) -> Any:
        return linked_document(comment.text, url, comment.label)

    def search(self, client: Calls, jql: str, fields: Sequence[str], *, most: int) -> Found:
        """The search reports no total: a request of its own estimates it, if there is more."""
        answer = client.get("search/jql", jql=jql, fields=",".join(fields), maxResults=most)
        issues = objects(answer.get("issues"), LABEL)
        if answer.get("isLast") is not False:
            return Found(issues=issues, total=len(issues))
        count = client.post("search/approximate-count", {"jql": jql}).get("count")
        known = count if isinstance(count, int) else 0
        return Found(issues=issues, total=max(known, len(issues)))

    def issues(
        self, client: Calls, keys: Sequence[str], fields: Sequence[str]
    ) -> list[dict[str, Any]]:
        body = {"issueIdsOrKeys": list(keys), "fields": list(fields)}
        return objects(client.post("issue/bulkfetch", body).get("issues"), LABEL)


class DataCenterApi(Deployment):
    code, name, api = "Data Center", DATA_CENTER_NAME, "2"
    account_key, user_key, has_levels = "name", "name", False
    user_words = "the user name of a person"

    def text(self, text: str) -> Any:
        return _WIKI_MARKUP.sub(r"\\\1", text)

    def comment(self, comment: Comment, url: str) -> Any:
        return f"{self.text(comment.text)}\n\n[{self.text(comment.label)}|{url}]"

    def search(self, client: Calls, jql: str, fields: Sequence[str], *, most: int) -> Found:
        return self._search(client, {"jql": jql, "fields": list(fields), "maxResults": most})

    def issues(
        self, client: Calls, keys: Sequence[str], fields: Sequence[str]
    ) -> list[dict[str, Any]]:
        """By a search that is not validated: otherwise one unknown key makes all of it an error."""
        wanted = ", ".join(key for key in keys if _KEY.fullmatch(key))
        body = {
            "jql": f"key in ({wanted})",
            "fields": list(fields),
            "maxResults": len(keys),
            "validateQuery": False,
        }
        return self._search(client, body).issues if wanted else []

    def _search(self, client: Calls, body: dict[str, Any]) -> Found:
        answer = client.post("search", body)
        issues, total = objects(answer.get("issues"), LABEL), answer.get("total")
        return Found(issues=issues, total=total if isinstance(total, int) else len(issues))


CLOUD, DATA_CENTER = CloudApi(), DataCenterApi()
