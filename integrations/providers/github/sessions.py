"""A GitHub App as credential: its private key is exchanged for tokens that work for an hour.

https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from delivr.date_bounds import read_datetime

from ..http import before_effect, check_header_value, garbage
from .refusals import LABEL

RENEW_BEFORE = timedelta(minutes=5)  # the end of a token


@dataclass(frozen=True, kw_only=True)
class App:
    """Where no `installation` was entered, that of the `repository` (`owner/name`) is looked up."""

    id: str
    private_key: str
    server: str
    repository: str = ""
    installation: str = ""

    @property
    def mark(self) -> str:
        """What a token is for: with anything else in its place it is not used."""
        parts = (self.id, self.private_key, self.server, self.repository, self.installation)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


class Session:
    """The app's token. `as_app` makes an AppClient (client.py). `keep` stores a new token with what
    is to be given back as `about`."""

    def __init__(
        self,
        app: App,
        *,
        token: str = "",
        about: Mapping[str, str] | None = None,
        keep: Callable[[str, dict[str, str]], None],
    ) -> None:
        self.app = app
        self._keep = keep
        about = about or {}
        until = read_datetime(about.get("until", ""))
        is_usable = about.get("for") == app.mark and until is not None and until > datetime.now(UTC)
        self.known = token if is_usable else ""
        self.login = about.get("login", "") if is_usable else ""
        self._may_renew = bool(self.known)

    def token(self, as_app: Callable[[], Any]) -> str:
        """The kept one, or a new one (network). Raises ProviderError, which is never uncertain."""
        if not self.known:
            before_effect(LABEL, lambda: self._begin(as_app()))
        return self.known

    def is_to_be_tried_again(self) -> bool:
        """GitHub refused the token. True once, if it was a kept one: the next one is new."""
        again, self._may_renew = self._may_renew, False
        if again:
            self.known = ""
        return again

    def _begin(self, client: Any) -> None:
        """https://docs.github.com/en/rest/apps/apps#create-an-installation-access-token-for-an-app"""
        found = client.installation()
        data: Any = client.post(f"/app/installations/{found['id']}/access_tokens").data
        if not isinstance(data, dict):
            raise garbage(LABEL)
        token, ends = data.get("token"), read_datetime(str(data.get("expires_at")))
        if not isinstance(token, str) or ends is None:
            raise garbage(LABEL)
        check_header_value(token, label=LABEL, what="token of the app")
        self.known, self.login = token, f"{found.get('app_slug')}[bot]"
        until = (ends - RENEW_BEFORE).isoformat()
        self._keep(token, {"for": self.app.mark, "until": until, "login": self.login})
