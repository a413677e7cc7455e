"""The part of JQL that a search by label or project needs; anything else is an error.

https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issue-search/
"""

from __future__ import annotations

import re
from collections.abc import Callable

from sandbox.tickets import Issue, Tickets

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


def matcher(jql: str, tickets: Tickets) -> Clause:
    """A predicate for issues. Raises JqlError."""
    condition = re.split(r"\border\s+by\b", jql, flags=re.IGNORECASE)[0].strip()
    if not condition:
        raise JqlError(UNBOUNDED)
    parts = re.split(r"\s+and\s+", condition, flags=re.IGNORECASE)
    clauses = [_clause(part, tickets) for part in parts]
    return lambda issue: all(clause(issue) for clause in clauses)


def _clause(text: str, tickets: Tickets) -> Clause:
    match = CLAUSE.match(text)
    if not match:
        raise JqlError(f"Error in the JQL Query: could not understand '{text.strip()}'.")
    raw = match["values"] if match["in"] else match["value"]
    wanted = {value.strip().strip("\"'") for value in raw.split(",")}
    negated = match["operator"] == "!=" or (match["in"] or "").lower().startswith("not")
    values = _values(match["field"].lower(), wanted, tickets)
    return lambda issue: bool(values(issue) & wanted) is not negated


def _values(field: str, wanted: set[str], tickets: Tickets) -> Callable[[Issue], set[str]]:
    if field == "project":
        for value in wanted:
            if tickets.project(value) is None:
                raise JqlError(f"The value '{value}' does not exist for the field 'project'.")
        return lambda issue: {issue.project}
    if field in ("labels", "label"):
        return lambda issue: set(issue.labels)
    if field in ("key", "issuekey", "id"):
        return lambda issue: {issue.key, issue.id}
    if field in ("issuetype", "type"):
        return lambda issue: {issue.issue_type, _type_name(issue, tickets)}
    if field == "parent":
        return lambda issue: {issue.parent}
    raise JqlError(f"Field '{field}' does not exist or you do not have permission to view it.")


def _type_name(issue: Issue, tickets: Tickets) -> str:
    project = tickets.project(issue.project)
    found = project.issue_type({"id": issue.issue_type}) if project else None
    return found.name if found else ""
