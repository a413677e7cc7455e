"""The part of the sandbox's board that shows Jira's issues and versions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sandbox.context import state
from sandbox.tickets import Issue, Version

SHOWN = 15


def board() -> dict[str, Any]:
    """What the board shows of it, the newest first."""
    jira = state().jira
    return {
        "issues": [_issue(issue) for issue in jira.issues[: -SHOWN - 1 : -1]],
        "versions": [_version(version) for version in jira.versions[: -SHOWN - 1 : -1]],
    }


def _issue(issue: Issue) -> dict[str, Any]:
    return {
        "key": issue.key,
        "status": issue.status,
        "summary": issue.summary,
        "labels": issue.labels,
        "links": list(issue.links.values()),
        "comments": [" ".join(_texts(comment["body"])) for comment in issue.comments],
    }


def _texts(body: Any) -> Iterator[str]:
    """The texts in a document of Jira Cloud; Data Center has plain text."""
    if isinstance(body, str):
        yield body
    elif isinstance(body, dict):
        if body.get("type") == "text":
            yield str(body.get("text"))
        for part in body.get("content", ()):
            yield from _texts(part)


def _version(version: Version) -> dict[str, Any]:
    return {
        "name": version.name,
        "project": version.project,
        "released": version.released,
        "date": version.release_date,
        "issues": [(issue.key, issue.status) for issue in state().jira.in_version(version)],
    }
