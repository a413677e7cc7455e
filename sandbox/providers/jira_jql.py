"""The part of JQL that a search by label or project needs; anything else is an error.

https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issue-search/
"""

from __future__ import annotations

import re
from collections.abc import Callable

from sandbox.tickets import CATEGORIES, Issue, Tickets

_CATEGORY_NAMES = {"new": "To Do", "indeterminate": "In Progress", "done": "Done"}
Clause = Callable[[Issue], bool]
CLAUSE = re.compile(
    r"""^\s*(?P<field>\w+)\s*(?:(?P<operator>=|!=)\s*(?P<value>"[^"]*"|'[^']*'|[\w.-]+)
        |\s(?P<in>(?:not\s+)?in)\s*\((?P<values>[^)]*)\))\s*$""",
    re.VERBOSE | re.IGNORECASE,
)
UNBOUNDED = (
    "Unbounded JQL queries are not allowed here. Please add a search restriction to your query."
)


class JqlError(ValueError):
    """An error for `errorMessages`."""


def matcher(jql: str, tickets: Tickets, *, strict: bool = True) -> Clause:
    """A predicate for issues. Raises JqlError, unless not `strict`, also for issues that do not
    exist."""
    condition = re.split(r"\border\s+by\b", jql, flags=re.IGNORECASE)[0].strip()
    if not condition:
        raise JqlError(UNBOUNDED)
    parts = re.split(r"\s+and\s+", condition, flags=re.IGNORECASE)
    clauses = [_clause(part, tickets, strict) for part in parts]
    return lambda issue: all(clause(issue) for clause in clauses)


def _clause(text: str, tickets: Tickets, strict: bool) -> Clause:
    match = CLAUSE.match(text)
    if not match:
        raise JqlError(f"Error in the JQL Query: could not understand '{text.strip()}'.")
    raw = match["values"] if match["in"] else match["value"]
    wanted = {value.strip().strip("\"'") for value in raw.split(",")}
    negated = match["operator"] == "!=" or (match["in"] or "").lower().startswith("not")
    field = match["field"].lower()
    if strict and field in ("key", "issuekey"):
        _refuse_unknown(wanted, tickets)
    values = _values(field, wanted, tickets)
    return lambda issue: bool(values(issue) & wanted) is not negated


def _refuse_unknown(keys: set[str], tickets: Tickets) -> None:
    for key in sorted(keys):
        if tickets.issue(key) is None:
            raise JqlError(f"An issue with key '{key}' does not exist for field 'key'.")


def _values(field: str, wanted: set[str], tickets: Tickets) -> Callable[[Issue], set[str]]:
    if field == "project":
        _require(field, wanted, {p.key for p in tickets.browsable()})
        return lambda issue: {issue.project}
    if field in ("labels", "label"):
        return lambda issue: set(issue.labels)
    if field in ("key", "issuekey", "id"):
        return lambda issue: {issue.key, issue.id}
    if field in ("issuetype", "type"):
        return lambda issue: {issue.issue_type, _type_name(issue, tickets)}
    if field == "statuscategory":
        return lambda issue: {_CATEGORY_NAMES[CATEGORIES[issue.status]]}
    if field == "fixversion":
        return _versions(wanted, tickets)
    if field == "parent":
        return lambda issue: {issue.parent}
    raise JqlError(f"Field '{field}' does not exist or you do not have permission to view it.")


def _require(field: str, wanted: set[str], known: set[str]) -> None:
    for value in sorted(wanted - known):
        raise JqlError(f"The value '{value}' does not exist for the field '{field}'.")


def _versions(wanted: set[str], tickets: Tickets) -> Callable[[Issue], set[str]]:
    """By name or id."""
    names = {version.id: version.name for version in tickets.versions}
    _require("fixVersion", wanted, {*names, *names.values()})
    return lambda issue: {*issue.versions, *(names[v] for v in issue.versions)}


def _type_name(issue: Issue, tickets: Tickets) -> str:
    project = tickets.project(issue.project)
    found = project.issue_type({"id": issue.issue_type}) if project else None
    return found.name if found else ""
