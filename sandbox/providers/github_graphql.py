"""GitHub's GraphQL API: the one question of commits for their pull requests.

https://docs.github.com/en/graphql/reference/objects#commit
"""

from __future__ import annotations

import re
from typing import Any

from flask import Blueprint, Response, jsonify

from sandbox.context import state
from sandbox.history import Commit, Pull, RepositoryHistory
from sandbox.providers import github, github_signin
from sandbox.providers.github_scm import body_of_request, history_of, time_words

# It is served beside an Enterprise server's /api/v3, not below it.
enterprise = Blueprint("github_graphql", __name__, url_prefix="/api")
enterprise.before_request(github_signin.authenticate)
enterprise.after_request(github.headers)

_OBJECT = re.compile(r'(\w+)\s*:\s*object\(\s*oid:\s*"([0-9a-f]{40})"\s*\)')
_NODES = re.compile(r"associatedPullRequests\(first:\s*\d+\)\s*\{\s*nodes\s*\{(.*)", re.DOTALL)
_FIELDS = {"number", "title", "body", "mergedAt", "headRefName", "author", "login", "state"}


@github.blueprint.post("/graphql")
@enterprise.post("/graphql")
def graphql() -> Response:
    body = body_of_request()
    query, variables = str(body.get("query", "")), body.get("variables") or {}
    nodes = _NODES.search(query)
    asked = set(re.findall(r"\w+", nodes[1])) if nodes else set()
    if unknown := asked - _FIELDS:
        words = f"Field '{min(unknown)}' doesn't exist on type 'PullRequest'"
        return jsonify({"errors": [{"message": words, "type": "undefinedField"}]})
    repo = state().github.find(str(variables.get("owner")), str(variables.get("name")))
    if repo is None or not nodes:
        words = "Could not resolve to a Repository with that name."
        missing = {"type": "NOT_FOUND", "path": ["repository"], "message": words}
        return jsonify({"data": {"repository": None}, "errors": [missing]})
    return jsonify(_answer(history_of(repo), dict(_OBJECT.findall(query)), asked))


def _answer(history: RepositoryHistory, wanted: dict[str, str], asked: set[str]) -> dict[str, Any]:
    found = {name: _commit_node(history, sha, asked) for name, sha in wanted.items()}
    if not history.hides_pulls:
        return {"data": {"repository": found}}
    words = "Resource not accessible by personal access token"
    errors = [
        {"type": "FORBIDDEN", "path": ["repository", name], "message": words} for name in found
    ]
    return {"data": {"repository": dict.fromkeys(found)}, "errors": errors}


def _commit_node(history: RepositoryHistory, sha: str, asked: set[str]) -> dict[str, Any] | None:
    commit = history.commits.get(sha)
    if commit is None:
        return None
    pull = history.pulls.get(commit.pull or 0)
    return {"associatedPullRequests": {"nodes": [_node(pull, commit, asked)] if pull else []}}


def _node(pull: Pull, commit: Commit, asked: set[str]) -> dict[str, Any]:
    every = {
        "number": pull.number,
        "title": pull.title,
        "body": pull.body,
        "state": "MERGED",
        "mergedAt": time_words(commit.at),
        "headRefName": pull.branch,
        "author": {"login": pull.author},
    }
    return {name: value for name, value in every.items() if name in asked}
