"""App Store Connect's API with requests and PyJWT."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import jwt
import requests
from django.conf import settings

from delivr import outbound

from ..base import ProviderError
from ..http import (
    Budget,
    clock_skew,
    error_from_proxy,
    error_from_status,
    guarded,
    json_object,
    parse_object,
    vendor_words,
)

LABEL = "App Store Connect"
_AUDIENCE = "appstoreconnect-v1"
_LIFETIME = 600  # seconds; Apple refuses more than 20 minutes
_CLOCK_SKEW = 30  # seconds: a token from the future is refused too


class AppStoreClient:
    """The calls of one task. They only raise `ProviderError`."""

    def __init__(self, *, issuer_id: str, key_id: str, api_key: str, deadline: float) -> None:
        self._issuer_id, self._key_id, self._api_key = issuer_id, key_id, api_key
        self.secrets = (api_key,)
        self._budget = Budget(LABEL, deadline)

    def get(self, path: str, **params: str | int) -> dict[str, Any]:
        return guarded(LABEL, lambda: self._get(path, params))

    def _get(self, path: str, params: dict[str, str | int]) -> dict[str, Any]:
        with outbound.session(deadline=self._budget.left()) as session:
            answer = session.get(
                f"{settings.APP_STORE_CONNECT_URL.rstrip('/')}{path}",
                params=params,
                headers={"Authorization": f"Bearer {self._token()}"},
            )
        if answer.status_code != 200:
            raise _error(answer, secrets=(self._api_key,))
        return json_object(answer, LABEL)

    def _token(self) -> str:
        """https://developer.apple.com/documentation/appstoreconnectapi/generating-tokens-for-api-requests"""
        now = int(time.time())
        claims = {
            "iss": self._issuer_id,
            "iat": now - _CLOCK_SKEW,
            "exp": now + _LIFETIME,
            "aud": _AUDIENCE,
        }
        return jwt.encode(claims, self._api_key, algorithm="ES256", headers={"kid": self._key_id})


def _error(answer: requests.Response, *, secrets: Iterable[str]) -> ProviderError:
    """https://developer.apple.com/documentation/appstoreconnectapi/interpreting-and-handling-errors

    Codes are hierarchical, separated by dots, and matched by prefix; `detail` may be missing.
    """
    code = _text_of(answer.content, "code")
    if answer.status_code in (403, 404) and parse_object(answer.content) is None:
        return error_from_proxy(LABEL, answer.status_code)
    if answer.status_code == 401:
        return _refused_key(answer.headers.get("Date"))
    if code.startswith("FORBIDDEN.REQUIRED_AGREEMENTS"):
        return error_from_status(
            LABEL,
            answer.status_code,
            code="agreement_missing",
            message="Apple requires an agreement to be accepted first.",
            hint="The Account Holder can accept it in App Store Connect > Business.",
        )
    if answer.status_code == 403:
        return error_from_status(
            LABEL,
            403,
            message="Apple accepted the API key, but its role does not allow this.",
            hint="Give the key the role App Manager or Developer, with access to this app.",
        )
    apple_text = vendor_words(_text_of(answer.content, "detail"), secrets=secrets)
    return error_from_status(
        LABEL,
        answer.status_code,
        retry_after=answer.headers.get("Retry-After"),
        message=f"Apple says: {apple_text}" if apple_text and answer.status_code < 500 else "",
    )


def _refused_key(date: str | None) -> ProviderError:
    """Apple gives no reason. A wrong clock is detected by the time of the answer."""
    skew = clock_skew(date)
    if skew is not None and abs(skew) > _CLOCK_SKEW:
        return error_from_status(
            LABEL,
            401,
            code="clock_skew",
            message=f"Apple refused the API key: this server's clock is {abs(skew):.0f} s "
            f"{'ahead' if skew > 0 else 'behind'}.",
            hint=(
                "Signed tokens contain the time. Ask the operator of this server to set its "
                "clock, for example by NTP."
            ),
        )
    return error_from_status(
        LABEL,
        401,
        message="Apple refused the API key.",
        hint="Check that the issuer ID, key ID and .p8 file belong together, and that the key "
        "was not revoked (App Store Connect > Users and Access > Integrations). It must be "
        "a team key: individual keys have no issuer ID.",
    )


def _text_of(body: bytes, name: str) -> str:
    """A field of the first error."""
    errors = (parse_object(body) or {}).get("errors")
    first = errors[0] if isinstance(errors, list) and errors else {}
    return str(first.get(name) or "") if isinstance(first, dict) else ""
