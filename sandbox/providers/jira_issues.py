"""Jira's issues: creating, reading and searching them.

https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issues/
https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issue-search/
"""

from __future__ import annotations

import base64
import html
from typing import Any

from flask import Response, abort, g, jsonify, request

from sandbox.providers.jira_fields import TOP_LEVEL, Draft, not_settable
from sandbox.providers.jira_jql import JqlError, matcher
from sandbox.providers.jira_site import (
    API,
    blueprint,
    json_body,
    project_json,
    refuse,
    require_person,
    site,
    tickets,
    type_json,
    when,
)
from sandbox.tickets import Issue

SEARCH_PAGE, SEARCH_LIMIT = 50, 5000
REMOVED = (
    "The requested API has been removed. Please migrate to the /rest/api/3/search/jql API."
    " A full migration guideline is available at https://developer.atlassian.com/changelog/#CHANGE-2046"
)
ISSUE_GONE = "Issue does not exist or you do not have permission to see it."


@blueprint.post(f"{API}/issue")
def create_issue(version: str) -> tuple[Response, int]:
    require_person()
    body = json_body()
    for name in set(body) - TOP_LEVEL:
        refuse(400, f'Unrecognized field "{name}". Check that your request body is valid.')
    fields = body.get("fields") or {}
    if not isinstance(fields, dict):
        refuse(400, "Operation value must be an object")
    draft = Draft(tickets(), "3" if version == "latest" else version, fields)
    draft.check()
    properties = _properties(body.get("properties") or [])
    if draft.project and "CREATE_ISSUES" not in draft.project.permissions:
        refuse(403, "You do not have permission to create issues in this project.")
    if draft.errors or draft.project is None or draft.issue_type is None:
        # Validators of third-party apps leave a null among the messages.
        messages = [None, *draft.messages] if draft.custom else draft.messages
        refuse(400, *messages, errors=draft.errors)
    issue = tickets().create(
        draft.project, draft.issue_type, properties=properties, **draft.facts()
    )
    return jsonify({"id": issue.id, "key": issue.key, "self": _self(issue, version)}), 201


def _properties(given: Any) -> dict[str, Any]:
    try:
        return {item["key"]: item["value"] for item in given}
    except (KeyError, TypeError):
        refuse(400, errors={"properties": "Each property needs a key and a value."})


def _self(issue: Issue, version: str) -> str:
    return f"{site()}/rest/api/{version}/issue/{issue.id}"


def _issue(wanted: str) -> Issue:
    issue = tickets().issue(wanted) if g.signed_in else None
    if issue is None:
        refuse(404, ISSUE_GONE)
    return issue


@blueprint.get(f"{API}/issue/<wanted>")
def get_issue(version: str, wanted: str) -> Response:
    issue = _issue(wanted)
    return jsonify(_issue_json(issue, version, request.args.get("fields", "*all").split(",")))


def _issue_json(issue: Issue, version: str, asked: list[str]) -> dict[str, Any]:
    data = {"id": issue.id, "key": issue.key, "self": _self(issue, version), "expand": ""}
    fields = _issue_fields(issue, version)
    if "*all" not in asked and "*navigable" not in asked:
        fields = {name: value for name, value in fields.items() if name in asked}
    return {**data, "fields": fields}


def _issue_fields(issue: Issue, version: str) -> dict[str, Any]:
    project = tickets().project(issue.project)
    issue_type = project.issue_type({"id": issue.issue_type}) if project else None
    return {
        "summary": issue.summary,
        "labels": issue.labels,
        "description": issue.description,
        "issuetype": type_json(issue_type, version) if issue_type else None,
        "project": project_json(project, version) if project else None,
        "parent": {"key": issue.parent} if issue.parent else None,
        "status": {"name": issue.status, "id": "1"},
        "created": when(issue.created_at),
        "updated": when(issue.updated_at),
    }


@blueprint.put(f"{API}/issue/<wanted>")
def update_issue(version: str, wanted: str) -> tuple[str, int]:
    issue = _issue(wanted)
    given = json_body().get("fields") or {}
    for name in set(given) - {"summary", "labels", "description"}:
        refuse(400, errors={name: not_settable(name)})
    tickets().update(issue, **given)
    return "", 204


@blueprint.get(f"{API}/issue/<wanted>/properties")
def issue_properties(version: str, wanted: str) -> Response:
    issue = _issue(wanted)
    url = f"{_self(issue, version)}/properties"
    return jsonify({"keys": [{"key": key, "self": f"{url}/{key}"} for key in issue.properties]})


@blueprint.get(f"{API}/issue/<wanted>/properties/<key>")
def issue_property(version: str, wanted: str, key: str) -> Response:
    issue = _issue(wanted)
    if key not in issue.properties:
        refuse(404, f"The property with key '{key}' does not exist.")
    return jsonify({"key": key, "value": issue.properties[key]})


@blueprint.put(f"{API}/issue/<wanted>/properties/<key>")
def set_issue_property(version: str, wanted: str, key: str) -> tuple[str, int]:
    issue = _issue(wanted)
    status = 200 if key in issue.properties else 201
    tickets().update(issue, properties={**issue.properties, key: request.get_json(force=True)})
    return "", status


# Search


@blueprint.route(f"{API}/search", methods=["GET", "POST"])
def old_search(version: str) -> Response:
    refuse(410, REMOVED)


@blueprint.get(f"{API}/search/jql")
def search(version: str) -> Response:
    asked = request.args.get("fields", "id").split(",")
    ids = request.args.getlist("reconcileIssues")
    return _search(version, request.args.to_dict(), asked, ids)


@blueprint.post(f"{API}/search/jql")
def search_by_post(version: str) -> Response:
    body = json_body()
    known = {
        "jql",
        "fields",
        "maxResults",
        "nextPageToken",
        "reconcileIssues",
        "expand",
        "properties",
        "fieldsByKeys",
    }
    if unknown := set(body) - known:
        refuse(400, f'Unrecognized field "{sorted(unknown)[0]}".')
    return _search(version, body, body.get("fields") or ["id"], body.get("reconcileIssues") or [])


def _search(version: str, query: dict[str, Any], asked: list[str], ids: list[Any]) -> Response:
    """The index lags, so a new issue may be missing; by default only ids are shown."""
    try:
        wanted = matcher(str(query.get("jql", "")), tickets())
    except JqlError as error:
        refuse(400, str(error))
    pool = tickets().searchable(frozenset(str(i) for i in ids)) if g.signed_in else []
    found = [issue for issue in pool if wanted(issue)]
    start, size = (
        _token_start(query),
        min(int(query.get("maxResults") or SEARCH_PAGE), SEARCH_LIMIT),
    )
    page = found[start : start + size]
    answer = {
        "issues": [_found_json(i, version, asked) for i in page],
        "isLast": start + size >= len(found),
    }
    if not answer["isLast"]:
        answer["nextPageToken"] = base64.urlsafe_b64encode(str(start + size).encode()).decode()
    return jsonify(answer)


def _token_start(query: dict[str, Any]) -> int:
    token = query.get("nextPageToken")
    if not token:
        return 0
    try:
        return int(base64.urlsafe_b64decode(str(token)))
    except ValueError:
        refuse(400, "The nextPageToken is invalid.")


def _found_json(issue: Issue, version: str, asked: list[str]) -> dict[str, Any]:
    return {"id": issue.id} if asked == ["id"] else _issue_json(issue, version, asked)


# The page behind a link to an issue


@blueprint.get("/browse/<key>")
def browse(key: str) -> Response:
    issue = tickets().issue(key)
    if issue is None:
        abort(404)
    title = html.escape(f"{issue.key} {issue.summary}")
    labels = html.escape(", ".join(issue.labels))
    text = html.escape(str(issue.description or ""))
    page = f"<!DOCTYPE html><title>{title}</title><h1>{title}</h1><p>{labels}</p><pre>{text}</pre>"
    return Response(page, 200, content_type="text/html;charset=utf-8")
