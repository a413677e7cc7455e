"""Apple's App Store, through App Store Connect: the store of iOS builds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from ..base import Check, ProviderError
from ..http import DEADLINE, objects, only_provider_errors, vendor_words
from ..stores import ANOTHER_IN_REVIEW, Act, StoreProvider, StoreState, SubmissionPlan
from ..verifying import first_contact, try_in_order
from . import fields
from .keys import check_api_key
from .notifications import is_signed_with, notified_of
from .pages import CONSOLE, EXPEDITE
from .words import NOTES_LIMIT, PLATFORM, SHARES

if TYPE_CHECKING:
    from .app import App
    from .client import AppStoreClient
    from .step import Step

_APP_ID = re.compile(r"[0-9]{1,20}")


class AppStore(StoreProvider):
    label = "App Store"
    deadline = DEADLINE
    platform = PLATFORM
    stops_by = Act.PAUSE
    console = "App Store Connect"
    preflight_names = fields.PREFLIGHT
    step_names = fields.STEPS
    fixed_shares = SHARES
    notes_limit = NOTES_LIMIT
    has_release_type = True
    asks_about_encryption = True
    has_groups = True
    tells_testers = ("beta_review", "tell_testers")
    expedite_page = EXPEDITE
    notifies_as = "app-store"
    ends_with_news = ("not_in_testing", "build_missing", "build_processing", ANOTHER_IN_REVIEW)
    is_signed_with = staticmethod(is_signed_with)
    notified_of = staticmethod(notified_of)
    discovered = ("app_id",)
    discovered_about = "app_identifier"

    def __init__(
        self, *, issuer_id: str, key_id: str, api_key: str, app_identifier: str, app_id: str = ""
    ) -> None:
        self._issuer_id = issuer_id.strip()
        self._key_id = key_id.strip()
        self._api_key = api_key
        self._app_identifier = app_identifier.strip()
        self._app_id = app_id if _APP_ID.fullmatch(app_id) else ""

    @classmethod
    def from_connection(cls, connection: Any) -> Self:
        return cls(
            issuer_id=connection.issuer_id,
            key_id=connection.key_id,
            api_key=connection.credentials.reveal(),
            app_identifier=connection.app_identifier,
            app_id=str(connection.options.get("app_id", "")),
        )

    @staticmethod
    def console_page(options: Mapping[str, Any]) -> str:
        app_id = options.get("app_id", "")
        return f"{CONSOLE}/{app_id}" if app_id else CONSOLE

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
            yield Check.from_error("app", self._not_visible())
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

    def _not_visible(self) -> ProviderError:
        return ProviderError.refused(
            "app_not_visible",
            f"This key has access to no app with the bundle ID {self._app_identifier}.",
            "Check the spelling (case matters), and that the key has access to this app.",
        )

    def preflight(self, plan: SubmissionPlan) -> Iterator[Check]:
        from .preflight import preflight

        yield from preflight(self._app, plan)

    @classmethod
    def steps(cls, plan: SubmissionPlan) -> Sequence[str]:
        from .steps import steps_of

        return steps_of(plan)

    @only_provider_errors
    def find_step(self, step: str, plan: SubmissionPlan) -> Mapping[str, str] | None:
        return self._step(step, plan).find()

    @only_provider_errors
    def take_step(self, step: str, plan: SubmissionPlan) -> Mapping[str, str]:
        return self._step(step, plan).take()

    @only_provider_errors
    def read_submission(self, plan: SubmissionPlan) -> StoreState:
        from .states import read_state

        return read_state(self._app(), plan)

    @classmethod
    def refusal(cls, act: Act, plan: SubmissionPlan, state: StoreState) -> str:
        from .acts import refusal

        return refusal(act, state)

    @classmethod
    def consequence(cls, act: Act, plan: SubmissionPlan, state: StoreState) -> str:
        from .acts import consequence

        return consequence(act, plan, state)

    def _step(self, name: str, plan: SubmissionPlan) -> Step:
        from .acts import ACTS
        from .steps import STEPS
        from .testflight import ASIDE

        return {**STEPS, **ACTS, **ASIDE}[name](self._app(), plan)

    def _app(self) -> App:
        """The app with a client for one task. Its ID is looked up unless it is known."""
        from .app import App

        if self._app_id:
            return App(self._make_client(), self._app_id)
        self._ask_for_app()
        app = next((app for app in self._apps if self._is_ours(app)), None)
        if app is None or not _APP_ID.fullmatch(str(app.get("id"))):
            raise self._not_visible()
        return App(self._client, str(app["id"]))
