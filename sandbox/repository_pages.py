"""A page of the GitHub stand-in's repository, and its part of the control API: push commits, forbid
branches by a ruleset, rename the repository, publish a draft."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, jsonify, render_template, request

from sandbox.context import state, to_page
from sandbox.control import guard, json_body, refuse
from sandbox.history import RepositoryHistory, Rule
from sandbox.page import headers
from sandbox.providers.github_releases import publish
from sandbox.repositories import REPOSITORIES, Repository

control = Blueprint("repository_control", __name__, url_prefix="/sandbox/api/github/repositories")
blueprint = Blueprint("repository_page", __name__)
for part in (control, blueprint):
    part.before_request(guard)
blueprint.after_request(headers)

SWITCHES = {
    "touchesWorkflows": "touches_workflows",
    "hidesPulls": "hides_pulls",
    "changedFiles": "changed_files",
    "patchSize": "patch_size",
}
MOST = 2000  # commits pushed at once
SHOWN = 12


def _find(owner: str, name: str) -> tuple[Repository, RepositoryHistory]:
    found = state().github.find(owner, name)
    if found is None:
        refuse(404, f"no repository {owner}/{name}")
    return found, state().github.history_of(found)


def push(repo: Repository, branch: str, count: int, **about: Any) -> str:
    """New commits on a branch; the id of the last one."""
    github, ref = state().github, f"refs/heads/{branch}"
    head = github.ref(repo, ref)
    if head is None:
        refuse(404, f"no branch {branch}")
    github.history_of(repo)  # a commit for each ref
    sha = github.history.push(repo.full_name, head, count=min(max(count, 1), MOST), **about)
    github.refs[repo.full_name][ref] = sha
    state().touch()
    return sha


def forbid(history: RepositoryHistory, pattern: str, kind: str = "heads") -> Rule:
    number = max((rule.id for rule in history.rules), default=100) + 1
    history.rules.append(Rule(number, pattern, kind))
    state().touch()
    return history.rules[-1]


# The control API


@control.get("/<owner>/<name>")
def show(owner: str, name: str) -> Response:
    return jsonify(_state(*_find(owner, name)))


def _state(repo: Repository, history: RepositoryHistory) -> dict[str, Any]:
    return {
        "refs": state().github.refs[repo.full_name],
        "rules": [vars(rule) for rule in history.rules],
        "releases": [vars(release) for release in history.releases],
        **{word: getattr(history, name) for word, name in SWITCHES.items()},
    }


@control.post("/<owner>/<name>/commits")
def push_commits(owner: str, name: str) -> tuple[Response, int]:
    """`branch`, `count`, `message`, `author`, and `pull`: each is a merged pull request."""
    repo, _history = _find(owner, name)
    body = json_body()
    about = {key: body[key] for key in ("message", "author", "pull") if key in body}
    sha = push(repo, str(body.get("branch", "main")), int(body.get("count", 1)), **about)
    return jsonify({"sha": sha}), 201


@control.post("/<owner>/<name>/rules")
def add_rule(owner: str, name: str) -> tuple[Response, int]:
    """`pattern`, and `kind`: heads or tags."""
    _repo, history = _find(owner, name)
    body = json_body()
    rule = forbid(history, str(body.get("pattern", "release/*")), str(body.get("kind", "heads")))
    return jsonify(vars(rule)), 201


@control.delete("/<owner>/<name>/rules")
def remove_rules(owner: str, name: str) -> Response:
    _find(owner, name)[1].rules.clear()
    state().touch()
    return jsonify({"ok": True})


@control.patch("/<owner>/<name>")
def change(owner: str, name: str) -> Response:
    """`name`: rename it to owner/name; and what is in SWITCHES."""
    repo, history = _find(owner, name)
    for word, value in json_body().items():
        if word in SWITCHES:
            setattr(history, SWITCHES[word], type(getattr(history, SWITCHES[word]))(value))
        elif word == "name" and str(value).count("/") == 1:
            state().github.rename(repo.full_name, str(value))
        else:
            refuse(400, f"unknown or bad setting: {word}")
    state().touch()
    return jsonify({"ok": True})


# The page


@blueprint.get("/repository")
def repository() -> str:
    repo, history = _shown()
    refs = state().github.refs[repo.full_name]
    head = refs[f"refs/heads/{repo.default_branch}"]
    commits = sorted(history.ancestors(head).values(), key=lambda commit: -commit.at)
    return render_template(
        "sandbox/repository.html",
        repo=repo,
        history=history,
        branches=_named(refs, "refs/heads/"),
        tags=_named(refs, "refs/tags/"),
        commits=commits[:SHOWN],
        count=len(commits),
    )


def _shown() -> tuple[Repository, RepositoryHistory]:
    """The app's repository, whatever its current name."""
    repo = next(r for r in state().github.visible() if r.id == REPOSITORIES[0].id)
    return repo, state().github.history_of(repo)


def _named(refs: dict[str, str], prefix: str) -> list[tuple[str, str]]:
    return [
        (r.removeprefix(prefix), sha) for r, sha in sorted(refs.items()) if r.startswith(prefix)
    ]


@blueprint.post("/repository/push")
def push_by_hand() -> Response:
    form = request.form
    push(
        _shown()[0],
        form.get("branch", "main"),
        form.get("count", 1, type=int),
        message=form.get("message") or "Change something",
        pull="pull" in form,
    )
    return to_page("repository_page.repository")


@blueprint.post("/repository/rule")
def rule_by_hand() -> Response:
    if pattern := request.form.get("pattern", "").strip():
        forbid(_shown()[1], pattern, request.form.get("kind", "heads"))
    return to_page("repository_page.repository")


@blueprint.post("/repository/act")
def act() -> Response:
    repo, history = _shown()
    match request.form.get("act"):
        case "lift":
            history.rules.clear()
        case "workflows":
            history.touches_workflows = not history.touches_workflows
        case "pulls":
            history.hides_pulls = not history.hides_pulls
        case "rename":
            name = "mobile" if repo.name == "app" else "app"
            state().github.rename(repo.full_name, f"{repo.owner}/{name}")
        case _:
            abort(400)
    state().touch()
    return to_page("repository_page.repository")


@blueprint.post("/repository/publish")
def publish_by_hand() -> Response:
    repo, history = _shown()
    number = request.form.get("release", -1, type=int)
    found = next((r for r in history.releases if r.id == number and r.draft), None)
    if found is None:
        abort(400)
    found.draft = False
    publish(repo, found)
    state().touch()
    return to_page("repository_page.repository")
