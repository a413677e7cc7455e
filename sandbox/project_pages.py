"""A page of the GitLab stand-in's project, to which delivr links, and its part of the control API:
push commits, merge, protect names, move the project, publish a release."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, abort, jsonify, render_template, request

from sandbox.context import state, to_page
from sandbox.control import guard, json_body, refuse
from sandbox.page import headers
from sandbox.projects import APP, MAINTAINER, NOBODY, Project, Projects, Protected

control = Blueprint("project_control", __name__, url_prefix="/sandbox/api/gitlab/projects")
blueprint = Blueprint("project_page", __name__)
for part in (control, blueprint):
    part.before_request(guard)
blueprint.after_request(headers)

KINDS = ("heads", "tags")
PATHS = ("dream11/mobile/app", "dream11/apps/mobile")  # between which the project moves
MOST = 2000  # commits pushed at once
SHOWN = 12
LINKED = "tree, tags, releases, commit, merge_requests"  # pages of GitLab's


def _projects() -> Projects:
    return state().gitlab


def _push(project: Project, about: dict[str, Any]) -> str:
    count = min(max(int(about.pop("count", 1)), 1), MOST)
    try:
        return _projects().push(project, str(about.pop("branch", "main")), count=count, **about)
    except KeyError:
        refuse(404, "no such branch")


def _protect(project: Project, name: str, kind: str, level: int) -> None:
    if kind not in KINDS or not name:
        refuse(400, f"a name, and a kind: {' or '.join(KINDS)}")
    project.protected.append(Protected(name, kind, level))
    state().touch()


# The control API


def _find(number: int) -> Project:
    found = _projects().projects.get(number)
    if found is None:
        refuse(404, f"no project {number}")
    return found


@control.get("/<int:number>")
def show(number: int) -> Response:
    found = _find(number)
    releases = [vars(release) for release in _projects().history_of(found).releases]
    refs = _projects().refs[number]
    return jsonify({**asdict(found), "refs": refs, "releases": releases})


@control.post("/<int:number>/commits")
def push_commits(number: int) -> tuple[Response, int]:
    """`branch`, `count`, `message`, `author`, and `pull`: each is a squashed merge request."""
    known = ("branch", "count", "message", "author", "pull")
    given = json_body()
    sha = _push(_find(number), {key: given[key] for key in known if key in given})
    return jsonify({"sha": sha}), 201


@control.post("/<int:number>/protected")
def protect(number: int) -> tuple[Response, int]:
    """`name`, which may be a wildcard; `kind`: heads or tags; `level`: 0 (no one), 30 or 40."""
    given = json_body()
    level = int(given.get("level", MAINTAINER))
    _protect(_find(number), str(given.get("name", "")), str(given.get("kind", "heads")), level)
    return jsonify({"ok": True}), 201


@control.delete("/<int:number>/protected")
def unprotect(number: int) -> Response:
    _find(number).protected = [Protected("main")]
    state().touch()
    return jsonify({"ok": True})


@control.patch("/<int:number>")
def change(number: int) -> Response:
    """`path`: move it there."""
    path = json_body().get("path")
    if not isinstance(path, str) or "/" not in path:
        refuse(400, "a path with a group is wanted")
    _projects().move(_find(number), path)
    return jsonify({"ok": True})


# The page


@blueprint.get("/project")
@blueprint.get(f"/gitlab/<path:path>/-/<any({LINKED}):what>/<path:which>")
def project(**_place: str) -> str:
    found = _projects().projects[APP]
    history, refs = _projects().history_of(found), _projects().refs[APP]
    head = refs[f"refs/heads/{found.default_branch}"]
    commits = sorted(history.ancestors(head).values(), key=lambda commit: -commit.at)
    return render_template(
        "sandbox/project.html",
        project=found,
        releases=history.releases,
        refs=[(*ref.removeprefix("refs/").partition("/")[::2], refs[ref]) for ref in sorted(refs)],
        commits=commits[:SHOWN],
        count=len(commits),
        now=state().clock(),
    )


@blueprint.post("/project/push")
def push_by_hand() -> Response:
    form = request.form
    about = {"branch": form.get("branch", "main"), "count": form.get("count", 1, type=int)}
    message = form.get("message") or "Change something"
    _push(_projects().projects[APP], {**about, "message": message, "pull": "pull" in form})
    return to_page("project_page.project")


@blueprint.post("/project/protect")
def protect_by_hand() -> Response:
    form = request.form
    name, kind = form.get("name", "").strip(), form.get("kind", "heads")
    _protect(_projects().projects[APP], name, kind, form.get("level", NOBODY, type=int))
    return to_page("project_page.project")


@blueprint.post("/project/act")
def act() -> Response:
    found = _projects().projects[APP]
    match request.form.get("act"):
        case "unprotect":
            found.protected = [Protected("main")]
        case "move":
            _projects().move(found, PATHS[found.path == PATHS[0]])
        case "publish":
            for release in _projects().history_of(found).releases:
                release.released_at = min(release.released_at, state().clock())
        case _:
            abort(400)
    state().touch()
    return to_page("project_page.project")
