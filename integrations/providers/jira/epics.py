"""What a project wants to be told when an epic is made in it.

Projects differ: the type "Epic" is renamed or translated, older projects want an Epic Name, screens
lack fields, and administrators require fields of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..base import Epic, Outcome, ProviderError
from ..http import vendor_words
from .adf import document
from .errors import LABEL

if TYPE_CHECKING:
    from .client import JiraClient

EPIC_LEVEL = 1  # the level of epics in every site's hierarchy, whatever they are called
_EPIC_NAME = "com.pyxis.greenhopper.jira:gh-epic-label"
_LONGEST_SUMMARY = 255  # characters; Jira refuses more
# The reporter is the account itself where none is given.
_FILLED = {"project", "issuetype", "summary", "reporter"}
_FILLED_IF_SHOWN = {"labels", "description"}


def correlation_label(correlation: str) -> str:
    return "delivr-" + re.sub(r"[^0-9A-Za-z_-]", "-", correlation)


@dataclass(frozen=True, kw_only=True)
class EpicForm:
    """The create screen of a project's epics: ids of what can be filled, and what cannot be."""

    type_id: str
    fields: frozenset[str]
    epic_name_field: str = ""
    unknown_required: tuple[str, ...] = ()

    @property
    def has_labels(self) -> bool:
        return "labels" in self.fields

    def check(self) -> None:
        """Raise `ProviderError` naming the required fields that we have no value for."""
        if not self.unknown_required:
            return
        names = ", ".join(self.unknown_required)
        raise ProviderError(
            "required_fields",
            f"The project requires fields for an epic that cannot be filled from here: {names}.",
            "Make them optional for epics in the project's settings, or give them a default value.",
            outcome=Outcome.REFUSED,
        )

    def fill(self, project_key: str, epic: Epic, correlation: str) -> dict[str, Any]:
        """The body for POST /issue, without the fields that the screen lacks: Jira refuses them."""
        summary = " ".join(epic.summary.split())[:_LONGEST_SUMMARY]
        fields: dict[str, Any] = {
            "project": {"key": project_key},
            "issuetype": {"id": self.type_id},
            "summary": summary,
        }
        if self.epic_name_field:
            fields[self.epic_name_field] = summary
        if self.has_labels:
            own = ["-".join(label.split()) for label in epic.labels]
            fields["labels"] = [correlation_label(correlation), *filter(None, own)]
        if "description" in self.fields and epic.description.strip():
            fields["description"] = document(epic.description)
        return {"fields": fields}


def read_form(client: JiraClient, project_key: str) -> EpicForm:
    """Ask the project for its epic type and create screen.

    https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issues/#api-rest-api-3-issue-createmeta-projectidorkey-issuetypes-get
    """
    from .client import segment

    types = f"issue/createmeta/{segment(project_key)}/issuetypes"
    type_id = _epic_type(client.pages(types, "issueTypes"))
    if type_id is None:
        raise ProviderError(
            "no_epic_type",
            f"This account can create no epics in the project {project_key}.",
            "Add the issue type Epic to the project, or choose another project.",
            outcome=Outcome.REFUSED,
        )
    fields = list(client.pages(f"{types}/{segment(type_id)}", "fields"))
    return _form(type_id, fields, client.secrets)


def _epic_type(types: Iterable[Mapping[str, Any]]) -> str | None:
    """The id of the type at the level of epics; one named Epic where there are several."""
    found = [kind for kind in types if kind.get("hierarchyLevel") == EPIC_LEVEL and kind.get("id")]
    found.sort(key=lambda kind: kind.get("name") != "Epic")
    return str(found[0]["id"]) if found else None


def _form(type_id: str, fields: list[dict[str, Any]], secrets: Iterable[str]) -> EpicForm:
    ids = {str(field.get("fieldId")) for field in fields}
    epic_name = next((str(f.get("fieldId")) for f in fields if _is_epic_name(f)), "")
    filled = _FILLED | _FILLED_IF_SHOWN | {epic_name}
    unknown = [
        vendor_words(field.get("name"), secrets=secrets, limit=80) or "a field without a name"
        for field in fields
        if field.get("required")
        and not field.get("hasDefaultValue")
        and str(field.get("fieldId")) not in filled
    ]
    return EpicForm(
        type_id=type_id,
        fields=frozenset(ids),
        epic_name_field=epic_name,
        unknown_required=tuple(unknown),
    )


def _is_epic_name(field: Mapping[str, Any]) -> bool:
    schema = field.get("schema")
    return isinstance(schema, dict) and schema.get("custom") == _EPIC_NAME


def cannot_correlate() -> ProviderError:
    return ProviderError(
        "cannot_correlate",
        f"{LABEL} epics of this project have no labels: a lost answer cannot be looked up.",
        "Look in the project. Adding the field Labels to its create screen mends this.",
        outcome=Outcome.REFUSED,
    )
