"""Apple's App Store, through App Store Connect: the store of iOS builds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

from ..base import Check
from ..http import DEADLINE, objects, vendor_words
from ..stores import StoreProvider
from ..verifying import first_contact, try_in_order
from .keys import check_api_key

if TYPE_CHECKING:
    from .client import AppStoreClient


_CONSOLE = "https://appstoreconnect.apple.com/apps"
_APP_ID = re.compile(r"[0-9]{1,20}")


class AppStore(StoreProvider):
    label = "App Store"
    deadline = DEADLINE
    platform = "IOS"
    console = "App Store Connect"
    discovered = ("app_id",)
    discovered_about = "app_identifier"

    def __init__(self, *, issuer_id: str, key_id: str, api_key: str, app_identifier: str) -> None:
        self._issuer_id = issuer_id.strip()
        self._key_id = key_id.strip()
        self._api_key = api_key
        self._app_identifier = app_identifier.strip()

    @classmethod
    def from_connection(cls, connection: Any) -> Self:
        return cls(
            issuer_id=connection.issuer_id,
            key_id=connection.key_id,
            api_key=connection.credentials.reveal(),
            app_identifier=connection.app_identifier,
        )

    @staticmethod
    def console_page(options: Mapping[str, Any]) -> str:
        app_id = options.get("app_id", "")
        return f"{_CONSOLE}/{app_id}" if app_id else _CONSOLE

    def checks(self) -> Iterator[Check]:
        return try_in_order(
            self.label,
            [
                ("key", self._check_key),
                ("credentials", lambda: first_contact(self.label, self._ask_for_app)),
                ("app", self._check_app),
            ],
        )

    def _check_key(self) -> Iterator[Check]:
        try:
            self._api_key = check_api_key(self._api_key)
        except ValueError as error:
            yield Check.failed("key", "unreadable_key", str(error))

    def _ask_for_app(self) -> None:
        """https://developer.apple.com/documentation/appstoreconnectapi/get-v1-apps

        The filter also finds other identifiers, so a whole page is requested.
        """
        self._client = self._make_client()
        parameters: dict[str, str | int] = {
            "filter[bundleId]": self._app_identifier,
            "fields[apps]": "name,bundleId,sku",
            "limit": 200,
        }
        self._apps = objects(self._client.get("/v1/apps", **parameters).get("data"), self.label)

    def _check_app(self) -> Iterator[Check]:
        app = next((app for app in self._apps if self._is_ours(app)), None)
        if app is None:
            yield Check.failed(
                "app",
                "app_not_visible",
                f"This key has access to no app with the bundle ID {self._app_identifier}.",
                "Check the spelling (case matters), and that the key has access to this app.",
            )
            return
        name = vendor_words(app["attributes"].get("name"), secrets=self._client.secrets, limit=80)
        yield Check(name="app", ok=True, message=name)
        app_id = str(app.get("id"))
        if _APP_ID.fullmatch(app_id):
            yield Check(name="app_id", ok=True, message=app_id)

    def _is_ours(self, app: Mapping[str, Any]) -> bool:
        attributes = app.get("attributes")
        return isinstance(attributes, dict) and attributes.get("bundleId") == self._app_identifier

    def _make_client(self) -> AppStoreClient:
        from .client import AppStoreClient

        return AppStoreClient(
            issuer_id=self._issuer_id,
            key_id=self._key_id,
            api_key=self._api_key,
            deadline=self.deadline,
        )
