"""Jira's issues: creating, reading and searching them.

https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issues/
https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issue-search/
"""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from typing import Any

from flask import Response, abort, g, jsonify, request

from sandbox.providers.jira_fields import TOP_LEVEL, Draft, not_settable
from sandbox.providers.jira_jql import JqlError, matcher
from sandbox.providers.jira_site import (
    API,
    at_data_center,
    blueprint,
    json_body,
    may,
    project_json,
    refuse,
    require_person,
    site,
    status_json,
    tickets,
    type_json,
    when,
)
from sandbox.tickets import Issue, Version

SEARCH_PAGE, SEARCH_LIMIT = 50, 5000
BULK_LIMIT = 100
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
    return jsonify({"id": issue.id, "key": issue.key, "self": issue_url(issue, version)}), 201


def _properties(given: Any) -> dict[str, Any]:
    try:
        return {item["key"]: item["value"] for item in given}
    except (KeyError, TypeError):
        refuse(400, errors={"properties": "Each property needs a key and a value."})


def issue_url(issue: Issue, version: str) -> str:
    return f"{site()}/rest/api/{version}/issue/{issue.id}"


def find_issue(wanted: str) -> Issue:
    issue = tickets().issue(wanted) if g.signed_in else None
    if issue is None:
        refuse(404, ISSUE_GONE)
    return issue


@blueprint.get(f"{API}/issue/<wanted>")
def get_issue(version: str, wanted: str) -> Response:
    issue = find_issue(wanted)
    return jsonify(_issue_json(issue, version, request.args.get("fields", "*all").split(",")))


def _issue_json(issue: Issue, version: str, asked: list[str]) -> dict[str, Any]:
    data = {"id": issue.id, "key": issue.key, "self": issue_url(issue, version), "expand": ""}
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
        "status": status_json(issue.status),
        "fixVersions": [
            _version_json(one) for one in map(tickets().version, issue.versions) if one
        ],
        "created": when(issue.created_at),
        "updated": when(issue.updated_at),
    }


@blueprint.put(f"{API}/issue/<wanted>")
def update_issue(version: str, wanted: str) -> tuple[str, int]:
    issue = find_issue(wanted)
    body = json_body()
    if not may(issue, "EDIT_ISSUES"):
        refuse(403, "You do not have permission to edit issues in this project.")
    given = body.get("fields") or {}
    for name in set(given) - {"summary", "labels", "description"}:
        refuse(400, errors={name: not_settable(name)})
    changes = body.get("update") or {}
    for name in set(changes) - {"fixVersions"}:
        refuse(400, errors={name: not_settable(name)})
    if "fixVersions" in changes:
        _plan(issue, changes["fixVersions"])
    if given:
        tickets().update(issue, **given)
    return "", 204


def _plan(issue: Issue, operations: Any) -> None:
    """Adds or removes versions, one by one; each has to be one of the issue's project."""
    project = tickets().project(issue.project)
    if project is None or not project.has_versions:
        refuse(400, errors={"fixVersions": not_settable("fixVersions")})
    planned = list(issue.versions)
    for operation in operations:
        ((verb, wanted),) = operation.items()
        names = {str(wanted.get("id")), wanted.get("name")}
        known = [v for v in tickets().versions_of(project) if not v.archived]
        found = next((v for v in known if v.id in names or v.name in names), None)
        if verb not in ("add", "remove") or found is None:
            words = f"Version id '{wanted.get('id')}' is not valid."
            refuse(400, errors={"fixVersions": words})
        planned = [v for v in planned if v != found.id]
        planned += [found.id] if verb == "add" else []
    tickets().plan(issue, planned)


def _version_json(version: Version) -> dict[str, Any]:
    return {"id": version.id, "name": version.name, "released": version.released}


@blueprint.post(f"{API}/issue/bulkfetch")
def bulk_fetch(version: str) -> Response:
    """Issues that do not exist, or may not be seen, are left out without an error.

    https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issues/#api-rest-api-3-issue-bulkfetch-post
    """
    require_person()
    body = json_body()
    known = {"issueIdsOrKeys", "fields", "expand", "fieldsByKeys", "properties"}
    if unknown := set(body) - known:
        refuse(400, f'Unrecognized field "{sorted(unknown)[0]}".')
    wanted = body.get("issueIdsOrKeys")
    if not isinstance(wanted, list) or not wanted or len(wanted) > BULK_LIMIT:
        refuse(400, f"Between 1 and {BULK_LIMIT} issue ids or keys are required.")
    found = [issue for issue in map(tickets().issue, map(str, wanted)) if issue]
    asked = body.get("fields") or ["*navigable"]
    return jsonify(
        {"expand": "", "issueErrors": [], "issues": [_issue_json(i, version, asked) for i in found]}
    )


@blueprint.get(f"{API}/issue/<wanted>/properties")
def issue_properties(version: str, wanted: str) -> Response:
    issue = find_issue(wanted)
    url = f"{issue_url(issue, version)}/properties"
    return jsonify({"keys": [{"key": key, "self": f"{url}/{key}"} for key in issue.properties]})


@blueprint.get(f"{API}/issue/<wanted>/properties/<key>")
def issue_property(version: str, wanted: str, key: str) -> Response:
    issue = find_issue(wanted)
    if key not in issue.properties:
        refuse(404, f"The property with key '{key}' does not exist.")
    return jsonify({"key": key, "value": issue.properties[key]})


@blueprint.put(f"{API}/issue/<wanted>/properties/<key>")
def set_issue_property(version: str, wanted: str, key: str) -> tuple[str, int]:
    issue = find_issue(wanted)
    status = 200 if key in issue.properties else 201
    tickets().update(issue, properties={**issue.properties, key: request.get_json(force=True)})
    return "", status


# Search


@blueprint.route(f"{API}/search", methods=["GET", "POST"])
def old_search(version: str) -> Response:
    """Only Data Center still has it."""
    if not at_data_center():
        refuse(410, REMOVED)
    query = json_body() if request.method == "POST" else request.args.to_dict()
    found = _matching(query, strict=query.get("validateQuery", True) is True)
    size = int(query.get("maxResults") or SEARCH_PAGE)
    asked = query.get("fields") or ["*navigable"]
    asked = asked.split(",") if isinstance(asked, str) else asked
    issues = [_issue_json(issue, version, asked) for issue in found[:size]]
    return jsonify({"startAt": 0, "maxResults": size, "total": len(found), "issues": issues})


@blueprint.post(f"{API}/search/approximate-count")
def approximate_count(version: str) -> Response:
    require_person()
    return jsonify({"count": len(_matching(json_body()))})


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
    found = _matching(query, ids)
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


def _matching(
    query: dict[str, Any], ids: Sequence[Any] = (), *, strict: bool = True
) -> list[Issue]:
    try:
        wanted = matcher(str(query.get("jql", "")), tickets(), strict=strict)
    except JqlError as error:
        refuse(400, str(error))
    pool = tickets().searchable(frozenset(str(i) for i in ids)) if g.signed_in else []
    return [issue for issue in pool if wanted(issue)]


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
    versions = [v.name for v in map(tickets().version, issue.versions) if v]
    parts = [
        f"<p>{html.escape(issue.status)}, {html.escape(', '.join(issue.labels))}</p>",
        f"<p>Versions: {html.escape(', '.join(versions) or 'none')}</p>",
        f"<pre>{html.escape(str(issue.description or ''))}</pre>",
        *(f"<p>Link: {html.escape(str(link))}</p>" for link in issue.links.values()),
        *(f"<blockquote>{html.escape(str(c['body']))}</blockquote>" for c in issue.comments),
    ]
    page = f"<!DOCTYPE html><title>{title}</title><h1>{title}</h1>{''.join(parts)}"
    return Response(page, 200, content_type="text/html;charset=utf-8")
