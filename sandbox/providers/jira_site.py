"""Jira's site: authentication, projects, and what a new issue needs.

https://developer.atlassian.com/cloud/jira/platform/rest/v3/
"""

from __future__ import annotations

import hmac
import re
from datetime import UTC, datetime
from typing import Any, NoReturn

from flask import Blueprint, Response, abort, g, jsonify, request

from sandbox import accounts
from sandbox.context import own_url, state
from sandbox.providers.jira_fields import metadata
from sandbox.tickets import CATEGORIES, Issue, IssueType, Project, Tickets

blueprint = Blueprint("jira", __name__, url_prefix="/jira")
API = "/rest/api/<any('2', '3', 'latest'):version>"
ACCOUNT_ID = "5a4db0c5:00000000-0000-4000-8000-000000000001"
CLOUD_ID = "5a4db0c5-0000-4000-8000-00000000c10d"
GATEWAY = "jira_gateway"  # the blueprint's name at the gateway
GATEWAY_PREFIX = f"/atlassian/ex/jira/{CLOUD_ID}"
DATA_CENTER = "jira_data_center"  # the blueprint's name there
DATA_CENTER_PREFIX = "/dc/jira"
ONLY_CLOUD = ("/search/jql", "/search/approximate-count", "/issue/bulkfetch", "/project/search")
# https://confluence.atlassian.com/pages/viewpage.action?pageId=1384133808
IP_REFUSED = (
    "The IP address has been rejected because it is not on the allowed list."
    " See your admin for more information."
)
CAPTCHA_HEADER = "X-Seraph-LoginReason"


def refuse(status: int, *messages: str | None, errors: dict[str, str] | None = None) -> NoReturn:
    answer = jsonify({"errorMessages": list(messages), "errors": errors or {}})
    answer.status_code = status
    abort(answer)


@blueprint.before_request
def authenticate() -> None:
    """With wrong credentials a request is anonymous, not an error: public pages answer 200.

    The gateway has only the API, and only the gateway accepts tokens with scopes.
    """
    if at_data_center():
        _authenticate_at_data_center()
        return
    at_gateway = request.blueprint == GATEWAY
    if at_gateway and "/rest/api/" not in request.path:
        abort(Response("<html><body>Not found</body></html>", 404, content_type="text/html"))
    if _is_signed_in_by(accounts.JIRA_BLOCKED_TOKEN):
        refuse(403, IP_REFUSED)
    g.signed_in = _is_signed_in_by(accounts.JIRA_API_TOKEN) or (
        at_gateway and _is_signed_in_by(accounts.JIRA_SCOPED_TOKEN)
    )
    g.failed = bool(request.headers.get("Authorization")) and not g.signed_in


def at_data_center() -> bool:
    return request.blueprint == DATA_CENTER


def _authenticate_at_data_center() -> None:
    """By a personal access token; there is no version 3, and none of what only Jira Cloud has.

    https://confluence.atlassian.com/enterprise/using-personal-access-tokens-1026032365.html
    """
    path = request.path.removeprefix(DATA_CENTER_PREFIX)
    below = re.sub(r"^/rest/api/(2|latest)", "", path)
    if path.startswith("/rest/api/3/") or below.startswith(ONLY_CLOUD):
        abort(Response("<html><title>Dead link</title></html>", 404, content_type="text/html"))
    given = request.headers.get("Authorization", "")
    wanted = f"Bearer {accounts.JIRA_PERSONAL_TOKEN}"
    g.signed_in = hmac.compare_digest(given.encode(), wanted.encode())
    g.failed = bool(given) and not g.signed_in


def _is_signed_in_by(token: str) -> bool:
    given = request.authorization
    return bool(
        given
        and given.type == "basic"
        and (given.username or "").lower() == accounts.JIRA_EMAIL
        and hmac.compare_digest((given.password or "").encode(), token.encode())
    )


@blueprint.after_request
def headers(response: Response) -> Response:
    response.headers["X-AREQUESTID"] = "5a4db0c5"
    if at_data_center():
        response.headers["X-ASESSIONID"] = "5a4db0c5"
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
    return state().jira


def site() -> str:
    return own_url("dc/jira" if at_data_center() else "jira")


def may(issue: Issue, permission: str) -> bool:
    project = tickets().project(issue.project)
    return project is not None and permission in project.permissions


def status_json(name: str) -> dict[str, Any]:
    """https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-workflow-status-categories/"""
    key = CATEGORIES[name]
    number, category = {"new": (2, "To Do"), "indeterminate": (4, "In Progress")}.get(
        key, (3, "Done")
    )
    return {
        "id": str(10000 + list(CATEGORIES).index(name)),
        "name": name,
        "statusCategory": {"id": number, "key": key, "name": category},
    }


def json_body() -> dict[str, Any]:
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
    if at_data_center():
        info = {"baseUrl": site(), "version": "9.12.5", "deploymentType": "Server"}
        return jsonify({**info, "versionNumbers": [9, 12, 5], "serverTitle": "Jira"})
    return jsonify(
        {
            "baseUrl": site(),
            "displayUrl": site(),
            "version": "1001.0.0-SNAPSHOT",
            "versionNumbers": [1001, 0, 0],
            "deploymentType": "Cloud",
            "buildNumber": 100290,
            "buildDate": "2026-01-01T00:00:00.000+0000",
            "serverTime": when(state().clock()),
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
    if at_data_center():
        return jsonify({"key": "JIRAUSER10000", "name": "delivr", "displayName": "delivr"})
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
    project = find_project(wanted) if wanted else None
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


def find_project(wanted: str) -> Project:
    """404 means missing, not permitted, or requested anonymously."""
    project = tickets().project(wanted) if g.signed_in else None
    if project is None:
        refuse(404, f"No project could be found with key '{wanted}'.")
    return project


def project_json(project: Project, version: str) -> dict[str, Any]:
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
    found = find_project(wanted)
    types = [type_json(t, version) for t in found.issue_types]
    return jsonify({**project_json(found, version), "description": "", "issueTypes": types})


def type_json(issue_type: IssueType, version: str) -> dict[str, Any]:
    data = {
        "self": f"{site()}/rest/api/{version}/issuetype/{issue_type.id}",
        "id": issue_type.id,
        "name": issue_type.name,
        "description": "",
        "subtask": issue_type.level < 0,
    }
    return data if at_data_center() else {**data, "hierarchyLevel": issue_type.level}


@blueprint.get(f"{API}/project/search")
def project_search(version: str) -> Response:
    """Anonymous requests get an empty list, not an error."""
    query = request.args.get("query", "").lower()
    found = [p for p in tickets().browsable() if query in f"{p.key} {p.name}".lower()]
    shown = [project_json(p, version) for p in found] if g.signed_in else []
    return jsonify(page("values", shown, default=50))


@blueprint.get(f"{API}/project")
def projects(version: str) -> Response:
    found = tickets().browsable() if g.signed_in else []
    return jsonify([project_json(p, version) for p in found])


def page(name: str, items: list[Any], *, default: int) -> dict[str, Any]:
    start = max(request.args.get("startAt", 0, type=int), 0)
    size = min(max(request.args.get("maxResults", default, type=int), 1), 200)
    end = start + size
    facts = {"startAt": start, "maxResults": size, "total": len(items), "isLast": end >= len(items)}
    return {**facts, "values" if at_data_center() else name: items[start:end]}


# What a new issue needs


@blueprint.get(f"{API}/issue/createmeta/<wanted>/issuetypes")
def create_types(version: str, wanted: str) -> Response:
    found = _creatable(wanted)
    types = [type_json(t, version) for t in found.issue_types]
    return jsonify(page("issueTypes", types, default=50))


@blueprint.get(f"{API}/issue/createmeta/<wanted>/issuetypes/<type_id>")
def create_fields(version: str, wanted: str, type_id: str) -> Response:
    found = _creatable(wanted)
    issue_type = found.issue_type({"id": type_id})
    if issue_type is None:
        refuse(404, "The issue type does not exist in this project.")
    return jsonify(page("fields", metadata(found, issue_type), default=50))


def _creatable(wanted: str) -> Project:
    found = find_project(wanted)
    if "CREATE_ISSUES" not in found.permissions:
        refuse(404, f"No project could be found with key '{wanted}'.")
    return found
