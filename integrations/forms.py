"""The form of a connection, built from the fields that its provider declares.

It only checks the format; the operations validate the values, and the form shows their errors.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from django import forms
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils.html import escape
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from delivr.failures import Conflict
from delivr.tenants.models import Tenant
from integrations import operations, sharing
from integrations.models import FAMILIES, Connection, PipelineIntegration
from integrations.providers.fields import MAX_TEXT, ConnectionField
from integrations.providers.registry import (
    ProviderKey,
    entered_fields_of,
    fields_of,
    provider_class,
    same_words,
    secrets_of,
    slug_of,
)
from integrations.wording import FORM_ERRORS

C = TypeVar("C", bound=Connection)
MAX_SECRET = MAX_TEXT + 100
MAX_DOCUMENT = 20_000
MAX_NAME = 80
REFERENCES = {"target": gettext_lazy("Builds for"), "scm": gettext_lazy("Builds from")}
TYPE_AGAIN = gettext_lazy("Enter it again: secrets are not sent back to the page.")
_USERINFO = re.compile(r"://[^/\s]*@")
_SECRET_ATTRS: dict[str, Any] = {"autocomplete": "off", "spellcheck": "false", "data-1p-ignore": ""}


class SecretTextarea(forms.Textarea):
    """A text area that does not render its value unless asked to, like Django's PasswordInput."""

    def __init__(self, attrs: dict[str, Any] | None = None, render_value: bool = False) -> None:
        super().__init__(attrs)
        self.render_value = render_value

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        shown = value if self.render_value else None
        return super().get_context(name, shown, attrs)


class TextField(forms.CharField):
    """One line. Credentials within a URL are not rendered again."""

    def bound_data(self, data: Any, initial: Any) -> Any:
        shown = super().bound_data(data, initial)
        return _USERINFO.sub("://", shown) if isinstance(shown, str) else shown


class ListField(forms.CharField):
    """Several values, separated by line breaks or commas."""

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def clean(self, value: Any) -> Any:
        return [part for part in re.split(r"[\s,]+", super().clean(value)) if part]


class MappingField(forms.CharField):
    """`NAME=value`, one per line. A value of several lines is written between `NAME<<EOF` and `EOF`
    (or any other word), as in a shell:
    https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html#tag_19_07_04
    """

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return "\n".join(_as_lines(name, text) for name, text in value.items())
        return value

    def clean(self, value: Any) -> Any:
        pairs = []
        # Split at "\n" only: values may contain other line ends and must stay whole.
        lines = enumerate(re.split(r"\r\n|\r|\n", super().clean(value)), start=1)
        for number, line in lines:
            name, sign, text = line.partition("=")
            begins = _SEVERAL_LINES.fullmatch(line.strip())
            if begins and begins["name"].strip():
                pairs.append((begins["name"].strip(), _up_to(begins["end"], lines, number)))
            elif line.strip() and not (sign and name.strip()):
                raise ValidationError(_("Line %d: write it as NAME=value.") % number)
            elif line.strip():
                pairs.append((name.strip(), text.strip()))
        return _unique(pairs)


# No part matches the same characters in two ways: lines may be long and made to backtrack.
_SEVERAL_LINES = re.compile(r"(?P<name>[^=]*)<<\s*(?P<end>\w+)")


def _up_to(end: str, lines: Iterator[tuple[int, str]], number: int) -> str:
    """The lines before the one that equals `end`, which is consumed too."""
    value: list[str] = []
    for _number, line in lines:
        if line.strip() == end:
            return "\n".join(value)
        value.append(line)
    words = {"number": number, "end": end}
    raise ValidationError(_("Line %(number)d: this value must end with a line %(end)s.") % words)


def _as_lines(name: str, text: str) -> str:
    if "\n" not in text:
        return f"{name}={text}"
    taken, end = {line.strip() for line in text.split("\n")}, "EOF"
    while end in taken:
        end += "_"
    return f"{name}<<{end}\n{text}\n{end}"


def _unique(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    names = [name for name, _text in pairs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValidationError(_("%(names)s: listed twice.") % {"names": ", ".join(twice)})
    return dict(pairs)


class ConnectionForm(forms.Form):
    """Connects a new one, or edits `connection`.

    `initial` prefills it; stored secrets are never shown, and those in `initial` (the sandbox's)
    only with `show_secrets`. Because of `token` a form that is sent several times connects once.
    `is_failing`: it shows what a verification found, not what is wrong with what was sent.
    """

    is_failing = False

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        tenant: Tenant,
        key: ProviderKey,
        connection: Connection | None = None,
        initial: Mapping[str, Any] | None = None,
        show_secrets: bool = False,
        token: str = "",
    ) -> None:
        super().__init__(data, initial={**_stored(connection), **(initial or {})})
        self.tenant, self.connection = tenant, connection
        self.provider_key, (family, self.kind) = key, key
        self.model = FAMILIES[family]
        self.show_secrets = show_secrets
        self.token = token
        self._add_references()
        self._add_sources()
        for field in entered_fields_of(key):
            self.fields[field.name] = self._field(field)
            if field.is_removable and connection is not None and field.read(connection):
                words = _("Remove the stored value of “%(field)s”") % {"field": field.label}
                self.fields[_remove(field)] = forms.BooleanField(label=words, required=False)
        self.fields["display_name"] = forms.CharField(
            label=_("Name"),
            max_length=MAX_NAME,
            required=False,
            error_messages=FORM_ERRORS,
            help_text=_("Leave empty to use a name based on the fields above."),
            widget=forms.TextInput({"placeholder": connection.derived_name if connection else ""}),
        )

    # --- Fields ---------------------------------------------------------------------------------

    @property
    def kinds(self) -> list[tuple[str, str, str]]:
        """What may be connected: each kind with its label and its logo."""
        family = self.model.family
        return [(kind, words, slug_of((family, kind))) for kind, words in kinds_of(self.model)]

    def _add_references(self) -> None:
        provider = provider_class(self.provider_key)
        for name, label in self._references():
            rows = list(FAMILIES[provider.references[name]].objects.for_tenant(self.tenant))
            rows = [row for row in rows if not operations.why_not_with(provider, row)]
            self.fields[name] = forms.ChoiceField(
                label=label, choices=_choices(rows), error_messages=FORM_ERRORS
            )
            if len(rows) == 1:
                self.initial.setdefault(name, rows[0].pk)

    def _references(self) -> Iterator[tuple[str, Any]]:
        declared = provider_class(self.provider_key).references
        for name, label in REFERENCES.items():
            if name in declared:
                yield name, label if self.model is PipelineIntegration else _("App")

    def _add_sources(self) -> None:
        """Offer to take the shared fields over; the first one is chosen, unless they are filled."""
        self.sources: list[Connection] = []
        if self.connection is None:
            rows = sharing.sources(self.model, tenant=self.tenant, kind=self.kind)
            self.sources = rows
        if not self.sources:
            return
        words = same_words(self.provider_key)
        choices = [(row.pk, str(words) % {"name": row}) for row in self.sources]
        self.fields[sharing.FIELD] = forms.ChoiceField(
            label=_("Credentials"),
            choices=[*choices, ("", _("Enter new credentials"))],
            required=False,
            error_messages=FORM_ERRORS,
            widget=forms.Select({"data-takes-over": ""}),
        )
        self.fields[sharing.FIELD].is_stored = True  # type: ignore[attr-defined] # see below
        if not any(self.initial.get(f.name) for f in sharing.shared_fields(self.provider_key)):
            self.initial.setdefault(sharing.FIELD, self.sources[0].pk)

    def _field(self, field: ConnectionField) -> forms.Field:
        if field.choices:
            return forms.ChoiceField(
                label=str(field.label),
                help_text=escape(field.help),
                required=field.required,
                choices=field.choices,
                error_messages=FORM_ERRORS,
            )
        made: Any = {"list": ListField, "mapping": MappingField}.get(field.kind, TextField)
        is_stored = (
            field.secret and self.connection is not None and bool(field.read(self.connection))
        )
        may_be_empty = is_stored or (field.shared and bool(self.sources))
        found: forms.Field = made(
            label=str(field.label),
            help_text=self._help(field, is_stored=is_stored),
            required=field.required and not may_be_empty and not field.is_conditional,
            max_length=_longest(field),
            error_messages=FORM_ERRORS,
            strip=not field.secret,
            widget=self._widget(field, is_stored=is_stored),
        )
        # for components/field.html
        is_told = may_be_empty or field.is_conditional
        found.is_stored = is_told and field.required  # type: ignore[attr-defined]
        found.group = field.group  # type: ignore[attr-defined] # for components/form.html
        return found

    def _help(self, field: ConnectionField, *, is_stored: bool) -> Any:
        about = escape(field.help)  # the template renders a help text as markup
        if not is_stored:
            return about
        keep = gettext_lazy("Leave empty to keep the stored one.")
        return format_lazy("{} {}", keep, about) if field.help else keep

    def _widget(self, field: ConnectionField, *, is_stored: bool) -> forms.Widget:
        attrs: dict[str, Any] = {
            "placeholder": _("Stored, not shown") if is_stored else field.placeholder
        }
        if field.options:
            attrs |= self._picker(field)
        if field.secret:
            attrs |= _SECRET_ATTRS
        if field.shared and self.sources:
            attrs |= {"data-shared": ""}
        if field.file:
            attrs |= _drop(field)
        if field.kind != "text":
            attrs |= {"rows": 4, "class": "mono"}
            if field.secret:
                return SecretTextarea(attrs, render_value=self.show_secrets)
            return forms.Textarea(attrs)
        if field.secret:
            return forms.PasswordInput(attrs, render_value=self.show_secrets)
        return forms.TextInput(attrs)

    def _picker(self, field: ConnectionField) -> dict[str, Any]:
        address = reverse("integration_options", args=[self.model.family])
        attrs = {
            "data-picker-url": f"{address}?field={field.name}",
            "data-picker-label": field.load or gettext_lazy("Load choices"),
        }
        adds = {"list": "data-picker-multiple", "mapping": "data-picker-lines"}.get(field.kind)
        return attrs | ({adds: ""} if adds else {})

    # --- Errors ----------------------------------------------------------------------------------

    def add_error(self, field: str | None, error: Any) -> None:
        """With any error an entered secret is not rendered again, so say that too."""
        super().add_error(field, error)
        if self.show_secrets:
            return
        for name in secrets_of(self.provider_key):
            if name in self.fields and self.data.get(self.add_prefix(name)):
                self[name].help_text = TYPE_AGAIN

    def mark_failures(self) -> None:
        """Show what the last verification found beside the fields that it is about."""
        if self.connection is None or self.errors:
            return
        self.cleaned_data: dict[str, Any] = {}
        self.is_failing = bool(self.connection.failures)
        for check in self.connection.failures:
            name = check["name"].partition(":")[0]
            field = next((f.name for f in fields_of(self.provider_key) if name in f.checks), None)
            self.add_error(field, " ".join(filter(None, [check["message"], check["hint"]])))
        first = next((name for name in self.fields if name in self.errors), None)
        if first:
            self.fields[first].widget.attrs["autofocus"] = True

    # --- Sending ---------------------------------------------------------------------------------

    def values(self) -> dict[str, Any]:
        """The entered values by field name, without fields that have errors, and without secrets
        that are kept."""
        found = dict(self.cleaned_data) if self.errors is not None else {}
        for field in fields_of(self.provider_key):
            is_removed = found.pop(_remove(field), False)
            if self.connection is not None and field.is_removable and not found.get(field.name):
                found.pop(field.name, None)
                found |= {field.name: None} if is_removed else {}
        return found

    def clean(self) -> None:
        for field in fields_of(self.provider_key):
            given = self.cleaned_data
            if given.get(_remove(field)) and given.get(field.name):
                self.add_error(_remove(field), _("Enter a new value or remove it, not both."))

    def submit(self, operation: Callable[..., C]) -> C | None:
        """Call `operation` with the values; None if there are errors, which the fields show."""
        known = {name: [str(m) for m in messages] for name, messages in self.errors.items()}
        try:
            return operation(values=self.values(), known_errors=known or None)
        except ValidationError as error:
            for name, messages in error.message_dict.items():
                if name not in known:
                    self.add_error(name if name in self.fields else None, messages)
        except Conflict as conflict:
            self.add_error(None, conflict.message)
        return None


def _remove(field: ConnectionField) -> str:
    """The name of the box that removes what is stored of it."""
    return f"remove_{field.name}"


def kinds_of(model: type[Connection]) -> list[tuple[str, str]]:
    """The kinds of a family with their labels, in the order in which they are offered."""
    column: Any = model._meta.get_field(model.type_field)
    return [(str(kind), str(words)) for kind, words in column.choices]


def _choices(rows: Sequence[Connection]) -> list[tuple[str, str]]:
    named = [(row.pk, _named(row)) for row in rows]
    return named if len(named) == 1 else [("", _("Choose…")), *named]


def _named(row: Connection) -> str:
    """The name with the kind, since two stores may have the same app identifier."""
    text = str(row)
    words = text if row.kind_label in text else f"{row.kind_label} · {text}"
    return words if row.is_valid else f"{words} ({row.get_verification_status_display().lower()})"


def _drop(field: ConnectionField) -> dict[str, Any]:
    """What connections.js needs to read a file into the text area."""
    words = {"label": field.label, "ending": field.file, "most": MAX_DOCUMENT // 1000}
    wrong = _("“%(label)s” needs a %(ending)s file. This is a different file.") % words
    return {
        "data-drop": field.file,
        "data-drop-mark": field.file_mark,
        "data-drop-most": MAX_DOCUMENT,
        "data-drop-wrong": wrong,
        "data-drop-large": _("This file is too large. The limit is %(most)s KB.") % words,
        "data-drop-read": _("The file was loaded into the field."),
    }


def _longest(field: ConnectionField) -> int:
    if field.kind != "text":
        return MAX_DOCUMENT
    return MAX_SECRET if field.secret else MAX_TEXT


def _stored(connection: Connection | None) -> dict[str, Any]:
    """The values of a stored connection that its form shows, without secrets."""
    if connection is None:
        return {}
    shown = {f.name: f.read(connection) for f in fields_of(connection.provider_key) if not f.secret}
    shown["display_name"] = connection.display_name
    references = connection.provider_class.references
    shown |= {name: getattr(connection, f"{name}_id") for name in references}
    return shown
