"""Google Play: the store of Android builds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

from ..base import Check
from ..http import DEADLINE
from ..stores import StoreProvider
from ..verifying import first_contact, try_in_order
from .keys import check_service_account

if TYPE_CHECKING:
    from .client import PlayClient

# https://developer.android.com/build/configure-app-module#set-application-id
_PACKAGE = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)+")


class PlayStore(StoreProvider):
    label = "Play Store"
    deadline = DEADLINE
    platform = "ANDROID"
    console = "Play Console"

    def __init__(self, *, service_account: str | Mapping[str, Any], app_identifier: str) -> None:
        self._document = service_account
        self._app_identifier = app_identifier.strip()

    @classmethod
    def from_connection(cls, connection: Any) -> Self:
        return cls(
            service_account=connection.credentials.reveal(),
            app_identifier=connection.app_identifier,
        )

    @staticmethod
    def console_page(options: Mapping[str, Any]) -> str:
        """The list of apps: an app's own address contains numbers that the API does not report."""
        return "https://play.google.com/console/developers/app-list"

    def checks(self) -> Iterator[Check]:
        return try_in_order(
            self.label,
            [
                ("key", self._check_key),
                ("credentials", lambda: first_contact(self.label, self._sign_in)),
                ("app", self._check_app),
            ],
        )

    def _check_key(self) -> Iterator[Check]:
        try:
            self._info = json.loads(check_service_account(self._document))
        except ValueError as error:
            yield Check.failed("key", "unreadable_key", str(error))

    def _sign_in(self) -> None:
        self._client = self._make_client()
        self._client.sign_in()

    def _check_app(self) -> Iterator[Check]:
        """List the releases of the track "production", without changing anything.

        Never through an edit: "creating a new edit invalidates all active edits of the same app by
        the same user", including an upload that is in progress with this key.
        https://developers.google.com/android-publisher/edits
        """
        if not _PACKAGE.fullmatch(self._app_identifier):
            yield Check.failed(
                "app",
                "bad_package_name",
                "This is not a package name.",
                "It looks like com.example.app.",
            )
            return
        app = f"/androidpublisher/v3/applications/{self._app_identifier}"
        self._client.get(f"{app}/tracks/production/releases")

    def _make_client(self) -> PlayClient:
        from .client import PlayClient

        return PlayClient(self._info, deadline=self.deadline)
