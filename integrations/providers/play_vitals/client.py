"""The Google Play Developer Reporting API, with the service account of the app in the store.

https://developers.google.com/play/developer/reporting
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from ..base import ProviderError
from ..http import guarded
from ..play_store.client import PlayClient


class ReportingClient(PlayClient):
    scope = "https://www.googleapis.com/auth/playdeveloperreporting"

    @staticmethod
    def address() -> str:
        return str(settings.GOOGLE_PLAY_REPORTING_URL)

    def metric_set(self, app: str, name: str) -> dict[str, Any]:
        """Up to when it has data."""
        return self._ask("GET", f"/v1beta1/apps/{app}/{name}")

    def query(self, app: str, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._ask("POST", f"/v1beta1/apps/{app}/{name}:query", json=body)

    def _ask(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        try:
            return guarded("Play vitals", lambda: self._request(method, path, **arguments))
        except ProviderError as error:
            failure = error
        if failure.code == "api_disabled":
            failure.message = (
                "The Google Play Developer Reporting API is disabled in the account's project."
            )
        raise failure
