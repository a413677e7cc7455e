"""GitLab's REST API, by sessions of `delivr.outbound`: https://docs.gitlab.com/api/rest/

Why not by python-gitlab: docs/adr/0013-own-code-or-a-library.md
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from delivr import outbound

from ..http import Budget, check_header_value, guarded, objects, vendor_words
from .refusals import LABEL, Refusal, failure_of, unlike_api


@dataclass(frozen=True)
class Answer:
    data: Any
    headers: Mapping[str, str]  # lower-case names


class GitLabClient:
    """`server`: its address with its path, if it has one. `deadline` in seconds for all calls
    together. Methods only raise ProviderError.

    The token is sent as Bearer, which GitLab takes for tokens of every kind:
    https://docs.gitlab.com/api/rest/authentication/
    """

    def __init__(self, token: str, *, server: str, deadline: float) -> None:
        check_header_value(token, label=LABEL, what="access token")
        self.server = server
        self._token = token
        self._budget = Budget(LABEL, deadline)

    def get(self, path: str, **query: Any) -> Answer:
        """GET a path below `/api/v4`; the answer is a JSON object or list."""
        return guarded(LABEL, lambda: self._send("GET", path, params=query))

    def post(self, path: str, **body: Any) -> Answer:
        return guarded(LABEL, lambda: self._send("POST", path, json=body))

    def put(self, path: str, **body: Any) -> Answer:
        return guarded(LABEL, lambda: self._send("PUT", path, json=body))

    def pages(
        self, path: str, *, size: int, most: int, **query: Any
    ) -> Iterator[list[dict[str, Any]]]:
        """The pages of a list, `most` at most. GitLab does not always count, but tells whether
        there is another page: https://docs.gitlab.com/api/rest/#pagination"""
        for number in range(1, most + 1):
            answer = self.get(path, **query, per_page=size, page=number)
            found = objects(answer.data, LABEL)
            yield found
            following = answer.headers.get("x-next-page")
            if following == "" or (following is None and len(found) < size):
                return

    def _send(self, method: str, path: str, **request: Any) -> Answer:
        answer = self.exchange(method, path, **request)
        if answer.status >= 300:
            raise failure_of(answer, self.words)
        if not isinstance(answer.data, dict | list):
            raise unlike_api(answer)
        return Answer(answer.data, answer.headers)

    def exchange(self, method: str, path: str, **request: Any) -> Refusal:
        """One request, with arguments as of `requests`, and its answer, whatever its status is."""
        headers = {"Authorization": f"Bearer {self._token}"}
        url = f"{self.server}/api/v4{path}"
        with outbound.session(deadline=self._budget.left(), keep_redirects=True) as session:
            return Refusal.of(session.request(method, url, headers=headers, **request))

    def words(self, text: object) -> str:
        """GitLab's text, made safe to display."""
        return vendor_words(text, secrets=(self._token,))


def find_server(servers: Iterator[str], *, deadline: float) -> str:
    """The first of these addresses at which GitLab is. No credentials are sent. Raises
    ProviderError."""
    budget, first = Budget(LABEL, deadline), None
    for server in servers:
        answer = guarded(LABEL, partial(_probe, server, budget.left()))
        if answer.is_from_gitlab and answer.status in (200, 401, 403):
            return server
        first = first or answer
    if first is None:
        raise ValueError("no address to look at")
    raise unlike_api(first)


def _probe(server: str, seconds: float) -> Refusal:
    with outbound.session(deadline=seconds, keep_redirects=True) as session:
        return Refusal.of(session.get(f"{server}/api/v4/version"))
