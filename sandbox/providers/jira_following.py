"""Jira's remote links, comments and transitions of an issue.

https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issue-remote-links/
https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issue-comments/
https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issues/
"""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify, request

from sandbox.providers.jira_fields import is_document
from sandbox.providers.jira_issues import find_issue, issue_url
from sandbox.providers.jira_site import (
    ACCOUNT_ID,
    API,
    blueprint,
    json_body,
    may,
    refuse,
    require_person,
    status_json,
    tickets,
    when,
)
from sandbox.tickets import Issue

LINK_FIELDS = {"globalId", "application", "relationship", "object"}
PAGE, PAGE_LIMIT = 50, 5000


def _allowed(wanted: str, permission: str, words: str) -> Issue:
    require_person()
    issue = find_issue(wanted)
    if not may(issue, permission):
        refuse(403, words)
    return issue


# Remote links


@blueprint.post(f"{API}/issue/<wanted>/remotelink")
def put_link(version: str, wanted: str) -> tuple[Response, int]:
    """Creates a link, or replaces the one with the same `globalId`."""
    words = f"You do not have permission to link issue '{wanted}'."
    issue, body = _allowed(wanted, "LINK_ISSUES", words), json_body()
    for name in set(body) - LINK_FIELDS:
        refuse(400, f'Unrecognized field "{name}".')
    facts = body.get("object")
    if not isinstance(facts, dict):
        refuse(400, errors={"object": "'object' is required."})
    for name in ("url", "title"):
        if not facts.get(name) or (len(str(facts[name])) > 255 and name == "title"):
            refuse(400, errors={name: f"'{name}' is required."})
    global_id = str(body.get("globalId") or f"none-{len(issue.links)}")
    if len(global_id) > 255:
        refuse(400, errors={"globalId": "globalId can't exceed 255 characters."})
    is_new = tickets().link(issue, global_id, facts)
    number = _link_number(issue, global_id)
    answer = {"id": number, "self": f"{issue_url(issue, version)}/remotelink/{number}"}
    return jsonify(answer), 201 if is_new else 200


def _link_number(issue: Issue, global_id: str) -> int:
    return 10000 + int(issue.id) * 10 + list(issue.links).index(global_id)


@blueprint.get(f"{API}/issue/<wanted>/remotelink")
def get_links(version: str, wanted: str) -> Response:
    """With `globalId` it answers one link instead of a list."""
    issue = find_issue(wanted)
    sought = request.args.get("globalId")
    links = [
        {"id": _link_number(issue, name), "globalId": name, "application": {}, "object": facts}
        for name, facts in issue.links.items()
        if sought in (None, name)
    ]
    if sought is None:
        return jsonify(links)
    if not links:
        refuse(404, f"No remote link with the global id '{sought}'.")
    return jsonify(links[0])


# Comments


@blueprint.post(f"{API}/issue/<wanted>/comment")
def add_comment(version: str, wanted: str) -> tuple[Response, int]:
    words = f"You do not have the permission to comment on issue {wanted}."
    issue, body = _allowed(wanted, "ADD_COMMENTS", words), json_body()
    for name in set(body) - {"body", "visibility", "properties"}:
        refuse(400, f'Unrecognized field "{name}".')
    text = body.get("body")
    if version == "2" and not (isinstance(text, str) and text.strip()):
        refuse(400, errors={"comment": "Comment body is not valid!"})
    if version != "2" and not is_document(text):
        refuse(400, errors={"comment": "Comment body is not valid!"})
    comment = tickets().comment(issue, text)
    return jsonify(_comment_json(issue, comment, version)), 201


def _comment_json(issue: Issue, comment: dict[str, Any], version: str) -> dict[str, Any]:
    return {
        "self": f"{issue_url(issue, version)}/comment/{comment['id']}",
        "id": comment["id"],
        "author": {"accountId": ACCOUNT_ID, "displayName": "delivr"},
        "body": comment["body"],
        "created": when(comment["created"]),
        "updated": when(comment["created"]),
    }


@blueprint.get(f"{API}/issue/<wanted>/comment")
def get_comments(version: str, wanted: str) -> Response:
    issue = find_issue(wanted)
    found = [_comment_json(issue, comment, version) for comment in issue.comments]
    if request.args.get("orderBy", "created").startswith("-"):
        found = found[::-1]
    start = request.args.get("startAt", 0, type=int)
    size = min(request.args.get("maxResults", PAGE, type=int), PAGE_LIMIT)
    page = {"startAt": start, "maxResults": size, "total": len(found)}
    return jsonify({**page, "comments": found[start : start + size]})


# Transitions


def _transitions(issue: Issue) -> list[dict[str, Any]]:
    project = tickets().project(issue.project)
    if project is None or not may(issue, "TRANSITION_ISSUES"):
        return []
    return [
        {
            "id": str(11 + 10 * number),
            "name": f"Move to {name}",
            "to": status_json(name),
            "hasScreen": False,
            "isGlobal": True,
            "isInitial": False,
            "isAvailable": True,
            "isConditional": False,
        }
        for number, name in enumerate(project.statuses)
        if name != issue.status
    ]


@blueprint.get(f"{API}/issue/<wanted>/transitions")
def get_transitions(version: str, wanted: str) -> Response:
    return jsonify({"expand": "transitions", "transitions": _transitions(find_issue(wanted))})


@blueprint.post(f"{API}/issue/<wanted>/transitions")
def transition(version: str, wanted: str) -> tuple[str, int]:
    require_person()
    issue, body = find_issue(wanted), json_body()
    chosen = (body.get("transition") or {}).get("id")
    to = next((t["to"]["name"] for t in _transitions(issue) if t["id"] == chosen), None)
    if to is None:
        refuse(400, f"It is not possible to move issue {issue.key} by the transition '{chosen}'.")
    tickets().move(issue, to)
    return "", 204
