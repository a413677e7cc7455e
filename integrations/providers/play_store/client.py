"""Google Play's Android Publisher API v3, signed in with google-auth.

`AuthorizedSession` is not used: it sends a refused POST up to two more times, calls another service
for regional boundaries, and signs in with up to three POSTs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import google.auth.transport
import requests
from django.conf import settings
from google.auth.exceptions import GoogleAuthError, RefreshError
from google.oauth2 import service_account

from delivr import outbound

from ..base import Outcome, ProviderError
from ..http import (
    Budget,
    error_from_status,
    garbage,
    guarded,
    json_object,
    parse_object,
)
from .refusals import KEY_HINT, LABEL, error_from

PIECE_SECONDS = 12.0  # for one piece of an upload
_SCOPE = "https://www.googleapis.com/auth/androidpublisher"


class _Answer(google.auth.transport.Response):
    def __init__(self, response: requests.Response) -> None:
        self._response = response

    @property
    def status(self) -> int:
        return self._response.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        return self._response.headers

    @property
    def data(self) -> bytes:
        return self._response.content


class _SignIn(google.auth.transport.Request):
    """The transport of one sign-in: exactly one POST, to the configured address."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._posted = False

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: Any,
    ) -> _Answer:
        if self._posted:  # the library retries by itself
            raise error_from_status(LABEL, 503)
        self._posted = True
        with outbound.session(deadline=self._budget.left()) as session:
            answer = session.request(method, url, data=body, headers=headers)
        if answer.status_code == 200:
            _check_token(answer)
        elif _is_temporary(answer):  # otherwise the library sleeps and retries
            raise error_from_status(LABEL, 503)
        elif answer.status_code not in (400, 401, 403):  # these the library explains
            raise error_from_status(
                LABEL, answer.status_code, retry_after=answer.headers.get("Retry-After")
            )
        elif parse_object(answer.content) is None:  # on which the library fails
            raise _refused(None)
        return _Answer(answer)


def _is_temporary(answer: requests.Response) -> bool:
    word = (parse_object(answer.content) or {}).get("error")
    return word in ("internal_failure", "server_error", "temporarily_unavailable")


def _check_token(answer: requests.Response) -> None:
    if not isinstance(json_object(answer, LABEL).get("access_token"), str):
        raise garbage(LABEL)


class PlayClient:
    """The calls of one task. They only raise `ProviderError`."""

    scope = _SCOPE

    def __init__(self, info: Mapping[str, Any], *, deadline: float) -> None:
        self.secrets = (str(info.get("private_key", "")),)
        self._info = info
        self._deadline = deadline
        self._budget = Budget(LABEL, deadline)
        self._token = ""

    @staticmethod
    def address() -> str:
        """Where the API is."""
        return str(settings.GOOGLE_PLAY_URL)

    def sign_in(self) -> None:
        """https://developers.google.com/identity/protocols/oauth2/service-account#authorizingrequests"""
        self._token = guarded(LABEL, self._sign_in)

    def _sign_in(self) -> str:
        try:
            credentials = service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
                self._safe_info(), scopes=[self.scope]
            )
            credentials.refresh(_SignIn(self._budget))
        except RefreshError as error:
            failure = _refused(error)
        except (GoogleAuthError, ValueError):
            failure = _refused(None)
        else:
            return str(credentials.token)
        raise failure

    def _safe_info(self) -> dict[str, Any]:
        """The key file with fixed URLs: its own come from the tenant, and the library would use
        them."""
        return {
            **{name: self._info.get(name) for name in ("client_email", "private_key")},
            "private_key_id": self._info.get("private_key_id"),
            "type": "service_account",
            "token_uri": settings.GOOGLE_TOKEN_URL,
            "universe_domain": "googleapis.com",
        }

    def get(self, path: str) -> dict[str, Any]:
        return self._call("GET", path)

    def post(self, path: str, **parameters: str) -> dict[str, Any]:
        return self._call("POST", path, params=parameters)

    def put(self, path: str, document: Mapping[str, Any]) -> dict[str, Any]:
        return self._call("PUT", path, json=document)

    def begin_upload(self, path: str) -> str:
        """Where the pieces of a file go. Only an address of the API itself is accepted, since it
        gets the token."""
        return guarded(LABEL, lambda: self._begin_upload(path))

    def _begin_upload(self, path: str) -> str:
        base = self.address().rstrip("/")
        url = f"{base}/upload{path}?uploadType=resumable"
        kind = {"X-Upload-Content-Type": "application/octet-stream"}
        answer = self._send("POST", url, headers=kind)
        if answer.status_code != 200:
            raise error_from(answer, secrets=self.secrets, in_edit=True)
        location = answer.headers.get("Location", "")
        if not location.startswith(f"{base}/"):
            raise garbage(LABEL)
        return location

    def send_piece(self, url: str, piece: bytes, place: str) -> requests.Response:
        """A piece of an upload, in time of its own: the response has the status 200, or 308 while
        pieces are missing."""
        return guarded(LABEL, lambda: self._send_piece(url, piece, place))

    def _send_piece(self, url: str, piece: bytes, place: str) -> requests.Response:
        self._budget = Budget(LABEL, PIECE_SECONDS)
        headers = {"Content-Range": place, "Content-Length": str(len(piece))}
        # An unfinished upload is answered with 308, which leads nowhere.
        answer = self._send("PUT", url, headers=headers, data=piece, keep_redirects=True)
        if answer.status_code in (404, 410):
            raise ProviderError(
                "upload_lost",
                f"{LABEL} does not know the upload any more.",
                "delivr begins it again.",
                outcome=Outcome.NOT_SENT,
            )
        if answer.status_code not in (200, 308):
            raise error_from(answer, secrets=self.secrets, in_edit=True)
        return answer

    def renew(self) -> None:
        """A whole budget of time for what follows a long upload."""
        self._budget = Budget(LABEL, self._deadline)

    def object_of(self, answer: requests.Response) -> dict[str, Any]:
        return json_object(answer, LABEL)

    def delete(self, path: str) -> None:
        self._call("DELETE", path)

    def _call(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        return guarded(LABEL, lambda: self._request(method, path, **arguments))

    def _request(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        answer = self._send(method, f"{self.address().rstrip('/')}{path}", **arguments)
        if method == "DELETE" and answer.status_code in (200, 204):  # without a body
            return {}
        if answer.status_code != 200:
            raise error_from(answer, secrets=self.secrets, in_edit="/edits" in path)
        return json_object(answer, LABEL)

    def _send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        keep_redirects: bool = False,
        **arguments: Any,
    ) -> requests.Response:
        signed = {**(headers or {}), "Authorization": f"Bearer {self._token}"}
        left = self._budget.left()
        with outbound.session(deadline=left, keep_redirects=keep_redirects) as session:
            return session.request(method, url, headers=signed, **arguments)


def _refused(error: RefreshError | None) -> ProviderError:
    """The error from the token endpoint's JSON answer, which the exception contains.

    https://www.rfc-editor.org/rfc/rfc6749#section-5.2
    """
    answer = error.args[1] if error is not None and len(error.args) > 1 else {}
    word = answer.get("error") if isinstance(answer, dict) else None
    readable = isinstance(word, str) and re.fullmatch(r"[a-z_]{1,40}", word)
    return ProviderError(
        word if readable and isinstance(word, str) else "bad_credentials",
        f"Google refused the key of the service account{f' ({word})' if readable else ''}."
        " It may have been deleted or disabled.",
        KEY_HINT,
        outcome=Outcome.CREDENTIALS,
    )
