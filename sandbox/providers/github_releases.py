"""GitHub's releases, drafts among them.

https://docs.github.com/en/rest/releases/releases
"""

from __future__ import annotations

from typing import Any, NoReturn

from flask import Response, abort, g, jsonify

from sandbox.context import state
from sandbox.history import Release
from sandbox.providers import github
from sandbox.providers.github import blueprint, refuse
from sandbox.providers.github_scm import (
    body_of_request,
    history_of,
    may_write_workflows,
    require_push,
    resolve,
    time_words,
)
from sandbox.repositories import Repository, fake_sha


@blueprint.get("/repos/<owner>/<name>/releases")
def releases(owner: str, name: str) -> Response:
    """Newest first; drafts only for those who may push."""
    repo = github.find_repository(owner, name)
    found = [r for r in history_of(repo).releases[::-1] if not r.draft or g.token.push]
    return github.paged([_release_json(repo, release) for release in found])


@blueprint.get("/repos/<owner>/<name>/releases/tags/<path:tag>")
def release_by_tag(owner: str, name: str, tag: str) -> Response:
    """Only published ones."""
    repo = github.find_repository(owner, name)
    found = next((r for r in history_of(repo).releases if r.tag == tag and not r.draft), None)
    if found is None:
        refuse(404, "Not Found")
    return jsonify(_release_json(repo, found))


@blueprint.post("/repos/<owner>/<name>/releases")
def create_release(owner: str, name: str) -> tuple[Response, int]:
    """A draft creates no tag, and one tag may have two drafts."""
    repo = github.find_repository(owner, name)
    require_push(repo)
    body, history = body_of_request(), history_of(repo)
    tag = body.get("tag_name")
    if not isinstance(tag, str) or not tag:
        _invalid("tag_name", "missing_field")
    if any(r.tag == tag and not r.draft for r in history.releases):
        _invalid("tag_name", "already_exists")
    if history.touches_workflows and not may_write_workflows():
        refuse(404, "Not Found")
    target = str(body.get("target_commitish") or repo.default_branch)
    if resolve(repo, target) is None:
        _invalid("target_commitish", "invalid")
    number = len(history.releases) + 1
    text = str(body.get("body") or "")
    title, is_draft = str(body.get("name") or tag), body.get("draft") is True
    release = Release(number, tag, target, title, text, is_draft, g.token.login)
    history.releases.append(release)
    if not is_draft:
        publish(repo, release)
    state().record("release.created", "github", repository=repo.full_name, tag=tag, draft=is_draft)
    return jsonify(_release_json(repo, release)), 201


def publish(repo: Repository, release: Release) -> None:
    """Creates the tag if it is missing."""
    ref, sha = f"refs/tags/{release.tag}", resolve(repo, release.target)
    if sha and not state().github.is_taken(repo, ref):
        state().github.create_ref(repo, ref, sha)


@blueprint.patch("/repos/<owner>/<name>/releases/<int:number>")
def edit_release(owner: str, name: str, number: int) -> Response:
    repo = github.find_repository(owner, name)
    require_push(repo)
    found = next((r for r in history_of(repo).releases if r.id == number), None)
    if found is None:
        refuse(404, "Not Found")
    body = body_of_request()
    found.target = str(body.get("target_commitish", found.target))
    found.body, found.name = str(body.get("body", found.body)), str(body.get("name", found.name))
    if found.draft and body.get("draft") is False:
        found.draft = False
        publish(repo, found)
    state().touch()
    return jsonify(_release_json(repo, found))


def _invalid(field: str, code: str) -> NoReturn:
    body = {
        "message": "Validation Failed",
        "errors": [{"resource": "Release", "field": field, "code": code}],
        "documentation_url": github.DOCS,
    }
    answer = jsonify(body)
    answer.status_code = 422
    abort(answer)


def _release_json(repo: Repository, release: Release) -> dict[str, Any]:
    page = f"https://github.com/{repo.full_name}/releases"
    place = f"tag/untagged-{fake_sha(str(release.id))[:20]}" if release.draft else ""
    return {
        "id": release.id,
        "node_id": f"RE_{release.id}",
        "url": github.api(f"/repos/{repo.full_name}/releases/{release.id}"),
        "html_url": f"{page}/{place or f'tag/{release.tag}'}",
        "tag_name": release.tag,
        "target_commitish": release.target,
        "name": release.name,
        "body": release.body,
        "draft": release.draft,
        "prerelease": False,
        "created_at": time_words(state().clock()),
        "published_at": None if release.draft else time_words(state().clock()),
        "author": github.user_json(release.author, 4242),
    }
