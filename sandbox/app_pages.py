"""GitHub's own pages on which a person creates an app from a manifest, and installs it.

https://docs.github.com/en/apps/sharing-github-apps/registering-a-github-app-from-a-manifest
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode, urlsplit

from flask import Blueprint, Response, abort, redirect, render_template, request

from sandbox.context import state
from sandbox.control import guard, refuse
from sandbox.github_apps import App, Apps
from sandbox.page import POLICY
from sandbox.repositories import REPOSITORIES

blueprint = Blueprint("app_pages", __name__)
LONGEST_NAME = 34
PERMISSIONS = {
    *("actions", "administration", "checks", "contents", "deployments", "environments"),
    *("issues", "metadata", "pull_requests", "repository_hooks", "statuses", "workflows"),
}


@blueprint.after_request
def headers(response: Response) -> Response:
    """A form of these pages ends with a redirect to who asked for the app."""
    policy = POLICY.replace("form-action 'self'", "form-action 'self' http: https:")
    response.headers["Content-Security-Policy"] = policy
    response.headers["Cache-Control"] = "no-store"
    return response


def _apps() -> Apps:
    return state().github_apps


def _owner(organization: str | None) -> str:
    """Of an app that a person makes for themself: the sandbox has one owner with repositories."""
    owners = {repo.owner for repo in REPOSITORIES if repo.visible}
    if organization is not None and organization not in owners:
        abort(404)
    return organization or REPOSITORIES[0].owner


@blueprint.post("/settings/apps/new")
@blueprint.post("/organizations/<organization>/settings/apps/new")
def new(organization: str | None = None) -> str:
    """Anybody's form may lead here: nothing is created before the person confirms."""
    owner, manifest = _owner(organization), _manifest()
    return render_template(
        "sandbox/new_app.html",
        owner=owner,
        name=str(manifest.get("name") or "")[:LONGEST_NAME],
        permissions=manifest.get("default_permissions", {}),
        manifest=json.dumps(manifest),
        state=request.args.get("state", ""),
        longest=LONGEST_NAME,
    )


@blueprint.post("/settings/apps")
def create() -> Response:
    guard()
    manifest, name = _manifest(), request.form.get("name", "").strip()
    if not name or len(name) > LONGEST_NAME:
        refuse(422, f"Name is too long (maximum is {LONGEST_NAME} characters)")
    if any(app.name.lower() == name.lower() for app in _apps().apps.values()):
        refuse(422, "Name is already taken")
    app = _apps().create(
        name,
        request.form["owner"],
        permissions=manifest.get("default_permissions", {}),
        setup_url=str(manifest.get("setup_url", "")),
    )
    back = {"code": _apps().code_for(app), "state": request.form.get("state", "")}
    return _lead_to(str(manifest["redirect_url"]), {k: v for k, v in back.items() if v})


def _manifest() -> dict[str, Any]:
    """What GitHub would take."""
    try:
        found = json.loads(request.form.get("manifest", ""))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        refuse(422, "The manifest is not valid JSON")
    for key in ("url", "redirect_url"):
        if urlsplit(str(found.get(key, ""))).scheme not in ("http", "https"):
            refuse(422, f"Error: {key} is not a valid URL")
    wanted = found.get("default_permissions", {})
    if set(wanted) - PERMISSIONS or set(wanted.values()) - {"read", "write"}:
        refuse(422, "Error: default_permissions has an unknown permission")
    if "url" not in found.get("hook_attributes", {"url": ""}):  # needed even if not active
        refuse(422, 'Error: "url" wasn\'t supplied.')
    return found


@blueprint.get("/apps/<slug>/installations/new")
def choose(slug: str) -> str:
    app = _app(slug)
    seen = [repo for repo in REPOSITORIES if repo.owner == app.owner and repo.visible]
    return render_template(
        "sandbox/install_app.html", app=app, repos=seen, state=request.args.get("state", "")
    )


@blueprint.post("/apps/<slug>/installations")
def install(slug: str) -> Response:
    guard()
    app = _app(slug)
    only = [int(number) for number in request.form.getlist("repository")]
    made = _apps().install(app, only or None)
    back = {"installation_id": str(made.id), "setup_action": "install"}
    if given := request.form.get("state"):
        back["state"] = given
    if not app.setup_url:
        return _lead_to("/", {})
    return _lead_to(app.setup_url, back)


def _app(slug: str) -> App:
    found = _apps().by_slug(slug)
    if found is None:
        abort(404)
    return found


def _lead_to(url: str, query: dict[str, str]) -> Response:
    answer = redirect(f"{url}?{urlencode(query)}" if query else url, 302)
    assert isinstance(answer, Response)  # noqa: S101 -- Flask's own class, for the type checker
    return answer
