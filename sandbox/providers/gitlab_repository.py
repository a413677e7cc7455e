"""Branches, tags, commits and merge requests in GitLab's REST API.

https://docs.gitlab.com/api/branches/
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any
from urllib.parse import quote

from flask import Response, g, jsonify, request

from sandbox.history import Commit, Pull, digest
from sandbox.projects import DEVELOPER, Project, Protected
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
    require_code,
    require_level,
    stamp,
    user_json,
)

_BAD_NAME = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|$)|/$|\.$|^-|^/")
_RANGE = re.compile(r"(.+?)\.\.(.+)")
MOST_DIFFS = 100


def project_with_code(id_or_path: str) -> Project:
    project = find_project(id_or_path)
    require_code(project)
    return project


def commit_of(project: Project, ref: str, what: str = "Commit") -> Commit:
    sha = projects().commit(project, ref)
    if sha is None:
        not_found(what)
    return projects().history_of(project).commits[sha]


# Branches


@blueprint.get("/projects/<enc:project>/repository/branches")
def branches(project: str) -> Response:
    found = project_with_code(project)
    refs = projects().refs[found.id]
    names = [ref.removeprefix("refs/heads/") for ref in sorted(refs) if "refs/heads/" in ref]
    names = [name for name in names if _fits(name, request.args.get("search", ""))]
    return paged([_branch_json(found, name) for name in names])


def _fits(name: str, search: str) -> bool:
    """`^term` begins so, `term$` ends so."""
    if search.startswith("^"):
        return name.startswith(search[1:])
    return name.endswith(search[:-1]) if search.endswith("$") else search in name


@blueprint.get("/projects/<enc:project>/repository/branches/<enc:branch>")
def branch(project: str, branch: str) -> Response:
    found = project_with_code(project)
    if f"refs/heads/{branch}" not in projects().refs[found.id]:
        not_found("Branch")
    return jsonify(_branch_json(found, branch))


@blueprint.post("/projects/<enc:project>/repository/branches")
def create_branch(project: str) -> tuple[Response, int]:
    """What git or a hook refuses is a 400, the missing role a 403."""
    found = find_project(project)
    about = given("branch", "ref")
    require_level(found, DEVELOPER)
    name, ref = str(about["branch"]), str(about["ref"])
    refs = projects().refs[found.id]
    if _BAD_NAME.search(name):
        refuse(400, "Branch name is invalid")
    if f"refs/heads/{name}" in refs:
        refuse(400, "Branch already exists")
    if (sha := projects().commit(found, ref)) is None:
        refuse(400, f"Failed to create branch '{name}': invalid reference name '{ref}'")
    if any(_in_the_way(r, f"refs/heads/{name}") for r in refs):
        words = "Branch name conflicts with existing branch hierarchy."
        refuse(400, f"Failed to create branch '{name}': {words}")
    if is_protected_from_us(found, "heads", name):
        refuse(400, "You are not allowed to create protected branches on this project.")
    projects().create_ref(found, f"refs/heads/{name}", sha)
    return jsonify(_branch_json(found, name)), 201


def _in_the_way(there: str, wanted: str) -> bool:
    """Git has no room for `release` beside `release/1.5`."""
    return there.startswith(f"{wanted}/") or wanted.startswith(f"{there}/")


def is_protected_from_us(project: Project, kind: str, name: str) -> bool:
    rule = project.protecting(kind, name)
    return rule is not None and (rule.level == 0 or g.token.level < rule.level)


@blueprint.delete("/projects/<enc:project>/repository/branches/<enc:branch>")
def delete_branch(project: str, branch: str) -> tuple[str, int]:
    found = project_with_code(project)
    require_level(found, DEVELOPER)
    if f"refs/heads/{branch}" not in projects().refs[found.id]:
        not_found("Branch")
    if found.protecting("heads", branch):
        forbidden()
    projects().remove_ref(found, f"refs/heads/{branch}")
    return "", 204


def _branch_json(project: Project, name: str) -> dict[str, Any]:
    rule = project.protecting("heads", name)
    return {
        "name": name,
        "commit": commit_json(project, commit_of(project, name)),
        "merged": False,
        "protected": rule is not None,
        "developers_can_push": bool(rule and 0 < rule.level <= DEVELOPER),
        "developers_can_merge": bool(rule and 0 < rule.level <= DEVELOPER),
        "can_push": not is_protected_from_us(project, "heads", name),
        "default": name == project.default_branch,
        "web_url": f"{page_of(project)}/-/tree/{quote(name)}",
    }


@blueprint.get("/projects/<enc:project>/protected_branches")
def protected_branches(project: str) -> Response:
    return _protected(project, "heads", "push_access_levels")


@blueprint.get("/projects/<enc:project>/protected_tags")
def protected_tags(project: str) -> Response:
    return _protected(project, "tags", "create_access_levels")


def _protected(id_or_path: str, kind: str, levels: str) -> Response:
    found = find_project(id_or_path)
    require_level(found, DEVELOPER)
    rules = [rule for rule in found.protected if rule.kind == kind]
    return paged([_rule_json(rule, levels) for rule in rules])


def _rule_json(rule: Protected, levels: str) -> dict[str, Any]:
    names = {0: "No one", 30: "Developers + Maintainers", 40: "Maintainers"}
    level = {"access_level": rule.level, "access_level_description": names[rule.level]}
    return {"id": 1, "name": rule.name, levels: [level]}


# Tags


@blueprint.get("/projects/<enc:project>/repository/tags")
def tags(project: str) -> Response:
    found = project_with_code(project)
    refs = sorted(projects().refs[found.id])
    names = [ref.removeprefix("refs/tags/") for ref in refs if "refs/tags/" in ref]
    names = [name for name in names if _fits(name, request.args.get("search", ""))]
    return paged([_tag_json(found, name) for name in names])


@blueprint.get("/projects/<enc:project>/repository/tags/<enc:tag>")
def tag(project: str, tag: str) -> Response:
    found = project_with_code(project)
    if f"refs/tags/{tag}" not in projects().refs[found.id]:
        not_found("Tag")
    return jsonify(_tag_json(found, tag))


@blueprint.post("/projects/<enc:project>/repository/tags")
def create_tag(project: str) -> tuple[Response, int]:
    found = project_with_code(project)
    about = given("tag_name", "ref")
    require_level(found, DEVELOPER)
    name = str(about["tag_name"])
    new_tag(found, name, str(about["ref"]), str(about.get("message") or ""))
    return jsonify(_tag_json(found, name)), 201


def new_tag(project: Project, name: str, ref: str, message: str) -> None:
    refs, history = projects().refs[project.id], projects().history_of(project)
    if _BAD_NAME.search(name):
        refuse(400, "Tag name invalid")
    if f"refs/tags/{name}" in refs:
        refuse(400, f"Tag {name} already exists")
    if is_protected_from_us(project, "tags", name):
        refuse(400, "You are not allowed to create this tag as it is protected.")
    if (sha := projects().commit(project, ref)) is None:
        refuse(400, f"Target {ref} is invalid")
    if message:
        made = history.annotate(sha, name, message)
        projects().create_ref(project, f"refs/tags/{name}", made)
    else:
        projects().create_ref(project, f"refs/tags/{name}", sha)


def _tag_json(project: Project, name: str) -> dict[str, Any]:
    """`target` is the id of an annotated tag's own object."""
    return {
        "name": name,
        "message": "",
        "target": projects().refs[project.id][f"refs/tags/{name}"],
        "commit": commit_json(project, commit_of(project, f"refs/tags/{name}")),
        "release": None,
        "protected": project.protecting("tags", name) is not None,
    }


# Commits and comparisons


@blueprint.get("/projects/<enc:project>/repository/commits")
def commits(project: str) -> Response:
    """Of a branch, a tag, a commit, or a range `a..b`: what b has and a has not. Newest first."""
    found = project_with_code(project)
    ref = request.args.get("ref_name") or found.default_branch or ""
    history, between = projects().history_of(found), _RANGE.fullmatch(ref)
    if between is None:
        listed = list(history.ancestors(commit_of(found, ref).sha).values())
    else:
        base, head = (projects().commit(found, part) for part in between.groups())
        listed = history.only_in(head, base) if head and base else []
    listed.sort(key=lambda commit: -commit.at)
    return paged([commit_json(found, commit) for commit in listed], counted=False)


@blueprint.get("/projects/<enc:project>/repository/commits/<enc:sha>")
def commit(project: str, sha: str) -> Response:
    found = project_with_code(project)
    return jsonify(commit_json(found, commit_of(found, sha)))


def commit_json(project: Project, commit: Commit) -> dict[str, Any]:
    return {
        "id": commit.sha,
        "short_id": commit.sha[:8],
        "created_at": stamp(commit.at),
        "parent_ids": commit.parents,
        "title": commit.message.partition("\n")[0],
        "message": commit.message,
        "author_name": commit.author,
        "author_email": f"{commit.author}@example.com",
        "authored_date": stamp(commit.at),
        "committer_name": commit.author,
        "committer_email": f"{commit.author}@example.com",
        "committed_date": stamp(commit.at),
        "trailers": {},
        "web_url": f"{page_of(project)}/-/commit/{commit.sha}",
    }


@blueprint.get("/projects/<enc:project>/repository/compare")
def compare(project: str) -> Response:
    """All commits, oldest first, and not paged; the diffs may be left out, and tell so."""
    found = project_with_code(project)
    about = given("from", "to")
    history = projects().history_of(found)
    base, head = (commit_of(found, str(about[name]), "Ref") for name in ("from", "to"))
    listed = history.only_in(head.sha, base.sha)
    is_late = history.changed_files > MOST_DIFFS
    files = range(0 if is_late else history.changed_files)
    diffs = [{"new_path": f"src/file{n}.kt", "diff": "+" * history.patch_size} for n in files]
    return jsonify(
        {
            "commit": commit_json(found, head) if listed else None,
            "commits": [commit_json(found, one) for one in listed],
            "diffs": diffs,
            "compare_timeout": is_late,
            "compare_same_ref": base.sha == head.sha,
            "web_url": f"{page_of(found)}/-/compare/{base.sha}...{head.sha}",
        }
    )


# Merge requests


@blueprint.get("/projects/<enc:project>/merge_requests")
def merge_requests(project: str) -> Response:
    found = find_project(project)
    _require_merge_requests(found)
    pulls = projects().history_of(found).pulls
    listed = [_request_json(found, pull) for number, pull in sorted(pulls.items(), reverse=True)]
    after = request.args.get("updated_after")
    if after:
        since = datetime.fromisoformat(after)
        listed = [one for one in listed if datetime.fromisoformat(one["updated_at"]) >= since]
    if request.args.get("state") not in (None, "all", "merged"):
        listed = []
    return paged(listed)


@blueprint.get("/projects/<enc:project>/merge_requests/<int:number>")
def merge_request(project: str, number: int) -> Response:
    found = find_project(project)
    _require_merge_requests(found)
    pull = projects().history_of(found).pulls.get(number)
    if pull is None:
        not_found()
    return jsonify(_request_json(found, pull))


@blueprint.get("/projects/<enc:project>/repository/commits/<enc:sha>/merge_requests")
def merge_requests_of(project: str, sha: str) -> Response:
    found = project_with_code(project)
    one = commit_of(found, sha)
    if not found.merge_requests_enabled:
        return paged([])
    pull = projects().history_of(found).pulls.get(one.pull or 0)
    return paged([_request_json(found, pull)] if pull else [])


def _require_merge_requests(project: Project) -> None:
    if not project.merge_requests_enabled:
        forbidden()


def _request_json(project: Project, pull: Pull) -> dict[str, Any]:
    merge, squash, head = _ways(_commits_in(project, pull.number))
    merged = merge or squash or head
    moment = stamp(merged.at if merged else 0)
    return {
        "id": 90_000 + pull.number,
        "iid": pull.number,
        "project_id": project.id,
        "title": pull.title,
        "description": pull.body,
        "state": "merged",
        "merged_at": moment,
        "updated_at": moment,
        "created_at": moment,
        "target_branch": project.default_branch,
        "source_branch": pull.branch,
        "author": user_json(pull.author),
        "sha": head.sha if head else digest("head", str(pull.number)),
        "merge_commit_sha": merge.sha if merge else None,
        "squash_commit_sha": squash.sha if squash else None,
        "web_url": f"{page_of(project)}/-/merge_requests/{pull.number}",
    }


def _commits_in(project: Project, number: int) -> list[Commit]:
    """What a merge request brought into the default branch, oldest first."""
    commits = projects().history_of(project).commits.values()
    return sorted((c for c in commits if c.pull == number), key=lambda commit: commit.at)


def _ways(commits: list[Commit]) -> tuple[Commit | None, Commit | None, Commit | None]:
    """Its merge commit, its squash commit, and the last of its own commits, as far as there are."""
    merge = next((c for c in commits if len(c.parents) > 1), None)
    own = [c for c in commits if c is not merge]
    squash = own[0] if len(own) == 1 and merge is None else None
    return merge, squash, own[-1] if own and squash is None else None


@blueprint.get("/projects/<enc:project>/merge_requests/<int:number>/commits")
def commits_of_request(project: str, number: int) -> Response:
    found = find_project(project)
    _require_merge_requests(found)
    merge, _squash, _head = _ways(_commits_in(found, number))
    listed = [c for c in _commits_in(found, number)[::-1] if c is not merge]
    return paged([commit_json(found, one) for one in listed])
