"""What a GitHub App asks of the REST API: as itself by a JWT, and for a token of an installation.

https://docs.github.com/en/rest/apps/apps
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Response, g, jsonify

from sandbox.context import state
from sandbox.github_apps import App, Apps, Installation
from sandbox.providers import github
from sandbox.providers.github import blueprint, refuse
from sandbox.providers.github_signin import SUSPENDED


def _apps() -> Apps:
    return state().github_apps


@blueprint.post("/app-manifests/<code>/conversions")
def convert(code: str) -> tuple[Response, int]:
    """Without authentication: the code is the credential, for an hour and once."""
    app = _apps().convert(code)
    if app is None:
        refuse(404, "Not Found")
    secret = {
        "client_id": f"Iv23li{app.id}",
        "client_secret": "sandbox" * 6,
        "webhook_secret": None,
        "pem": app.pem,
    }
    return jsonify({**_app_json(app), **secret}), 201


@blueprint.get("/app")
def own() -> Response:
    return jsonify(_app_json(g.app))


def _app_json(app: App) -> dict[str, Any]:
    return {
        "id": app.id,
        "slug": app.slug,
        "node_id": f"A_{app.id}",
        "client_id": f"Iv23li{app.id}",
        "owner": github.user_json(app.owner, 7000, "Organization"),
        "name": app.name,
        "description": "",
        "external_url": "https://example.com",
        "html_url": f"https://github.com/apps/{app.slug}",
        "created_at": "2026-01-15T09:00:00Z",
        "updated_at": "2026-01-15T09:00:00Z",
        "permissions": app.permissions,
        "events": [],
    }


@blueprint.get("/app/installations")
def installations() -> Response:
    return github.paged([_installation_json(one) for one in _apps().of_app(g.app)])


@blueprint.get("/app/installations/<int:number>")
def installation(number: int) -> Response:
    return jsonify(_installation_json(_mine(number)))


def _mine(number: int) -> Installation:
    found = _apps().installations.get(number)
    if found is None or found.app != g.app.id:
        refuse(404, "Not Found")
    return found


@blueprint.get("/repos/<owner>/<name>/installation")
def installation_of(owner: str, name: str) -> Response:
    repo = github.find_repository(owner, name)
    mine = (one for one in _apps().of_app(g.app) if one.account == repo.owner)
    found = next((one for one in mine if one.covers(repo.id)), None)
    if found is None:
        refuse(404, "Not Found")
    return jsonify(_installation_json(found))


def _installation_json(one: Installation) -> dict[str, Any]:
    app = _apps().apps[one.app]
    return {
        "id": one.id,
        "account": github.user_json(one.account, 7000, "Organization"),
        "repository_selection": "all" if one.repositories is None else "selected",
        "access_tokens_url": github.api(f"/app/installations/{one.id}/access_tokens"),
        "html_url": f"https://github.com/organizations/{one.account}/settings/installations/{one.id}",
        "app_id": app.id,
        "app_slug": app.slug,
        "target_type": "Organization",
        "permissions": one.permissions,
        "events": [],
        "suspended_at": "2026-01-16T09:00:00Z" if one.is_suspended else None,
    }


@blueprint.post("/app/installations/<int:number>/access_tokens")
def access_token(number: int) -> tuple[Response, int]:
    one = _mine(number)
    if one.is_suspended:
        refuse(403, SUSPENDED)
    token, until = _apps().issue(one)
    ends = datetime.fromtimestamp(until, UTC)
    return jsonify(
        {
            "token": token,
            "expires_at": f"{ends:%Y-%m-%dT%H:%M:%SZ}",
            "permissions": one.permissions,
            "repository_selection": "all" if one.repositories is None else "selected",
        }
    ), 201
