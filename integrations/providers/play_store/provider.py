"""Google Play: the store of Android builds."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from django.utils.translation import gettext_lazy

from ..base import Check, ProviderError
from ..http import DEADLINE, only_provider_errors
from ..stores import UPLOAD, Act, BuildFile, StoreProvider, StoreState, SubmissionPlan
from ..verifying import first_contact, try_in_order
from . import states
from .checks import CONSOLE_PAGE, refusals_as_checks
from .edits import App, Step
from .keys import check_service_account, client_email
from .preflight import NOTES_LIMIT, Preflight

if TYPE_CHECKING:
    from .client import PlayClient

# https://developer.android.com/build/configure-app-module#set-application-id
_PACKAGE = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)+")


class PlayStore(StoreProvider):
    label = "Play Store"
    deadline = DEADLINE
    platform = "ANDROID"
    console = "Play Console"
    tracks = ("production", "beta", "alpha", "internal")
    picks_shares = True
    uploads = ".aab"
    notes_limit = NOTES_LIMIT
    preflight_names = {
        "account": gettext_lazy("Service account and its rights"),
        "build": gettext_lazy("Version code in Google Play"),
        "notes": gettext_lazy("What's new"),
        "review": gettext_lazy("Changes in review"),
        "track": gettext_lazy("Track"),
        "validation": gettext_lazy("Google's own check of the change"),
    }
    step_names = {
        "promote": gettext_lazy("Release to the track"),
        UPLOAD: gettext_lazy("Upload the bundle, and release it to the track"),
        Act.ADVANCE: gettext_lazy("Advance the roll-out"),
        Act.HALT: gettext_lazy("Halt the release"),
        Act.RESUME: gettext_lazy("Resume the roll-out"),
        Act.COMPLETE: gettext_lazy("Release to all users"),
    }

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
        return CONSOLE_PAGE

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

    # --- Submissions

    @property
    def lock_key(self) -> str:
        """An edit ends every other one of the same account for the same app."""
        name = f"{self._app_identifier}\n{client_email(self._document)}"
        return hashlib.sha256(name.encode()).hexdigest()

    def preflight(self, plan: SubmissionPlan) -> Iterator[Check]:
        return Preflight(
            self._app,
            plan,
            track=self._track(plan),
            tracks=self.tracks,
        ).checks()

    @classmethod
    def steps(cls, plan: SubmissionPlan) -> Sequence[str]:
        return (UPLOAD,) if plan.file else ("promote",)

    @only_provider_errors
    def find_step(self, step: str, plan: SubmissionPlan) -> Mapping[str, str] | None:
        with refusals_as_checks():
            return self._step(step, plan).find()

    @only_provider_errors
    def take_step(self, step: str, plan: SubmissionPlan) -> Mapping[str, str]:
        return self._take(step, plan)

    @only_provider_errors
    def upload(self, plan: SubmissionPlan, file: BuildFile) -> Mapping[str, str]:
        return self._take(UPLOAD, plan, file)

    def _take(
        self, step: str, plan: SubmissionPlan, file: BuildFile | None = None
    ) -> Mapping[str, str]:
        with refusals_as_checks():
            return self._step(step, plan).take(file)

    @only_provider_errors
    def read_submission(self, plan: SubmissionPlan) -> StoreState:
        return states.read(self._app(), plan, self._track(plan), url=CONSOLE_PAGE)

    @classmethod
    def refusal(cls, act: Act, plan: SubmissionPlan, state: StoreState) -> str:
        return states.refusal(act, plan, state, cls._track(plan))

    @classmethod
    def consequence(cls, act: Act, plan: SubmissionPlan, state: StoreState) -> str:
        return states.consequence(act, plan, state, cls._track(plan))

    @classmethod
    def _track(cls, plan: SubmissionPlan) -> str:
        return plan.track or cls.tracks[0]

    def _step(self, name: str, plan: SubmissionPlan) -> Step:
        name = "promote" if name == UPLOAD else name
        return Step(self._app(), name, plan, self._track(plan))

    def _app(self) -> App:
        """The app, signed in, with the whole budget of time."""
        try:
            self._info = json.loads(check_service_account(self._document))
        except ValueError as error:
            failure = ProviderError.refused("unreadable_key", str(error))
        else:
            if _PACKAGE.fullmatch(self._app_identifier):
                self._sign_in()
                return App(self._client, self._app_identifier)
            failure = ProviderError.refused("bad_package_name", "This is not a package name.")
        raise failure

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
