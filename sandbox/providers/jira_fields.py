"""The fields of a new issue, validated as Jira's create screen does.

https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issues/#api-rest-api-3-issue-post
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sandbox.tickets import EPIC_NAME_FIELD, CustomField, IssueType, Project, Tickets

TOP_LEVEL = {"fields", "update", "properties", "historyMetadata", "transition"}
SETTABLE = {
    "project",
    "issuetype",
    "summary",
    "description",
    "labels",
    "parent",
    "duedate",
    "assignee",
}
SUMMARY_LIMIT = 255
EPIC_NAME_SCHEMA = "com.pyxis.greenhopper.jira:gh-epic-label"


def not_settable(name: str) -> str:
    return f"Field '{name}' cannot be set. It is not on the appropriate screen, or unknown."


@dataclass
class Draft:
    """A requested issue, and everything that is wrong with it."""

    tickets: Tickets
    version: str  # of the REST API: "2" takes text, "3" documents
    fields: dict[str, Any]
    errors: dict[str, str] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    project: Project | None = None
    issue_type: IssueType | None = None

    def check(self) -> None:
        """Fill `errors` (by field) and `messages`; find project and issue type."""
        self._find_project()
        self._find_issue_type()
        self._check_summary()
        self._check_labels()
        self._check_description()
        self._check_epic_name()
        self._check_custom()
        self._check_parent()
        self._check_unknown()

    @property
    def wants_epic_name(self) -> bool:
        return bool(
            self.project
            and self.project.epic_name_required
            and self.issue_type
            and self.issue_type.level == 1
        )

    def _find_project(self) -> None:
        wanted = self.fields.get("project")
        if isinstance(wanted, dict):
            self.project = self.tickets.project(str(wanted.get("key") or wanted.get("id") or ""))
        if self.project is None:
            self.errors["project"] = "Specify a valid project ID or key"

    def _find_issue_type(self) -> None:
        wanted = self.fields.get("issuetype")
        if self.project and isinstance(wanted, dict):
            wanted = {name: str(value) for name, value in wanted.items()}
            self.issue_type = self.project.issue_type(wanted)
        if self.issue_type is None:
            self.errors["issuetype"] = "Specify an issue type"

    def _check_summary(self) -> None:
        summary = self.fields.get("summary")
        if not isinstance(summary, str) or not summary.strip():
            self.errors["summary"] = "You must specify a summary of the issue."
        elif "\n" in summary or "\r" in summary:
            self.errors["summary"] = (
                "The summary is invalid because it contains newline characters."
            )
        elif len(summary) > SUMMARY_LIMIT:
            self.errors["summary"] = f"Summary can't exceed {SUMMARY_LIMIT} characters."

    def _check_labels(self) -> None:
        labels = self.fields.get("labels", [])
        if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
            self.errors["labels"] = "data was not an array"
            return
        for label in labels:
            if " " in label:
                self.errors["labels"] = f"The label '{label}' contains spaces which is invalid."
            elif len(label) > SUMMARY_LIMIT:
                self.errors["labels"] = f"The label '{label}' exceeds {SUMMARY_LIMIT} characters."

    def _check_description(self) -> None:
        description = self.fields.get("description")
        if description is None:
            return
        if self.version == "2" and not isinstance(description, str):
            self.errors["description"] = "Operation value must be a string"
        if self.version == "3" and not is_document(description):
            self.errors["description"] = (
                "Operation value must be an Atlassian Document (see the Atlassian Document Format)"
            )

    def _check_epic_name(self) -> None:
        name = self.fields.get(EPIC_NAME_FIELD)
        if self.wants_epic_name and not name:
            self.errors[EPIC_NAME_FIELD] = "Epic Name is required."

    @property
    def custom(self) -> tuple[CustomField, ...]:
        """The fields that the project requires besides Jira's own."""
        is_epic = self.project and self.issue_type and self.issue_type.level == 1
        return self.project.epic_fields if self.project and is_epic else ()

    def _check_custom(self) -> None:
        for one in self.custom:
            value = self.fields.get(one.id)
            allowed = [item["id"] for item in one.allowed]
            if value is None:
                self.errors[one.id] = f"{one.name} is required."
            elif allowed and not (isinstance(value, dict) and value.get("id") in allowed):
                self.errors[one.id] = f"Specify a valid 'id' or 'name' for {one.name}"
            elif not allowed and not isinstance(value, str):
                self.errors[one.id] = "Operation value must be a string"

    def _check_parent(self) -> None:
        parent = self.fields.get("parent")
        if parent is None:
            return
        found = (
            self.tickets.issue(str(parent.get("key") or parent.get("id")))
            if isinstance(parent, dict)
            else None
        )
        if found is None:
            self.errors["parent"] = "Could not find valid 'id' or 'key'."

    def _check_unknown(self) -> None:
        allowed = SETTABLE | {one.id for one in self.custom}
        allowed |= {EPIC_NAME_FIELD} if self.wants_epic_name else set()
        for name in self.fields:
            if name not in allowed:
                self.errors[name] = not_settable(name)

    def facts(self) -> dict[str, Any]:
        """The values to store from a draft without errors."""
        parent = self.fields.get("parent") or {}
        return {
            "summary": self.fields["summary"],
            "labels": list(self.fields.get("labels", [])),
            "description": self.fields.get("description"),
            "epic_name": self.fields.get(EPIC_NAME_FIELD, ""),
            "parent": str(parent.get("key", "")),
            "custom": {one.id: self.fields[one.id] for one in self.custom},
        }


def is_document(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.get("type") == "doc"
        and value.get("version") == 1
        and isinstance(value.get("content"), list)
    )


def metadata(project: Project, issue_type: IssueType) -> list[dict[str, Any]]:
    """The fields of the create screen, as in `createmeta`."""
    fields = [
        _field("issuetype", "Issue Type", required=True),
        _field("project", "Project", required=True),
        _field("summary", "Summary", required=True),
        _field("description", "Description"),
        _field("labels", "Labels", kind="array"),
    ]
    if project.epic_name_required and issue_type.level == 1:
        epic_name = _field(EPIC_NAME_FIELD, "Epic Name", required=True)
        epic_name["schema"] = {"type": "string", "custom": EPIC_NAME_SCHEMA, "customId": 10011}
        fields.append(epic_name)
    if issue_type.level == 1:
        fields += [_custom_field(one) for one in project.epic_fields]
    return fields


def _custom_field(one: CustomField) -> dict[str, Any]:
    schema = {"type": one.kind, "custom": "x:field", "customId": int(one.id.split("_")[1])}
    found = {**_field(one.id, one.name, required=True), "schema": schema}
    return {**found, "allowedValues": one.allowed} if one.values else found


def _field(key: str, name: str, *, required: bool = False, kind: str = "string") -> dict[str, Any]:
    return {
        "fieldId": key,
        "key": key,
        "name": name,
        "required": required,
        "hasDefaultValue": False,
        "operations": ["set"],
        "schema": {"type": kind, "system": key},
    }
