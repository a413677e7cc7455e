"""Jira Cloud's REST API, versions 2 and 3, for one site at /jira.

https://developer.atlassian.com/cloud/jira/platform/rest/v3/
"""

from __future__ import annotations

import base64
import hmac
import html
from datetime import UTC, datetime
from typing import Any, NoReturn

from flask import Blueprint, Response, abort, g, jsonify, request

from sandbox import accounts
from sandbox.context import own_url, world
from sandbox.providers.jira_fields import TOP_LEVEL, Draft, metadata, not_settable
from sandbox.providers.jira_jql import JqlError, matcher
from sandbox.tickets import Issue, IssueType, Project, Tickets

blueprint = Blueprint("jira", __name__, url_prefix="/jira")
API = "/rest/api/<any('2', '3', 'latest'):version>"
ACCOUNT_ID = "5a4db0c5:00000000-0000-4000-8000-000000000001"
CLOUD_ID = "5a4db0c5-0000-4000-8000-00000000c10d"
CAPTCHA_HEADER = "X-Seraph-LoginReason"
SEARCH_PAGE, SEARCH_LIMIT = 50, 5000
REMOVED = (
    "The requested API has been removed. Please migrate to the /rest/api/3/search/jql API."
    " A full migration guideline is available at https://developer.atlassian.com/changelog/#CHANGE-2046"
)
ISSUE_GONE = "Issue does not exist or you do not have permission to see it."


def refuse(status: int, *messages: str, errors: dict[str, str] | None = None) -> NoReturn:
    answer = jsonify({"errorMessages": list(messages), "errors": errors or {}})
    answer.status_code = status
    abort(answer)


@blueprint.before_request
def authenticate() -> None:
    """Wrong credentials make a stranger, not an error: public pages answer strangers with 200."""
    credentials = request.authorization
    g.signed_in = bool(
        credentials
        and credentials.type == "basic"
        and (credentials.username or "").lower() == accounts.JIRA_EMAIL
        and hmac.compare_digest(
            (credentials.password or "").encode(), accounts.JIRA_API_TOKEN.encode()
        )
    )
    g.failed = bool(request.headers.get("Authorization")) and not g.signed_in


@blueprint.after_request
def headers(response: Response) -> Response:
    response.headers["X-AREQUESTID"] = "5a4db0c5"
    if g.get("failed"):
        response.headers[CAPTCHA_HEADER] = "AUTHENTICATED_FAILED"
    elif g.get("signed_in"):
        response.headers["X-AACCOUNTID"] = ACCOUNT_ID.replace(":", "%3A")
    return response


def require_person() -> None:
    if not g.signed_in:
        text = "Client must be authenticated to access this resource."
        abort(Response(text, 401, content_type="text/plain;charset=UTF-8"))


def tickets() -> Tickets:
    return world().jira


def site() -> str:
    return own_url("jira")


def _body() -> dict[str, Any]:
    if request.mimetype != "application/json":
        abort(Response(status=415))
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        refuse(400, "There was an error parsing JSON. Check that your request body is valid.")
    return body


# Site and person


@blueprint.get("/_edge/tenant_info")
def tenant_info() -> Response:
    return jsonify({"cloudId": CLOUD_ID})


@blueprint.get(f"{API}/serverInfo")
def server_info(version: str) -> Response:
    return jsonify(
        {
            "baseUrl": site(),
            "displayUrl": site(),
            "version": "1001.0.0-SNAPSHOT",
            "versionNumbers": [1001, 0, 0],
            "deploymentType": "Cloud",
            "buildNumber": 100290,
            "buildDate": "2026-01-01T00:00:00.000+0000",
            "serverTime": when(world().clock()),
            "scmInfo": "5a4db0c5",
            "serverTitle": "Jira",
            "defaultLocale": {"locale": "en_US"},
        }
    )


def when(moment: float) -> str:
    text = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
    return f"{text[:-3]}+0000"


@blueprint.get(f"{API}/myself")
def myself(version: str) -> Response:
    require_person()
    return jsonify(
        {
            "self": f"{site()}/rest/api/{version}/user?accountId={ACCOUNT_ID}",
            "accountId": ACCOUNT_ID,
            "accountType": "atlassian",
            "emailAddress": accounts.JIRA_EMAIL,
            "displayName": "delivr",
            "active": True,
            "timeZone": "Etc/UTC",
            "locale": "en_US",
        }
    )


@blueprint.get(f"{API}/mypermissions")
def my_permissions(version: str) -> Response:
    asked = [name for name in request.args.get("permissions", "").split(",") if name]
    if not asked:
        refuse(400, "The 'permissions' query parameter is required.")
    wanted = request.args.get("projectKey") or request.args.get("projectId")
    project = _project(wanted) if wanted else None
    return jsonify({"permissions": {name: _permission(name, project) for name in asked}})


def _permission(name: str, project: Project | None) -> dict[str, Any]:
    granted = project.permissions if project else frozenset({"BROWSE_PROJECTS", "CREATE_ISSUES"})
    return {
        "id": str(10 + len(name)),
        "key": name,
        "name": name.replace("_", " ").title(),
        "type": "PROJECT",
        "description": "",
        "havePermission": g.signed_in and name in granted,
    }


@blueprint.get(f"{API}/field")
def fields(version: str) -> Response:
    names = ("summary", "description", "labels", "issuetype", "project", "status", "created")
    return jsonify(
        [{"id": n, "key": n, "name": n.title(), "custom": False, "clauseNames": [n]} for n in names]
    )


# Projects


def _project(wanted: str) -> Project:
    """404 stands for missing, for not permitted, and for a stranger's question."""
    project = tickets().project(wanted) if g.signed_in else None
    if project is None:
        refuse(404, f"No project could be found with key '{wanted}'.")
    return project


def _project_json(project: Project, version: str) -> dict[str, Any]:
    return {
        "self": f"{site()}/rest/api/{version}/project/{project.id}",
        "id": project.id,
        "key": project.key,
        "name": project.name,
        "projectTypeKey": "software",
        "style": "next-gen" if project.team_managed else "classic",
        "simplified": project.team_managed,
        "isPrivate": False,
        "archived": False,
    }


@blueprint.get(f"{API}/project/<wanted>")
def project(version: str, wanted: str) -> Response:
    found = _project(wanted)
    types = [_type_json(t, version) for t in found.issue_types]
    return jsonify({**_project_json(found, version), "description": "", "issueTypes": types})


def _type_json(issue_type: IssueType, version: str) -> dict[str, Any]:
    return {
        "self": f"{site()}/rest/api/{version}/issuetype/{issue_type.id}",
        "id": issue_type.id,
        "name": issue_type.name,
        "description": "",
        "subtask": issue_type.level < 0,
        "hierarchyLevel": issue_type.level,
    }


@blueprint.get(f"{API}/project/search")
def project_search(version: str) -> Response:
    """Strangers get an empty list, not an error."""
    query = request.args.get("query", "").lower()
    found = [p for p in tickets().browsable() if query in f"{p.key} {p.name}".lower()]
    shown = [_project_json(p, version) for p in found] if g.signed_in else []
    return jsonify(_page("values", shown, default=50))


@blueprint.get(f"{API}/project")
def projects(version: str) -> Response:
    found = tickets().browsable() if g.signed_in else []
    return jsonify([_project_json(p, version) for p in found])


def _page(name: str, items: list[Any], *, default: int) -> dict[str, Any]:
    start = max(request.args.get("startAt", 0, type=int), 0)
    size = min(max(request.args.get("maxResults", default, type=int), 1), 200)
    end = start + size
    page = {"startAt": start, "maxResults": size, "total": len(items), "isLast": end >= len(items)}
    return {**page, name: items[start:end]}


# What a new issue needs


@blueprint.get(f"{API}/issue/createmeta/<wanted>/issuetypes")
def create_types(version: str, wanted: str) -> Response:
    found = _creatable(wanted)
    types = [_type_json(t, version) for t in found.issue_types]
    return jsonify(_page("issueTypes", types, default=50))


@blueprint.get(f"{API}/issue/createmeta/<wanted>/issuetypes/<type_id>")
def create_fields(version: str, wanted: str, type_id: str) -> Response:
    found = _creatable(wanted)
    issue_type = found.issue_type({"id": type_id})
    if issue_type is None:
        refuse(404, "The issue type does not exist in this project.")
    return jsonify(_page("fields", metadata(found, issue_type), default=50))


def _creatable(wanted: str) -> Project:
    found = _project(wanted)
    if "CREATE_ISSUES" not in found.permissions:
        refuse(404, f"No project could be found with key '{wanted}'.")
    return found


# Issues


@blueprint.post(f"{API}/issue")
def create_issue(version: str) -> tuple[Response, int]:
    require_person()
    body = _body()
    for name in set(body) - TOP_LEVEL:
        refuse(400, f'Unrecognized field "{name}". Check that your request body is valid.')
    draft = Draft(tickets(), "3" if version == "latest" else version, body.get("fields") or {})
    draft.check()
    properties = _properties(body.get("properties") or [])
    if draft.project and "CREATE_ISSUES" not in draft.project.permissions:
        refuse(403, "You do not have permission to create issues in this project.")
    if draft.errors or draft.project is None or draft.issue_type is None:
        refuse(400, *draft.messages, errors=draft.errors)
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
        "issuetype": _type_json(issue_type, version) if issue_type else None,
        "project": _project_json(project, version) if project else None,
        "parent": {"key": issue.parent} if issue.parent else None,
        "status": {"name": issue.status, "id": "1"},
        "created": when(issue.created_at),
        "updated": when(issue.updated_at),
    }


@blueprint.put(f"{API}/issue/<wanted>")
def update_issue(version: str, wanted: str) -> tuple[str, int]:
    issue = _issue(wanted)
    given = _body().get("fields") or {}
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
    body = _body()
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
    """The index lags behind, so a new issue may be missing; by default only ids are shown."""
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


# For a person who follows a link to an issue


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


@blueprint.route("/<path:path>", methods=["GET", "POST", "PUT", "DELETE"])
def unknown(path: str) -> Response:
    return Response(
        "<html><body>Oops, you've found a dead link.</body></html>", 404, content_type="text/html"
    )
