"""What a project requires of a new epic.

Projects differ: the type "Epic" may be renamed or translated, older projects require an Epic Name,
screens lack fields, and administrators require fields of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..base import Check, ProviderError
from ..http import vendor_words
from ..tickets import Epic
from .deployments import Deployment
from .epic_fields import field_id, field_name, only_value, schema_of, value_of, what_it_takes
from .errors import LABEL

if TYPE_CHECKING:
    from .client import JiraClient

EPIC_LEVEL = 1  # the level of epics in every site's hierarchy, whatever their name
_EPIC_NAME = "com.pyxis.greenhopper.jira:gh-epic-label"
_MOST_TYPES = 20  # whose fields are read to find the epics among them
_LONGEST_SUMMARY = 255  # characters; Jira refuses more
# The reporter defaults to the account itself.
_FILLED = {"project", "issuetype", "summary", "reporter"}
_FILLED_IF_SHOWN = {"labels", "description"}


def correlation_label(correlation: str) -> str:
    return "delivr-" + re.sub(r"[^0-9A-Za-z_-]", "-", correlation)


@dataclass(frozen=True, kw_only=True)
class EpicSettings:
    """The connection's settings for epics: the name of their type, and fields by id or name."""

    epic_type: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class EpicType:
    id: str
    name: str
    names: frozenset[str]  # in lower case, including the untranslated one


@dataclass(frozen=True, kw_only=True)
class Filled:
    """A field that the project requires or the connection names, and its value."""

    id: str
    name: str
    value: Any
    words: str


@dataclass(frozen=True, kw_only=True)
class EpicForm:
    """The create screen of a project's epics: which fields can be filled and which cannot."""

    type_id: str
    type_name: str
    fields: frozenset[str]
    api: Deployment
    epic_name_field: str = ""
    filled: tuple[Filled, ...] = ()
    missing: tuple[str, ...] = ()  # descriptions of required fields with what they accept
    wrong: tuple[str, ...] = ()  # the connection's values that the project does not accept
    unused: tuple[str, ...] = ()  # the connection's field names that are not on the screen

    @property
    def has_labels(self) -> bool:
        return "labels" in self.fields

    def check(self) -> None:
        """Raise `ProviderError` naming what prevents Jira from creating the epic."""
        if self.wrong:
            raise ProviderError.refused(
                "wrong_field",
                f"The project does not accept these values: {'; '.join(self.wrong)}.",
                "Change it under “Epic fields” in this connection.",
            )
        if self.missing:
            raise ProviderError.refused(
                "required_fields",
                f"The project requires fields for an epic: {'; '.join(self.missing)}.",
                "Fill them in under “Epic fields” in this connection, or make them optional in the"
                " project's settings.",
            )

    def field_checks(self) -> Iterator[Check]:
        """Checks that show the values of fields besides our own."""
        for one in self.filled:
            words = f"{one.name}: {one.words}"
            yield Check(name=f"field:{one.id}", ok=True, message=words, subject=one.name)
        if self.unused:
            yield Check.warning(
                "unused_fields",
                "unused_fields",
                "Left out, because the project's screen for new epics does not have them: "
                f"{', '.join(self.unused)}.",
                "Remove them from “Epic fields”, or add them to the screen in Jira.",
            )

    def fill(self, project_key: str, epic: Epic, correlation: str) -> dict[str, Any]:
        """The body for POST /issue, without fields that the screen lacks, which Jira refuses."""
        summary = " ".join(epic.summary.split())[:_LONGEST_SUMMARY]
        fields: dict[str, Any] = {one.id: one.value for one in self.filled}
        more = fields.pop("labels", [])
        fields |= {
            "project": {"key": project_key},
            "issuetype": {"id": self.type_id},
            "summary": summary,
        }
        if self.epic_name_field:
            fields[self.epic_name_field] = summary
        if self.has_labels:
            own = ["-".join(label.split()) for label in epic.labels]
            fields["labels"] = [correlation_label(correlation), *filter(None, own), *more]
        if "description" in self.fields and epic.description.strip():
            fields["description"] = self.api.text(epic.description)
        return {"fields": fields}


def read_form(client: JiraClient, project_key: str, settings: EpicSettings) -> EpicForm:
    """Read the project's epic type and create screen.

    https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issues/#api-rest-api-3-issue-createmeta-projectidorkey-issuetypes-get
    """
    kind = _chosen_type(epic_types(client, project_key), project_key, settings.epic_type)
    path = _fields_path(project_key, kind)
    fields = [one for one in client.pages(path, "fields") if field_id(one)]
    return _Reading(kind, fields, settings.fields, client.secrets, client.api).form()


def epic_types(client: JiraClient, project_key: str) -> list[EpicType]:
    """The epic-level types in which the account may create issues."""
    found = client.pages(_types_path(project_key), "issueTypes")
    kinds = [kind for kind in found if isinstance(kind.get("id"), str | int)]
    if client.api.has_levels:
        kinds = [kind for kind in kinds if kind.get("hierarchyLevel") == EPIC_LEVEL]
        return [_epic_type(kind, client.secrets) for kind in kinds]
    types = [_epic_type(kind, client.secrets) for kind in kinds if not kind.get("subtask")]
    named = [kind for kind in types if "epic" in kind.names]
    return named or [
        kind for kind in types[:_MOST_TYPES] if _has_epic_name(client, project_key, kind)
    ]


def _has_epic_name(client: JiraClient, project_key: str, kind: EpicType) -> bool:
    """Data Center reports no levels, but only its epics, whatever they are called, have a name of
    their own."""
    fields = client.pages(_fields_path(project_key, kind), "fields")
    return any(schema_of(one).get("custom") == _EPIC_NAME for one in fields)


def _fields_path(project_key: str, kind: EpicType) -> str:
    from .client import segment

    return f"{_types_path(project_key)}/{segment(kind.id)}"


def _types_path(project_key: str) -> str:
    from .client import segment

    return f"issue/createmeta/{segment(project_key)}/issuetypes"


def _epic_type(kind: Mapping[str, Any], secrets: Iterable[str]) -> EpicType:
    names = [kind.get(key) for key in ("name", "untranslatedName")]
    return EpicType(
        id=str(kind["id"]),
        name=vendor_words(names[0], secrets=secrets, limit=80) or str(kind["id"]),
        names=frozenset(name.casefold() for name in names if isinstance(name, str)),
    )


def _chosen_type(types: Sequence[EpicType], project_key: str, wanted: str) -> EpicType:
    """The type that the connection names, or the only one, or the one called Epic in any case.
    Raises ProviderError if that is not unique."""
    if not types:
        raise ProviderError.refused(
            "no_epic_type",
            f"This account cannot create epics in the project {project_key}.",
            "Add the issue type Epic to the project, or choose another project.",
        )
    found = [kind for kind in types if (wanted or "Epic").casefold() in {*kind.names, kind.id}]
    if not wanted and len(types) == 1:
        found = list(types)
    if len(found) == 1:
        return found[0]
    names = ", ".join(kind.name for kind in types)
    if wanted:
        message = f"The project {project_key} has no epic type “{wanted}”. It has: {names}."
    else:
        message = f"The project {project_key} has several issue types at the epic level: {names}."
    raise ProviderError.refused(
        "choose_epic_type", message, "Choose one of them under “Epic type” in this connection."
    )


class _Reading:
    """Builds the form of a type from its fields and the connection's values."""

    def __init__(
        self,
        kind: EpicType,
        fields: list[dict[str, Any]],
        given: Mapping[str, str],
        secrets: Iterable[str],
        api: Deployment,
    ) -> None:
        self._kind, self._fields, self._secrets = kind, fields, tuple(secrets)
        self._api = api
        self._given = {name.strip().casefold(): name for name in given}
        self._texts = given
        named = (field_id(one) for one in fields if schema_of(one).get("custom") == _EPIC_NAME)
        self._epic_name = next(named, "")
        self._filled: list[Filled] = []
        self._missing: list[str] = []
        self._wrong: list[str] = []

    def form(self) -> EpicForm:
        for one in self._fields:
            self._read(one)
        return EpicForm(
            type_id=self._kind.id,
            type_name=self._kind.name,
            fields=frozenset(field_id(one) for one in self._fields),
            api=self._api,
            epic_name_field=self._epic_name,
            filled=tuple(self._filled),
            missing=tuple(self._missing),
            wrong=tuple(self._wrong),
            unused=tuple(self._given.values()),
        )

    def _read(self, one: Mapping[str, Any]) -> None:
        ours = _FILLED | {"description", self._epic_name}
        text = None if field_id(one) in ours else self._text(one)
        if text is not None:
            self._fill(one, text)
        elif self._is_wanting(one):
            self._fill_alone(one)

    def _text(self, one: Mapping[str, Any]) -> str | None:
        """The connection's value for it, by its id or name."""
        names = (field_id(one).casefold(), str(one.get("name")).strip().casefold())
        name = next((self._given.pop(n) for n in names if n in self._given), None)
        return None if name is None else str(self._texts[name]).strip()

    def _is_wanting(self, one: Mapping[str, Any]) -> bool:
        ours = _FILLED | _FILLED_IF_SHOWN | {self._epic_name}
        return bool(
            one.get("required") and not one.get("hasDefaultValue") and field_id(one) not in ours
        )

    def _fill(self, one: Mapping[str, Any], text: str) -> None:
        try:
            value = value_of(one, text, self._api)
        except ValueError as error:
            self._wrong.append(f"{self._name(one)}: {error}{self._hint(one)}")
        else:
            words = vendor_words(text, secrets=self._secrets, limit=80)
            self._filled.append(
                Filled(id=field_id(one), name=self._name(one), value=value, words=words)
            )

    def _fill_alone(self, one: Mapping[str, Any]) -> None:
        only = only_value(one)
        if only is None:
            self._missing.append(self._name(one) + (self._hint(one) or " (not from here)"))
            return
        words = vendor_words(only[1], secrets=self._secrets, limit=80)
        words = f"{words} (the only value that is allowed)"
        self._filled.append(
            Filled(id=field_id(one), name=self._name(one), value=only[0], words=words)
        )

    def _name(self, one: Mapping[str, Any]) -> str:
        return field_name(one, self._secrets)

    def _hint(self, one: Mapping[str, Any]) -> str:
        takes = what_it_takes(one, self._secrets, self._api)
        return f" ({takes})" if takes else ""


def cannot_correlate() -> ProviderError:
    return ProviderError.refused(
        "cannot_correlate",
        f"{LABEL} epics of this project have no labels, so delivr cannot check what happened "
        "after a lost response.",
        "Check the project. To fix this, add the Labels field to its create screen.",
    )
