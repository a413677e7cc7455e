"""Jira's versions of a project.

https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-project-versions/
"""

from __future__ import annotations

import re
from typing import Any

from flask import Response, jsonify, request

from sandbox.providers.jira_site import (
    API,
    blueprint,
    find_project,
    json_body,
    page,
    refuse,
    require_person,
    site,
    tickets,
)
from sandbox.tickets import CATEGORIES, Project, Version

CREATED = {
    "name",
    "projectId",
    "project",
    "description",
    "startDate",
    "releaseDate",
    "released",
    "archived",
}
CHANGED = CREATED | {"moveUnfixedIssuesTo"}
LONGEST_NAME, LONGEST_TEXT = 255, 16384
NOT_ALLOWED = "You must have browse and administer project permission to manage versions."


@blueprint.post(f"{API}/version")
def create_version(version: str) -> tuple[Response, int]:
    require_person()
    body = _checked(CREATED)
    number = body.get("projectId")
    if "projectId" in body and not isinstance(number, int):
        refuse(400, errors={"projectId": "A number is required."})
    project = tickets().project(str(number or body.get("project") or ""))
    if project is None:
        refuse(404, "No project could be found.")
    _require_admin(project)
    name = body.get("name")
    if not isinstance(name, str) or not name.strip() or len(name) > LONGEST_NAME:
        refuse(400, errors={"name": "You must specify a valid version name."})
    if any(v.name.casefold() == name.casefold() for v in tickets().versions_of(project)):
        refuse(400, errors={"name": "A version with this name already exists in this project."})
    made = tickets().create_version(
        project,
        name=name,
        description=str(body.get("description", "")),
        released=body.get("released") is True,
        release_date=body.get("releaseDate", ""),
    )
    return jsonify(_json(made, version)), 201


def _checked(known: set[str]) -> dict[str, Any]:
    body = json_body()
    for name in set(body) - known:
        refuse(400, f'Unrecognized field "{name}". Check that your request body is valid.')
    date = body.get("releaseDate", "2026-01-01")
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", str(date)):
        refuse(400, errors={"releaseDate": "Please enter the date in the format yyyy-MM-dd."})
    if len(str(body.get("description", ""))) > LONGEST_TEXT:
        refuse(400, errors={"description": "The description is too long."})
    return body


def _require_admin(project: Project) -> None:
    if "ADMINISTER_PROJECTS" not in project.permissions:
        refuse(403, NOT_ALLOWED)


def _json(found: Version, version: str) -> dict[str, Any]:
    project = tickets().project(found.project)
    data = {
        "self": f"{site()}/rest/api/{version}/version/{found.id}",
        "id": found.id,
        "name": found.name,
        "description": found.description,
        "archived": found.archived,
        "released": found.released,
        "projectId": int(project.id) if project else 0,
    }
    return {**data, "releaseDate": found.release_date} if found.release_date else data


def _version(wanted: str) -> Version:
    require_person()
    found = tickets().version(wanted)
    if found is None:
        refuse(404, f"Could not find version for id '{wanted}'.")
    return found


@blueprint.get(f"{API}/version/<wanted>")
def get_version(version: str, wanted: str) -> Response:
    return jsonify(_json(_version(wanted), version))


@blueprint.put(f"{API}/version/<wanted>")
def change_version(version: str, wanted: str) -> Response:
    found, body = _version(wanted), _checked(CHANGED)
    project = tickets().project(found.project)
    if project is not None:
        _require_admin(project)
    changes: dict[str, Any] = {n: body[n] for n in ("released", "archived") if n in body}
    if "releaseDate" in body:
        changes["release_date"] = body["releaseDate"]
    tickets().change_version(found, **changes)
    return jsonify(_json(found, version))


@blueprint.get(f"{API}/version/<wanted>/relatedIssueCounts")
def related_counts(version: str, wanted: str) -> Response:
    found = _version(wanted)
    counts = {"issuesFixedCount": len(tickets().in_version(found)), "issuesAffectedCount": 0}
    return jsonify({"self": _json(found, version)["self"], **counts})


@blueprint.get(f"{API}/version/<wanted>/unresolvedIssueCount")
def unresolved_count(version: str, wanted: str) -> Response:
    found = _version(wanted)
    issues = tickets().in_version(found)
    open_ones = sum(CATEGORIES[issue.status] != "done" for issue in issues)
    counts = {"issuesCount": len(issues), "issuesUnresolvedCount": open_ones}
    return jsonify({"self": _json(found, version)["self"], **counts})


@blueprint.get(f"{API}/project/<wanted>/version")
def project_versions(version: str, wanted: str) -> Response:
    """A page of them; `query` looks in names and descriptions."""
    query = request.args.get("query", "").casefold()
    found = tickets().versions_of(find_project(wanted))
    shown = [v for v in found if query in f"{v.name} {v.description}".casefold()]
    return jsonify(page("values", [_json(v, version) for v in shown], default=50))


@blueprint.get(f"{API}/project/<wanted>/versions")
def all_project_versions(version: str, wanted: str) -> Response:
    found = tickets().versions_of(find_project(wanted))
    return jsonify([_json(v, version) for v in found])
