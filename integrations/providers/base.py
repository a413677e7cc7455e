"""The interface to every system that a tenant connects. The interfaces of the families are in
`scm.py`, `ci.py`, `stores.py`, `chat.py` and `tickets.py`.

A provider is created for one call. It takes plain values (already decrypted), calls the outside
system and returns frozen dataclasses, or raises `ProviderError`. It knows nothing of rows, tenants
or requests.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self

from delivr.failures import Outcome as Outcome
from delivr.failures import ProviderError as ProviderError


class Level(enum.StrEnum):
    ERROR = "ERROR"
    WARNING = "WARNING"


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that a verification tried. `is_temporary`: the failure may go away by itself.

    `subject` says which one was tried if several checks have the same name. If `tested` is False,
    the system does not report it, so it is neither good nor bad. `url` is the vendor's page on
    which a failure is mended, if there is a special one.
    """

    name: str
    ok: bool
    code: str = "ok"
    message: str = ""
    hint: str = ""
    level: Level = Level.ERROR
    is_temporary: bool = False
    tested: bool = True
    subject: str = ""
    url: str = ""

    @classmethod
    def untested(cls, name: str, message: str) -> Self:
        return cls(name=name, ok=True, code="not_testable", message=message, tested=False)

    @classmethod
    def failed(cls, name: str, code: str, message: str, hint: str = "") -> Self:
        return cls(name=name, ok=False, code=code, message=message, hint=hint)

    @classmethod
    def warning(cls, name: str, code: str, message: str, hint: str = "") -> Self:
        return replace(cls.failed(name, code, message, hint), level=Level.WARNING)

    @classmethod
    def from_error(cls, name: str, error: ProviderError) -> Self:
        check = cls.failed(name, error.code, error.message, error.hint)
        return replace(check, is_temporary=error.is_temporary)


@dataclass(frozen=True)
class Option:
    """One line of a picker: the value to store and the words to show."""

    value: str
    label: str


class Options(list[Option]):
    """Options with a `note` for the user if the list is not complete."""

    note: str = ""

    @classmethod
    def cut(cls, found: Sequence[Option], most: int) -> Self:
        """The first `most` of them; the note says if there are more."""
        options = cls(found[:most])
        if len(found) > most:
            options.note = f"Only the first {most:,} are listed. Type a name to enter another one."
        return options


@dataclass(frozen=True, kw_only=True)
class Links:
    """Pages of ours: the home, where the vendor sends people once an app is registered, and once it
    is installed."""

    home: str
    registered: str
    installed: str


@dataclass(frozen=True, kw_only=True)
class Registration:
    """A form that leads to the vendor's page on which an app is registered: the labels of its
    buttons with their addresses, and its hidden fields."""

    buttons: Sequence[tuple[str, str]]
    fields: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Registered:
    """An app that was registered: values of the connection's fields, and the vendor's page on which
    it is installed."""

    values: Mapping[str, str]
    page: str


class Provider(ABC):
    """What every family shares."""

    label: ClassVar[str]  # the vendor's spelling
    address_field: ClassVar[str | None] = None  # the field with the URL secrets are sent to
    # Names of checks whose message is kept in the connection's `options` until its address changes.
    discovered: ClassVar[tuple[str, ...]] = ()
    # Of these, what the API shows: the names there and in the options.
    shown_discoveries: ClassVar[Mapping[str, str]] = {}
    discovered_about: ClassVar[str | None] = None  # or until this field changes
    moved_code: ClassVar[str] = ""  # of a failed check after which `address_now` may be offered
    # The tenant's other connections that it works with: the column, and their family.
    references: ClassVar[Mapping[str, str]] = {}
    registers_apps: ClassVar[bool] = False  # which are its credential in place of a person's
    new_app_url: ClassVar[str] = ""  # where the vendor creates what is needed, filled in
    longest_life: ClassVar[timedelta | None] = None  # after which credentials end at the latest

    # Results of `checks` besides the checks themselves, if the system reports them.
    account: str = ""
    expires_at: datetime | None = None

    @classmethod
    @abstractmethod
    def from_connection(cls, connection: Any) -> Self:
        """Decrypt what is needed and make the provider. The only place that calls `.reveal()`."""

    @abstractmethod
    def checks(self) -> Iterator[Check]:
        """Try each thing in order without side effects, until one fails that the rest depends on.

        Yields each check as it ends. Never raises ProviderError: a failure is a Check.
        """

    def verify(self) -> list[Check]:
        """All of `checks`."""
        return list(self.checks())

    def address_now(self) -> str:
        """The `address_field` after a rename (network); "" if it is not known."""
        raise NotImplementedError

    @classmethod
    def registration(cls, address: str, *, links: Links, state: str) -> Registration:
        """For the value of the `address_field`. The vendor gives the `state` back."""
        raise NotImplementedError

    @classmethod
    def registered(cls, address: str, *, code: str, state: str) -> Registered:
        """What the vendor hands out for the code with which it sends people back (network). Raises
        ProviderError."""
        raise NotImplementedError
