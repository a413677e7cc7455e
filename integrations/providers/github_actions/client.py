"""What GitHub's REST API needs beyond reading: POST, and links to files on other hosts.

Logs and artifacts are answered with a 302 to a storage service. Its address is valid for a minute
and is a credential in itself; our token must not be sent there.
https://docs.github.com/en/rest/actions/workflow-jobs#download-job-logs-for-a-workflow-run
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, urlsplit

from delivr import outbound

from ..base import Outcome, ProviderError
from ..github.addresses import PUBLIC_API
from ..github.client import GitHubClient
from ..github.refusals import LABEL, Refusal
from ..http import garbage, guarded, parse_object
from .memory import answers

# Hosts to which github.com and ghe.com redirect. An Enterprise server has storage of its own.
_STORAGE = re.compile(
    r"(?:[a-z0-9-]+\.)+(?:blob\.core\.windows\.net|actions\.githubusercontent\.com)"
    r"|objects\.githubusercontent\.com"
)
_TOTAL = re.compile(r"bytes \d+-\d+/(\d{1,15})")


class ActionsClient(GitHubClient):
    """All calls together take at most the `deadline`."""

    def post_once(self, path: str, body: Any = None) -> Refusal:
        """POST once. `failure` explains any status of the response."""
        return guarded(LABEL, lambda: self.exchange("POST", path, body=body))

    def with_headers(self, path: str, headers: dict[str, str]) -> Any:
        """The JSON of a GET with further headers. Raises ProviderError."""
        answer = guarded(LABEL, lambda: self.exchange("GET", path, headers=dict(headers)))
        if answer.status >= 400:
            raise self.failure(answer)
        return answer.data

    def or_none(self, path: str, **parameters: Any) -> Any:
        """The JSON at a path; None for 404, which means missing or hidden."""
        try:
            return self.get(path, **parameters).data
        except ProviderError as error:
            if error.code != "not_found":
                raise
        return None

    def if_changed(self, path: str) -> Any:
        """`or_none` for what is asked for again and again: the last answer, while GitHub says that
        it is still true."""
        key = (self._credential_mark, self._api_url, path)
        etag, known = answers.recall(key)
        headers = {"If-None-Match": etag} if etag else {}
        answer = guarded(LABEL, lambda: self.exchange("GET", path, headers=headers))
        if answer.status == 304 and etag:
            return known
        if answer.status == 404 and answer.is_from_github:
            return None
        if answer.status >= 400:
            raise self.failure(answer)
        if not isinstance(answer.data, dict):
            raise garbage(LABEL)
        if etag := answer.headers.get("etag", ""):
            answers.keep(key, etag, answer.data)
        return answer.data

    # --- Files ------------------------------------------------------------------------------------

    def address_of(self, path: str) -> str:
        """The address to which a path redirects. Raises ProviderError if it may not be followed."""
        return guarded(LABEL, lambda: self._address_of(path))

    def _address_of(self, path: str) -> str:
        host = urlsplit(self._api_url).hostname or ""
        with self._session(host=host) as session:
            answer = session.get(
                f"{self._api_url}{quote(path)}",
                headers={
                    "Authorization": f"Bearer {self._token}",
                    "Accept": "application/vnd.github+json",
                },
            )
        if answer.status_code != 302:
            headers = {name.lower(): value for name, value in answer.headers.items()}
            if answer.status_code < 400:
                raise garbage(LABEL)
            raise self.failure(Refusal(answer.status_code, headers, parse_object(answer.content)))
        return self._checked(answer.headers.get("Location", ""))

    def _checked(self, address: str) -> str:
        try:
            outbound.check_url(address.partition("?")[0])  # what follows is the storage's signature
        except outbound.OutboundError:
            raise garbage(LABEL) from None
        host = urlsplit(address).hostname or ""
        if self._api_url == PUBLIC_API and not _STORAGE.fullmatch(host):
            raise ProviderError(
                "storage_unknown",
                "GitHub redirected to a file on a host that is not its own.",
                "Open the run on GitHub.",
                outcome=Outcome.REFUSED,
            )
        return address

    def end_of(self, path: str, most: int) -> bytes:
        """The last `most` bytes of the file to which a path redirects, however long it is."""
        return guarded(LABEL, lambda: self._end_of(self._address_of(path), most))

    def _end_of(self, address: str, most: int) -> bytes:
        """Storage services support different ranges (Azure has no "last n bytes"), so the first
        byte is requested to learn the length."""
        first = self._part(address, "bytes=0-0")
        told = _TOTAL.fullmatch(first.headers.get("Content-Range", ""))
        if first.status_code == 416 or told is None:
            return bytes(first.content[-most:]) if first.status_code == 200 else b""
        start = max(0, int(told[1]) - most)
        return bytes(self._part(address, f"bytes={start}-").content[-most:])

    def _part(self, address: str, wanted: str) -> Any:
        with self._session() as session:
            answer = session.get(address, headers={"Range": wanted, "Accept-Encoding": "identity"})
        if answer.status_code not in (200, 206, 416):
            raise ProviderError(
                "log_gone",
                "GitHub's storage service does not have this file, or no longer has it.",
                "Open the run on GitHub.",
                outcome=Outcome.REFUSED,
            )
        return answer

    def _session(self, **settings: Any) -> outbound.Session:
        return outbound.session(deadline=self._budget.left(), keep_redirects=True, **settings)
