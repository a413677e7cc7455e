"""What all of GitLab's REST API shares: tokens, projects, pages and refusals. It is served below a
path, as a GitLab of one's own may be.

https://docs.gitlab.com/api/rest/
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import Any, NoReturn
from urllib.parse import unquote, urlencode

from flask import Blueprint, Response, abort, g, jsonify, request
from werkzeug.routing import BaseConverter

from sandbox.context import own_url, state
from sandbox.projects import MAINTAINER, NOBODY, TOKENS, Project, Projects, Token

PREFIX = "/gitlab"
API = f"{PREFIX}/api/v4"
blueprint = Blueprint("gitlab", __name__, url_prefix=API)
ANONYMOUS = Token(0, "", "", NOBODY, ("read_api",))
MOST_COUNTED = 10_000  # more are not counted in the headers of a list
RATE = 2000  # requests a minute
READS = ("GET", "HEAD")


class Encoded(BaseConverter):
    """One segment of the path, in which %2F is a slash of the value and / is not."""

    def to_python(self, value: str) -> str:
        return value.replace("%2F", "/")

    def to_url(self, value: str) -> str:
        return value.replace("/", "%2F")


class KeepsSlashes:
    """WSGI middleware: leaves %2F in the path as it is, which WSGI decodes."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        raw = environ.get("REQUEST_URI", "").partition("?")[0]
        if raw.startswith(f"{API}/"):
            path = unquote(re.sub("%2f", "%252F", raw, flags=re.IGNORECASE), "latin-1")
            environ["PATH_INFO"] = path
        return self.app(environ, start_response)


# Refusals


def refuse(status: int, message: Any) -> NoReturn:
    _abort(status, {"message": message})


def refuse_input(words: str) -> NoReturn:
    """What GitLab's declared parameters do not allow."""
    _abort(400, {"error": words})


def not_found(what: str = "") -> NoReturn:
    refuse(404, f"404 {what} Not Found" if what else "404 Not Found")


def forbidden(reason: str = "") -> NoReturn:
    refuse(403, f"403 Forbidden - {reason}" if reason else "403 Forbidden")


def _refuse_token(status: int, error: str, words: str, **more: str) -> NoReturn:
    _abort(status, {"error": error, "error_description": words, **more})


def _abort(status: int, body: dict[str, Any]) -> NoReturn:
    answer = jsonify(body)
    answer.status_code = status
    abort(answer)


# Who asks


@blueprint.before_request
def authenticate() -> None:
    _count_call()
    token = _token()
    wants_scope = not request.path.endswith("/personal_access_tokens/self")
    allowed = {"api", "read_api"} if request.method in READS else {"api"}
    if wants_scope and not allowed & set(token.scopes):
        words = "The request requires higher privileges than provided by the access token."
        _refuse_token(403, "insufficient_scope", words, scope=" ".join(sorted(allowed)))
    if token is ANONYMOUS and not request.path.startswith(f"{API}/projects"):
        refuse(401, "401 Unauthorized")
    g.token = token


def _token() -> Token:
    """The token of the request: by GitLab's own header, or by the one of OAuth, which takes all."""
    own, bearer = request.headers.get("PRIVATE-TOKEN"), request.headers.get("Authorization", "")
    kind, _space, secret = bearer.partition(" ")
    secret = own or (secret if kind.lower() == "bearer" else "")
    if not own and not bearer:
        return ANONYMOUS
    token = TOKENS.get(secret)
    if token is None or (own and token.is_oauth):
        refuse(401, "401 Unauthorized")
    if secret in projects().revoked:
        words = "Token was revoked. You have to re-authorize from the user."
        _refuse_token(401, "invalid_token", words)
    if projects().token_ends[secret] <= time.time():
        words = "Token is expired. You can either do re-authorization or token refresh."
        _refuse_token(401, "invalid_token", words)
    g.secret = secret
    return token


def _count_call() -> None:
    left = projects().calls_left
    if left is None:
        return
    if left <= 0:
        answer = Response("Retry later\n", 429, content_type="text/plain")
        answer.headers["Retry-After"] = "42"
        abort(answer)
    projects().calls_left = left - 1


@blueprint.after_request
def headers(response: Response) -> Response:
    left = projects().calls_left
    response.headers["X-Gitlab-Meta"] = '{"correlation_id":"sandbox","version":"1"}'
    response.headers["X-Request-Id"] = "sandbox"
    response.headers["RateLimit-Limit"] = str(RATE)
    response.headers["RateLimit-Remaining"] = str(RATE - 10 if left is None else left)
    response.headers["RateLimit-Observed"] = "10"
    response.headers["RateLimit-Reset"] = str(int(time.time()) + 42)
    return response


# Projects


def projects() -> Projects:
    return state().gitlab


def find_project(id_or_path: str) -> Project:
    """404 means missing or invisible; one that was moved is elsewhere, for reads alone."""
    project = projects().find(id_or_path)
    if project is None or (g.token is ANONYMOUS and project.private):
        not_found("Project")
    if not id_or_path.isdecimal() and id_or_path.lower() != project.path.lower():
        if request.method not in READS:
            refuse(405, "Non GET methods are not allowed for moved projects")
        _redirect(id_or_path, project)
    return project


def _redirect(path: str, project: Project) -> NoReturn:
    raw = request.environ["REQUEST_URI"].partition("?")[0].split("/")
    raw[raw.index("projects") + 1] = str(project.id)
    query = f"?{request.query_string.decode()}" if request.query_string else ""
    url = f"{request.host_url.rstrip('/')}{'/'.join(raw)}{query}"
    words = f"This resource has been moved permanently to {url}."
    abort(Response(words, 301, {"Location": url}, content_type="text/plain"))


def require_level(project: Project, level: int) -> None:
    if project.archived or g.token.level < level:
        forbidden()


def require_code(project: Project) -> None:
    """A project without a repository answers 404 to whoever asks for its content."""
    if project.default_branch is None:
        not_found("Repository")


def page_of(project: Project) -> str:
    """The project's address in the browser."""
    return f"{own_url(PREFIX[1:])}/{project.path}"


def project_json(project: Project) -> dict[str, Any]:
    member = {"access_level": g.token.level, "notification_level": 3}
    is_member = g.token is not ANONYMOUS
    return {
        "id": project.id,
        "description": "",
        "name": project.name,
        "name_with_namespace": project.path.replace("/", " / "),
        "path": project.name,
        "path_with_namespace": project.path,
        "created_at": "2024-01-15T09:00:00.000Z",
        "default_branch": project.default_branch,
        "web_url": page_of(project),
        "namespace": {"id": 900, "kind": "group", "full_path": project.namespace},
        "visibility": "private" if project.private else "public",
        "archived": project.archived,
        "empty_repo": project.default_branch is None,
        "merge_requests_enabled": project.merge_requests_enabled,
        "repository_access_level": "enabled",
        "builds_access_level": "enabled" if project.builds_enabled else "disabled",
        "ci_config_path": project.ci_config_path,
        **_told_to_maintainers(project),
        "last_activity_at": "2026-01-15T09:00:00.000Z",
        "permissions": {"project_access": member if is_member else None, "group_access": None},
    }


def _told_to_maintainers(project: Project) -> dict[str, Any]:
    if g.token.level < MAINTAINER:
        return {}
    return {"ci_pipeline_variables_minimum_override_role": project.variables_role}


@blueprint.get("/projects")
def list_projects() -> Response:
    found = [p for p in projects().projects.values() if p.visible]
    if request.args.get("archived"):
        found = [p for p in found if str(p.archived).lower() == request.args["archived"]]
    if g.token is ANONYMOUS:
        found = [p for p in found if not p.private]
    if request.args.get("min_access_level", 0, type=int) > g.token.level:
        found = []
    wanted = request.args.get("search", "").lower()
    found = [p for p in found if wanted in p.path.lower()]
    return paged([project_json(project) for project in found])


@blueprint.get("/projects/<enc:project>")
def show_project(project: str) -> Response:
    return jsonify(project_json(find_project(project)))


def paged(items: list[Any], *, counted: bool = True) -> Response:
    """One page, with headers that lead to the next. The totals are missing where GitLab does not
    count: https://docs.gitlab.com/api/rest/#other-pagination-headers"""
    size = min(max(request.args.get("per_page", 20, type=int), 1), 100)
    page = max(request.args.get("page", 1, type=int), 1)
    answer = jsonify(items[(page - 1) * size : page * size])
    has_more = page * size < len(items)
    told = {"X-Page": page, "X-Per-Page": size, "X-Prev-Page": page - 1 or ""}
    told["X-Next-Page"] = page + 1 if has_more else ""
    if counted and len(items) <= MOST_COUNTED:
        told |= {"X-Total": len(items), "X-Total-Pages": max(-(-len(items) // size), 1)}
    for name, value in told.items():
        answer.headers[name] = str(value)
    if has_more:
        query = urlencode({**request.args.to_dict(), "page": page + 1, "per_page": size})
        raw = request.environ["REQUEST_URI"].partition("?")[0]
        answer.headers["Link"] = f'<{request.host_url.rstrip("/")}{raw}?{query}>; rel="next"'
    return answer


def given(*required: str) -> dict[str, Any]:
    """What was sent, in the query, as a form or as JSON. Refuses it if one of `required` is
    missing."""
    body = request.get_json(silent=True)
    found = {
        **request.args.to_dict(),
        **request.form.to_dict(),
        **(body if isinstance(body, dict) else {}),
    }
    if missing := [name for name in required if found.get(name) in (None, "")]:
        refuse_input(", ".join(f"{name} is missing" for name in missing))
    return found


def stamp(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%S}.000Z"


# The server, the user and the token


@blueprint.get("/version")
@blueprint.get("/metadata")
def version() -> Response:
    found = projects().version
    about = {"version": found, "revision": "5a4db0c", "enterprise": found.endswith("-ee")}
    return jsonify(about)


@blueprint.get("/user")
def user() -> Response:
    return jsonify({**user_json(g.token.username), "bot": "_bot_" in g.token.username})


def user_json(username: str) -> dict[str, Any]:
    return {
        "id": 5000 + len(username),
        "username": username,
        "name": username.split("_")[0].title(),
        "state": "active",
        "web_url": f"{own_url(PREFIX[1:])}/{username}",
    }


@blueprint.get("/personal_access_tokens/self")
def own_token() -> Response:
    """https://docs.gitlab.com/api/personal_access_tokens/#self-inform"""
    token: Token = g.token
    if token.is_oauth:
        refuse(401, "401 Unauthorized")
    ends = datetime.fromtimestamp(projects().token_ends[g.secret], UTC)
    return jsonify(
        {
            "id": token.id,
            "name": token.name,
            "revoked": False,
            "created_at": "2026-01-15T09:00:00.000Z",
            "scopes": list(token.scopes),
            "user_id": user_json(token.username)["id"],
            "last_used_at": stamp(time.time()),
            "active": True,
            "expires_at": f"{ends:%Y-%m-%d}",
        }
    )


@blueprint.route("/<path:path>", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
def unknown(path: str) -> Response:
    _abort(404, {"error": "404 Not Found"})
