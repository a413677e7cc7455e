"""The fields of a provider's connections: declared once, used by the form and the API."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from django.utils.functional import Promise
from django.utils.translation import gettext as _

from delivr.outbound import OutboundError, check_url

Words = str | Promise
MAX_TEXT = 300


@dataclass(frozen=True, kw_only=True)
class ConnectionField:
    """One field of a connection. `name` is its name in forms, the API (in camel case), errors and
    the audit log.

    `column` is the family's column that stores it; without one it is stored in the connection's
    `options` under its name. `audit_label` is its label in the audit log if `label` is unclear
    outside the provider's form.

    `clean` returns the value to store for the entered one, or raises ValueError with a message for
    the user. `options` names the provider's method that lists the values to choose from, and `load`
    is the label of its button.

    `unless` and `along_with` name another field: this one is not wanted where that one is filled,
    or where it is empty. What is stored of an unwanted one is dropped. Fields with the same `group`
    are folded away under it.

    `shared`: a new connection may take the value over from another one of its kind, which uses the
    same server or account. `file` is the ending of a file that may be dropped on a text area, and
    `file_mark` a text that every such file contains. `checks` are the names of the checks that fail
    because of this field. With `choices` (value, label) it takes one of these values; the first is
    that of a connection which says nothing.
    """

    name: str
    column: str = ""
    label: Words
    audit_label: Words = ""
    help: Words = ""
    placeholder: str = ""
    required: bool = True
    secret: bool = False
    kind: str = "text"  # text, textarea, list (of text), mapping (text to text)
    accepts_object: bool = False  # the API accepts a JSON object or its text
    clean: Callable[[Any], Any] = field(default=lambda value: value)
    options: str = ""
    load: Words = ""
    unless: str = ""
    along_with: str = ""
    group: Words = ""
    shared: bool = False
    file: str = ""
    file_mark: str = ""
    checks: Sequence[str] = ()
    choices: Sequence[tuple[str, Words]] = ()

    def read(self, connection: Any) -> Any:
        """The value in a connection; for a secret the `Secret` or None."""
        if self.column:
            return getattr(connection, self.column)
        return connection.options.get(self.name, self.empty)

    def write(self, connection: Any, value: Any) -> None:
        if self.column:
            setattr(connection, self.column, value)
        else:
            connection.options = {**connection.options, self.name: value}

    @property
    def is_removable(self) -> bool:
        """A stored secret that the connection works without."""
        return self.secret and not self.required and not self.is_conditional

    @property
    def is_conditional(self) -> bool:
        return bool(self.unless or self.along_with)

    def is_wanted(self, is_filled: Callable[[str], bool]) -> bool:
        """Whether it is part of a connection; `is_filled` tells of any field by name."""
        if self.unless and is_filled(self.unless):
            return False
        return not self.along_with or is_filled(self.along_with)

    @property
    def empty(self) -> Any:
        if self.choices:
            return self.choices[0][0]
        return {"list": [], "mapping": {}}.get(self.kind, "")

    def in_words(self, value: Any) -> Any:
        """The label of a choice; a value of any other field as it is."""
        return dict(self.choices)[value] if self.choices else value


Fields = Sequence[ConnectionField]


def is_empty(value: Any) -> bool:
    """True also for blanks only."""
    return not value.strip() if isinstance(value, str) else value in (None, [], {})


def clean_address(value: str) -> str:
    """An http(s) address without trailing slash, query or user name. Raises ValueError."""
    text = value.strip().rstrip("/")
    if "://" not in text:
        text = f"https://{text}"
    parts = urlsplit(text)
    if parts.query or parts.fragment:
        raise ValueError(_("Enter the address without the part after ? or #."))
    try:
        check_url(text)
    except OutboundError as error:
        raise ValueError(" ".join(filter(None, [error.message, error.hint]))) from None
    return text


def one_line(value: str) -> str:
    """Text without line breaks or control characters. Raises ValueError."""
    text = value.strip()
    if any(ord(c) < 32 or ord(c) == 127 for c in text):
        raise ValueError(_("Line breaks and control characters are not allowed here."))
    return text


def several_lines(value: str) -> str:
    """Text with Unix line ends and without other control characters. Raises ValueError."""
    text = value.replace("\r\n", "\n").strip(" ")
    if any((ord(c) < 32 and c not in "\n\t") or ord(c) == 127 for c in text):
        raise ValueError(_("Control characters are not allowed here."))
    return text


def matching(pattern: str, words: Words) -> Callable[[str], str]:
    """A cleaner that requires the whole text to match `pattern`; its error is `words`."""
    compiled = re.compile(pattern)

    def clean(value: str) -> str:
        text = one_line(value)
        if not compiled.fullmatch(text):
            raise ValueError(str(words))
        return text

    return clean
