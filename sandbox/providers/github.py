"""GitHub's REST API for repositories and refs, of github.com and of a GitHub Enterprise server.

https://docs.github.com/en/rest
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn

from flask import Blueprint, Response, abort, g, jsonify, request

from sandbox import accounts
from sandbox.context import own_url, state
from sandbox.github_apps import Installation
from sandbox.repositories import Repositories, Repository, fake_sha

blueprint = Blueprint("github", __name__, url_prefix="/github")
DOCS = "https://docs.github.com/rest"


@dataclass(frozen=True)
class Token:
    login: str
    push: bool
    scopes: str | None  # None: fine-grained, no scopes header
    is_app: bool = False  # an installation token of a GitHub App, which has no user
    installation: Installation | None = None  # whose permissions count

    def may(self, permission: str) -> bool:
        """To write there."""
        if self.installation is None:
            return self.push
        return self.installation.permissions.get(permission) == "write"

    def may_see(self, repository_id: int) -> bool:
        return self.installation is None or self.installation.covers(repository_id)


TOKENS = {
    accounts.GITHUB_PUSH_TOKEN: Token("delivr-bot", True, "read:org, repo"),
    accounts.GITHUB_READ_TOKEN: Token("delivr-reader", False, "repo"),
    accounts.GITHUB_FINE_GRAINED_TOKEN: Token("delivr-bot", True, None),
    accounts.GITHUB_APP_TOKEN: Token("delivr[bot]", True, None, is_app=True),
}


def refuse(status: int, message: str, **more: Any) -> NoReturn:
    body = {"message": message, **more, "documentation_url": DOCS, "status": str(status)}
    answer = jsonify(body)
    answer.status_code = status
    abort(answer)


def lacking(permission: str) -> NoReturn:
    """To write there is what the token may not; GitHub names it in a header."""
    g.wanted = f"{permission}=write"
    kind = "integration" if g.token.is_app else "personal access token"
    refuse(403, f"Resource not accessible by {kind}")


@blueprint.after_request
def headers(response: Response) -> Response:
    response.headers["X-GitHub-Media-Type"] = "github.v3; format=json"
    response.headers["X-GitHub-Request-Id"] = "5A4D:0B0C:SANDBOX"
    if request.path.startswith("/api/v3"):
        response.headers["X-GitHub-Enterprise-Version"] = "3.19.0"
    _count(response)
    response.headers["X-RateLimit-Limit"] = "5000"
    response.headers["X-RateLimit-Remaining"] = str(max(5000 - _repositories().used, 1))
    response.headers["X-RateLimit-Used"] = str(_repositories().used)
    response.headers["X-RateLimit-Reset"] = str(int(time.time()) + 3600)
    if (token := g.get("token")) is not None:
        _token_headers(response, token, g.token_ends)
    return response


def _count(response: Response) -> None:
    """Each answer counts against the limit, but for one that has not changed.

    https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#use-conditional-requests-if-appropriate
    """
    if request.method == "GET" and response.status_code == 200:
        seen = request.headers.get("Authorization", "").encode() + response.get_data()
        etag = f'W/"{hashlib.sha256(seen).hexdigest()}"'
        response.headers["ETag"] = etag
        if request.headers.get("If-None-Match") == etag:
            response.status_code = 304
            response.set_data(b"")
            return
    _repositories().used += 1


def _token_headers(response: Response, token: Token, ends: float | None) -> None:
    if token.scopes is not None:
        response.headers["X-OAuth-Scopes"] = token.scopes
    elif response.status_code in (403, 404):
        response.headers["X-Accepted-GitHub-Permissions"] = g.get("wanted", "contents=write")
    if ends is not None:
        day = datetime.fromtimestamp(ends, UTC)
        response.headers["github-authentication-token-expiration"] = f"{day:%Y-%m-%d %H:%M:%S} UTC"


def _repositories() -> Repositories:
    return state().github


def find_repository(owner: str, name: str) -> Repository:
    """404 means missing or invisible; a repository that was renamed is elsewhere."""
    repository = _repositories().find(owner, name)
    if repository and g.token and not g.token.may_see(repository.id):
        refuse(404, "Not Found")
    if repository is None:
        if (renamed := _repositories().moved(owner, name)) is not None:
            _redirect(api(f"/repositories/{renamed.id}"))
        refuse(404, "Not Found")
    return repository


def _redirect(url: str) -> NoReturn:
    """https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#follow-redirects"""
    answer = jsonify({"message": "Moved Permanently", "url": url, "documentation_url": DOCS})
    answer.status_code = 301
    answer.headers["Location"] = url
    abort(answer)


def api(path: str) -> str:
    """The address of a path of this API."""
    return f"{own_url(_prefix())}{path}"


def _prefix() -> str:
    """`/github` stands for github.com, `/api/v3` for an Enterprise server on this host."""
    return "api/v3" if request.path.startswith("/api/v3") else "github"


def _want_user() -> None:
    if g.token.is_app:
        refuse(403, "Resource not accessible by integration")


@blueprint.get("/user")
def user() -> Response:
    _want_user()
    return jsonify(user_json(g.token.login, 4242))


def user_json(login: str, number: int, kind: str = "User") -> dict[str, Any]:
    return {
        "login": login,
        "id": number,
        "node_id": f"U_{number}",
        "avatar_url": "",
        "url": api(f"/users/{login}"),
        "html_url": f"https://github.com/{login}",
        "repos_url": api(f"/users/{login}/repos"),
        "type": kind,
        "site_admin": False,
        "name": login,
    }


@blueprint.get("/rate_limit")
def rate_limit() -> Response:
    core = {"limit": 5000, "used": 10, "remaining": 4990, "reset": int(time.time()) + 3600}
    return jsonify({"resources": {"core": core}, "rate": core})


@blueprint.get("/installation/repositories")
def installed_for() -> Response:
    if not g.token.is_app:
        refuse(403, "You must authenticate with an installation access token.")
    seen = [r for r in _repositories().visible() if g.token.may_see(r.id)]
    found = [repository_json(repo) for repo in seen]
    return jsonify({"total_count": len(found), "repositories": found})


@blueprint.get("/user/repos")
def repositories() -> Response:
    _want_user()
    return paged([repository_json(repo) for repo in _repositories().visible()])


def paged(items: list[Any]) -> Response:
    """One page, with a Link header to the next if there is one."""
    size = min(max(request.args.get("per_page", 30, type=int), 1), 100)
    page = max(request.args.get("page", 1, type=int), 1)
    answer = jsonify(items[(page - 1) * size : page * size])
    if page * size < len(items):
        path = api(request.path.removeprefix(f"/{_prefix()}"))
        answer.headers["Link"] = f'<{path}?per_page={size}&page={page + 1}>; rel="next"'
    return answer


@blueprint.get("/repos/<owner>/<name>")
def repository(owner: str, name: str) -> Response:
    return jsonify(repository_json(find_repository(owner, name)))


def repository_json(repo: Repository) -> dict[str, Any]:
    push = g.token.push and not g.token.is_app  # GitHub does not show an app's permissions here
    url = api(f"/repos/{repo.full_name}")
    return {
        "id": repo.id,
        "node_id": f"R_{repo.id}",
        "name": repo.name,
        "full_name": repo.full_name,
        "private": repo.private,
        "visibility": "private" if repo.private else "public",
        "owner": user_json(repo.owner, 7000, "Organization"),
        "html_url": f"https://github.com/{repo.full_name}",
        "description": repo.description,
        "fork": False,
        "url": url,
        "branches_url": f"{url}/branches{{/branch}}",
        "git_refs_url": f"{url}/git/refs{{/sha}}",
        "clone_url": f"https://github.com/{repo.full_name}.git",
        "ssh_url": f"git@github.com:{repo.full_name}.git",
        "default_branch": repo.default_branch,
        "archived": repo.archived,
        "disabled": False,
        "created_at": "2024-01-15T09:00:00Z",
        "updated_at": "2026-01-15T09:00:00Z",
        "pushed_at": "2026-01-15T09:00:00Z",
        "permissions": {
            "admin": False,
            "maintain": False,
            "push": push and not repo.archived,
            "triage": push,
            "pull": not g.token.is_app,
        },
    }


# Branches and refs


@blueprint.get("/repos/<owner>/<name>/branches")
def branches(owner: str, name: str) -> Response:
    repo = find_repository(owner, name)
    refs = _repositories().refs[repo.full_name]
    heads = [ref for ref in sorted(refs) if ref.startswith("refs/heads/")]
    return paged([_branch_json(repo, ref) for ref in heads])


@blueprint.get("/repos/<owner>/<name>/branches/<path:branch>")
def branch(owner: str, name: str, branch: str) -> Response:
    repo = find_repository(owner, name)
    ref = f"refs/heads/{branch}"
    if _repositories().ref(repo, ref) is None:
        refuse(404, "Branch not found")
    found = _branch_json(repo, ref)
    about = {"message": f"Prepare {branch}\n\nThe whole story.", "author": {"name": "Octo Cat"}}
    return jsonify({**found, "commit": {**found["commit"], "commit": about}})


def _branch_json(repo: Repository, ref: str) -> dict[str, Any]:
    sha = _repositories().refs[repo.full_name][ref]
    url = api(f"/repos/{repo.full_name}/commits/{sha}")
    name = ref.removeprefix("refs/heads/")
    return {"name": name, "commit": {"sha": sha, "url": url}, "protected": name == "main"}


@blueprint.get("/repos/<owner>/<name>/commits/<path:ref>")
def commit(owner: str, name: str, ref: str) -> Response:
    """Find a commit by its full or abbreviated id only."""
    repo = find_repository(owner, name)
    commits = _repositories().history_of(repo).commits
    shas = [*_repositories().refs[repo.full_name].values(), *commits]
    found = [sha for sha in shas if len(ref) >= 7 and sha.startswith(ref)]
    if not found:
        refuse(422, f"No commit found for SHA: {ref}")
    known = commits[found[0]]
    about = {"message": known.message, "author": {"name": known.author}}
    parents = [{"sha": sha} for sha in known.parents]
    return jsonify({"sha": found[0], "commit": about, "parents": parents, "files": []})


@blueprint.get("/repos/<owner>/<name>/git/ref/<path:ref>")
def get_ref(owner: str, name: str, ref: str) -> Response:
    repo = find_repository(owner, name)
    full = f"refs/{ref}"
    if not _repositories().is_taken(repo, full):
        refuse(404, "Not Found")
    return jsonify(ref_json(repo, full))


@blueprint.get("/repos/<owner>/<name>/git/matching-refs/<path:prefix>")
def matching_refs(owner: str, name: str, prefix: str) -> Response:
    repo = find_repository(owner, name)
    refs = sorted(_repositories().refs[repo.full_name])
    return paged([ref_json(repo, ref) for ref in refs if ref.startswith(f"refs/{prefix}")])


def ref_json(repo: Repository, ref: str) -> dict[str, Any]:
    sha = _repositories().refs[repo.full_name][ref]
    url = api(f"/repos/{repo.full_name}/git")
    kind = "tag" if sha in _repositories().history_of(repo).tags else "commit"
    target = {"type": kind, "sha": sha, "url": f"{url}/{kind}s/{sha}"}
    return {
        "ref": ref,
        "node_id": f"REF_{fake_sha(ref)[:12]}",
        "url": f"{url}/{ref}",
        "object": target,
    }


@blueprint.route("/<path:path>", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
def unknown(path: str) -> Response:
    refuse(404, "Not Found")
