"""New refs, the rules for them, and comparisons, as in GitHub's REST API.

https://docs.github.com/en/rest
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from flask import Response, g, jsonify, request

from sandbox.context import state
from sandbox.history import Commit, Pull, RepositoryHistory
from sandbox.providers import github
from sandbox.providers.github import blueprint, refuse
from sandbox.repositories import Repository, fake_sha

WITHOUT_PAGES, MOST_FILES = 250, 300
_BAD_NAME = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|$)|/$|\.$")


def history_of(repo: Repository) -> RepositoryHistory:
    return state().github.history_of(repo)


def body_of_request() -> dict[str, Any]:
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        refuse(400, "Problems parsing JSON")
    return body


def require_push(repo: Repository) -> None:
    if repo.archived:
        refuse(403, "Repository was archived so is read-only.")
    if not g.token.push:
        github.lacking("contents")


def may_write_workflows() -> bool:
    if g.token.installation is not None:
        return bool(g.token.may("workflows"))
    return g.token.scopes is not None and "workflow" in re.split(r",\s*", g.token.scopes)


def time_words(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@blueprint.get("/repositories/<int:number>")
def by_id(number: int) -> Response:
    """Also after a rename: https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#follow-redirects"""
    found = next((repo for repo in state().github.visible() if repo.id == number), None)
    if found is None:
        refuse(404, "Not Found")
    return jsonify(github.repository_json(found))


# Refs


@blueprint.post("/repos/<owner>/<name>/git/refs")
def create_ref(owner: str, name: str) -> tuple[Response, int]:
    repo = github.find_repository(owner, name)
    require_push(repo)
    ref, sha = _new_ref()
    kind, short = ref.split("/", 2)[1:]
    history = history_of(repo)
    _check_name(ref, short)
    if sha not in history.commits and sha not in history.tags:
        refuse(422, "Object does not exist")
    if state().github.is_taken(repo, ref):
        refuse(422, "Reference already exists")
    if history.touches_workflows and not may_write_workflows():
        refuse(
            403,
            "refusing to allow a Personal Access Token to create or update workflow "
            "`.github/workflows/build.yml` without `workflow` scope",
        )
    if history.forbidding(kind, short):
        listed = "- Cannot create ref due to creations being restricted."
        refuse(422, f"Repository rule violations found\n\n{listed}\n\n")
    _check_folders(repo, ref)
    state().github.create_ref(repo, ref, sha)
    return jsonify(github.ref_json(repo, ref)), 201


def _new_ref() -> tuple[str, str]:
    body = body_of_request()
    ref, sha = body.get("ref"), body.get("sha")
    if not isinstance(ref, str) or not isinstance(sha, str):
        refuse(422, 'Invalid request.\n\n"ref", "sha" weren\'t supplied.')
    if not ref.startswith("refs/") or ref.count("/") < 2:
        refuse(422, "Reference name must start with 'refs/' and have at least two slashes.")
    return ref, sha


def _check_name(ref: str, short: str) -> None:
    if _BAD_NAME.search(ref) or re.fullmatch(r"[0-9a-f]{40}", short):
        refuse(422, f"{ref} is not a valid ref name.")


def _check_folders(repo: Repository, ref: str) -> None:
    """Git cannot have both `release` and `release/1.5`."""
    taken = [r for r in state().github.refs[repo.full_name] if state().github.is_taken(repo, r)]
    if any(r.startswith(f"{ref}/") or ref.startswith(f"{r}/") for r in taken):
        refuse(422, "Reference update failed")


@blueprint.get("/repos/<owner>/<name>/rules/branches/<path:branch>")
def rules(owner: str, name: str, branch: str) -> Response:
    """Also of a branch that does not exist yet."""
    repo = github.find_repository(owner, name)
    rule = history_of(repo).forbidding("heads", branch)
    found = rule and {
        "type": "creation",
        "ruleset_source_type": "Organization" if rule.source else "Repository",
        "ruleset_source": rule.source or repo.full_name,
        "ruleset_id": rule.id,
    }
    return jsonify([found] if found else [])


@blueprint.post("/repos/<owner>/<name>/git/tags")
def create_tag(owner: str, name: str) -> tuple[Response, int]:
    """The object of an annotated tag; no tag refers to it yet."""
    repo = github.find_repository(owner, name)
    require_push(repo)
    body, history = body_of_request(), history_of(repo)
    if body.get("object") not in history.commits:
        refuse(422, "Object does not exist")
    sha = fake_sha(repo.full_name, "tag", str(body.get("tag")), str(body.get("message")))
    history.tags[sha] = body["object"]
    state().touch()
    return jsonify(_tag_json(sha, body["object"])), 201


@blueprint.get("/repos/<owner>/<name>/git/tags/<sha>")
def get_tag(owner: str, name: str, sha: str) -> Response:
    commit = history_of(github.find_repository(owner, name)).tags.get(sha)
    if commit is None:
        refuse(404, "Not Found")
    return jsonify(_tag_json(sha, commit))


def _tag_json(sha: str, commit: str) -> dict[str, Any]:
    return {"sha": sha, "object": {"type": "commit", "sha": commit}}


# Commits and comparisons


@blueprint.get("/repos/<owner>/<name>/compare/<path:spec>")
def compare(owner: str, name: str, spec: str) -> Response:
    repo = github.find_repository(owner, name)
    history = history_of(repo)
    base, dots, head = spec.partition("...")
    shas = [resolve(repo, part) for part in (base, head)]
    if not dots or None in shas:
        refuse(404, "Not Found")
    return jsonify(_comparison(repo, history, *map(str, shas)))


def resolve(repo: Repository, name: str) -> str | None:
    """The commit of a branch, a tag or an id."""
    history = history_of(repo)
    if name in history.commits:
        return name
    found = (state().github.ref(repo, f"refs/{kind}/{name}") for kind in ("heads", "tags"))
    sha = next((sha for sha in found if sha), None)
    return history.tags.get(sha, sha) if sha else None


def _comparison(
    repo: Repository, history: RepositoryHistory, base: str, head: str
) -> dict[str, Any]:
    shared = history.merge_base(head, base)
    if not shared:
        refuse(404, f"No common ancestor between {base} and {head}.")
    ahead, behind = history.only_in(head, base), history.only_in(base, head)
    listed, is_first = _page_of(ahead)
    both = bool(ahead) and bool(behind)
    status = "diverged" if both else "ahead" if ahead else "behind" if behind else "identical"
    return {
        "status": status,
        "ahead_by": len(ahead),
        "behind_by": len(behind),
        "total_commits": len(ahead),
        "base_commit": commit_json(repo, history.commits[base]),
        "merge_base_commit": commit_json(repo, history.commits[shared]),
        "commits": [commit_json(repo, commit) for commit in listed],
        **({"files": _files(history)} if is_first else {}),
    }


def _page_of(commits: list[Commit]) -> tuple[list[Commit], bool]:
    """Without paging the last 250; with it oldest first. The files are only on the first page."""
    if "page" not in request.args and "per_page" not in request.args:
        return commits[-WITHOUT_PAGES:], True
    size = min(max(request.args.get("per_page", 30, type=int), 1), 100)
    page = max(request.args.get("page", 1, type=int), 1)
    return commits[(page - 1) * size : page * size], page == 1


def _files(history: RepositoryHistory) -> list[dict[str, Any]]:
    return [
        {
            "filename": f"src/file{number}.kt",
            "status": "modified",
            "changes": 1,
            "patch": "+" * history.patch_size,
        }
        for number in range(min(history.changed_files, MOST_FILES))
    ]


def commit_json(repo: Repository, commit: Commit) -> dict[str, Any]:
    url = github.api(f"/repos/{repo.full_name}/commits/{commit.sha}")
    page = f"https://github.com/{repo.full_name}/commit"
    signature = {
        "name": commit.author,
        "email": f"{commit.author}@example.com",
        "date": time_words(commit.at),
    }
    user = github.user_json(commit.author, 5000)
    return {
        "sha": commit.sha,
        "node_id": f"C_{commit.sha[:12]}",
        "commit": {
            "author": signature,
            "committer": signature,
            "message": commit.message,
            "url": url,
            "comment_count": 0,
        },
        "url": url,
        "html_url": f"{page}/{commit.sha}",
        "author": user,
        "committer": user,
        "parents": [{"sha": sha, "url": url, "html_url": page} for sha in commit.parents],
    }


@blueprint.get("/repos/<owner>/<name>/commits/<sha>/pulls")
def pulls_of(owner: str, name: str, sha: str) -> Response:
    repo = github.find_repository(owner, name)
    history = history_of(repo)
    commit = history.commits.get(sha)
    if commit is None:
        refuse(422, f"No commit found for SHA: {sha}")
    pull = history.pulls.get(commit.pull or 0)
    return jsonify([_pull_json(repo, pull)] if pull else [])


def _pull_json(repo: Repository, pull: Pull) -> dict[str, Any]:
    return {
        "number": pull.number,
        "title": pull.title,
        "body": pull.body,
        "state": "closed",
        "html_url": f"https://github.com/{repo.full_name}/pull/{pull.number}",
        "head": {"ref": pull.branch},
        "base": {"ref": repo.default_branch},
        "user": github.user_json(pull.author, 5000),
    }
