"""Releases in GitLab's REST API, upcoming ones among them; there are no drafts.

https://docs.gitlab.com/api/releases/
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import quote

from flask import Response, g, jsonify

from sandbox.context import state
from sandbox.history import Release
from sandbox.projects import DEVELOPER, Project
from sandbox.providers.gitlab import (
    blueprint,
    find_project,
    forbidden,
    given,
    not_found,
    page_of,
    paged,
    projects,
    refuse,
    require_level,
    stamp,
    user_json,
)
from sandbox.providers.gitlab_repository import (
    commit_json,
    commit_of,
    is_protected_from_us,
    new_tag,
)


@blueprint.get("/projects/<enc:project>/releases")
def releases(project: str) -> Response:
    found = find_project(project)
    listed = sorted(projects().history_of(found).releases, key=lambda r: -r.released_at)
    return paged([_release_json(found, release) for release in listed])


@blueprint.get("/projects/<enc:project>/releases/<enc:tag>")
def release(project: str, tag: str) -> Response:
    found = find_project(project)
    return jsonify(_release_json(found, _release(found, tag)))


def _release(project: Project, tag: str) -> Release:
    """GitLab answers 403 for a missing one to whoever may not create it."""
    every = projects().history_of(project).releases
    found = next((one for one in every if one.tag == tag), None)
    if found is None:
        if g.token.level < DEVELOPER:
            forbidden()
        not_found()
    return found


@blueprint.post("/projects/<enc:project>/releases")
def create_release(project: str) -> tuple[Response, int]:
    """A release that is no draft, and creates its tag, if that is missing."""
    found = find_project(project)
    about = given("tag_name")
    require_level(found, DEVELOPER)
    name, history = str(about["tag_name"]), projects().history_of(found)
    if is_protected_from_us(found, "tags", name):
        refuse(403, "You are not allowed to create this tag as it is protected.")
    if any(one.tag == name for one in history.releases):
        refuse(409, "Release already exists")
    if f"refs/tags/{name}" not in projects().refs[found.id]:
        if not about.get("ref"):
            refuse(422, "Ref is not specified")
        new_tag(found, name, str(about["ref"]), str(about.get("tag_message") or ""))
    sha = projects().commit(found, f"refs/tags/{name}") or ""
    text, title = str(about.get("description") or ""), str(about.get("name") or name)
    moment = _moment(about.get("released_at"))
    number = len(history.releases) + 1
    made = Release(number, name, sha, title, text, False, g.token.username, moment)
    history.releases.append(made)
    state().record("release.created", "gitlab", repository=found.path, tag=name, draft=False)
    return jsonify(_release_json(found, made)), 201


@blueprint.put("/projects/<enc:project>/releases/<enc:tag>")
def edit_release(project: str, tag: str) -> Response:
    found = find_project(project)
    about, one = given(), _release(found, tag)
    require_level(found, DEVELOPER)
    one.name = str(about.get("name", one.name))
    one.body = str(about.get("description", one.body))
    if about.get("released_at"):
        one.released_at = _moment(about["released_at"])
    state().touch()
    return jsonify(_release_json(found, one))


def _moment(text: Any) -> float:
    if text is None:
        return state().clock()
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        refuse(400, "released_at is invalid")


def _release_json(project: Project, release: Release) -> dict[str, Any]:
    sha = projects().commit(project, f"refs/tags/{release.tag}") or release.target
    page = f"{page_of(project)}/-/releases/{quote(release.tag, safe='')}"
    return {
        "tag_name": release.tag,
        "name": release.name,
        "description": release.body,
        "created_at": stamp(state().clock()),
        "released_at": stamp(release.released_at),
        "upcoming_release": release.released_at > state().clock(),
        "author": user_json(release.author),
        "commit": commit_json(project, commit_of(project, sha)),
        "tag_path": f"/{project.path}/-/tags/{quote(release.tag)}",
        "assets": {"count": 0, "sources": [], "links": []},
        "_links": {"self": page, "edit_url": f"{page}/edit"},
    }
