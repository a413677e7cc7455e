"""What all of the Google Play stand-in shares: apps, accounts and their rights, the clock."""

from __future__ import annotations

from typing import Any

from sandbox import accounts as known
from sandbox.play.app import App, first_app
from sandbox.play.trouble import forbidden
from sandbox.shared import Shared

RIGHTS = ("CAN_VIEW_NON_FINANCIAL_DATA", "CAN_MANAGE_TRACK_APKS", "CAN_MANAGE_PUBLIC_APKS")
USERS = (known.GOOGLE_CLIENT_EMAIL, known.GOOGLE_CI_CLIENT_EMAIL)


class Base:
    """`rights` of each user on every app."""

    def __init__(self, shared: Shared, *, provider: str = "google_play") -> None:
        self._shared = shared
        self._provider = provider
        self.apps: dict[str, App] = {known.APP_IDENTIFIER: first_app(known.APP_IDENTIFIER)}
        self.rights: dict[str, list[str]] = {user: list(RIGHTS) for user in USERS}

    @property
    def now(self) -> float:
        return self._shared.clock()

    def record(self, kind: str, **facts: Any) -> None:
        self._shared.record(kind, self._provider, **facts)

    def touch(self) -> None:
        self._shared.touch()

    def demand(self, user: str, right: str) -> None:
        """Raises Trouble unless the user has the right."""
        if right not in self.rights.get(user, ()):
            raise forbidden()
