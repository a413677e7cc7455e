"""What follows a release at its epic: the link to it, comments, and the move to done.

https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issue-remote-links/
https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issue-comments/
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ..base import ProviderError
from ..http import before_effect, dicts, objects, vendor_words
from ..tickets import Comment, Link
from .client import JiraClient, segment
from .errors import LABEL

_DONE = "done"  # the key of the category, in every language
_LONGEST = 255  # characters of a link's title
_NEWEST = 100  # comments that are searched


# --- The link -------------------------------------------------------------------------------------


def link_body(link: Link) -> dict[str, Any]:
    """A link with the same `globalId` is changed; what it does not name is emptied."""
    return {
        "globalId": _global_id(link),
        "application": {"type": "com.delivr", "name": "delivr"},
        "relationship": "released by",
        "object": {
            "url": link.url,
            "title": link.title[:_LONGEST],
            "summary": link.summary[:_LONGEST],
            "status": {"resolved": link.is_resolved},
        },
    }


def _global_id(link: Link) -> str:
    """With our own host: two installations may link the same ticket."""
    return f"delivr={urlsplit(link.url).netloc}&release={link.name}"[:_LONGEST]


def has_link(client: JiraClient, key: str, link: Link) -> bool:
    path = f"issue/{segment(key)}/remotelink"
    try:
        found = client.get(path, globalId=_global_id(link))
    except ProviderError as error:
        if error.code != "not_found":
            raise
        return False
    there, wanted = found.get("object"), link_body(link)["object"]
    return isinstance(there, dict) and all(
        there.get(name) == wanted[name] for name in ("url", "title", "summary")
    )


# --- Comments -------------------------------------------------------------------------------------


def comment_body(client: JiraClient, comment: Comment, correlation: str) -> dict[str, Any]:
    """The link carries the correlation after its #, where no reader sees it."""
    return {"body": client.api.comment(comment, f"{comment.url}#{correlation}")}


def find_comment(client: JiraClient, key: str, correlation: str) -> str | None:
    """The id of the comment with this correlation, among the newest."""
    answer = client.get(
        f"issue/{segment(key)}/comment", orderBy="-created", maxResults=_NEWEST, startAt=0
    )
    for one in objects(answer.get("comments"), LABEL):
        if f"#{correlation}" in json.dumps(one.get("body")):
            return str(one.get("id"))
    return None


# --- The move -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Transition:
    id: str
    status: str
    names: frozenset[str]  # in lower case, with the ids


def status_of(issue: Mapping[str, Any]) -> tuple[str, bool]:
    """An issue's status, and whether it counts as done.

    https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-workflow-status-categories/
    """
    fields = issue.get("fields")
    status = fields.get("status") if isinstance(fields, dict) else None
    found = status if isinstance(status, dict) else {}
    return str(found.get("name") or ""), _is_done(found)


def _is_done(status: Mapping[str, Any]) -> bool:
    category = status.get("statusCategory")
    return isinstance(category, dict) and category.get("key") == _DONE


def finish(client: JiraClient, key: str, wanted: str) -> str:
    """Move it to a status of the category “done”: the one called `wanted`, or the only one, or the
    one called Done."""
    path = f"issue/{segment(key)}"
    name, is_done = status_of(before_effect(LABEL, lambda: client.get(path, fields="status")))
    if is_done:
        return _words(client, name)
    answer = before_effect(LABEL, lambda: client.get(f"{path}/transitions"))
    chosen = _chosen(client, list(_to_done(answer)), wanted, _words(client, name))
    client.post(f"{path}/transitions", {"transition": {"id": chosen.id}})
    return _words(client, chosen.status)


def finished_as(client: JiraClient, key: str) -> str | None:
    name, is_done = status_of(client.get(f"issue/{segment(key)}", fields="status"))
    return _words(client, name) if is_done else None


def _to_done(answer: Mapping[str, Any]) -> Iterator[Transition]:
    for one in dicts(answer.get("transitions")):
        to = one.get("to")
        if isinstance(to, dict) and _is_done(to) and one.get("isAvailable") is not False:
            names = (to.get("name"), to.get("id"), one.get("name"))
            yield Transition(
                id=str(one.get("id")),
                status=str(to.get("name")),
                names=frozenset(str(name).casefold() for name in names if name),
            )


def _chosen(client: JiraClient, found: Sequence[Transition], wanted: str, now: str) -> Transition:
    if not found:
        raise ProviderError.refused(
            "no_transition",
            f"From “{now}”, the workflow allows no move to a status that counts as done.",
            "Move the epic in Jira, or add such a transition to its workflow.",
        )
    named = [one for one in found if (wanted or "Done").casefold() in one.names]
    if not wanted and len({one.status for one in found}) == 1:
        named = list(found)
    if named:
        return named[0]
    names = ", ".join(dict.fromkeys(_words(client, one.status) for one in found))
    if wanted:
        message = f"From “{now}”, the workflow does not allow “{wanted}”. It allows: {names}."
    else:
        message = f"The workflow has several statuses that count as done: {names}."
    raise ProviderError.refused(
        "choose_status", message, "Enter one of them under “Done status” in this connection."
    )


def _words(client: JiraClient, text: str) -> str:
    return vendor_words(text, secrets=client.secrets, limit=80)
