"""Jira's REST API through the jira library, with connections by `delivr.outbound`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar, cast
from urllib.parse import quote, urlsplit

import requests
from jira import JIRA

from delivr import outbound

from ..base import ProviderError
from ..http import (
    Budget,
    before_effect,
    check_header_value,
    garbage,
    guarded,
    objects,
    parse_object,
)
from .addresses import Cloud
from .deployments import DATA_CENTER, Deployment
from .errors import (
    LABEL,
    bad_credentials,
    error_from_response,
    is_data_center,
    sign_in_failed,
    wrong_deployment,
)

PAGE_LIMIT = 21
"""Pages of a list that are read at most."""

Call = Callable[[JIRA], requests.Response]
T = TypeVar("T")


class JiraClient:
    """The calls of one task. They only raise `ProviderError` and share one time limit.

    `api` is the deployment that the connection is for. `secrets` must not appear in errors.
    """

    def __init__(
        self,
        *,
        site: str,
        email: str,
        api_token: str,
        cloud: Cloud,
        api: Deployment,
        deadline: float,
    ) -> None:
        check_header_value(api_token, label=LABEL, what="API token")
        if email:
            check_header_value(email, label=LABEL, what="email address")
        outbound.check_url(site)
        self.secrets = (api_token, f"{email}:{api_token}") if email else (api_token,)
        self.api = api
        self._site, self._cloud = site, cloud
        self._login = (email, api_token)
        self._budget = Budget(LABEL, deadline)
        self._jira = self._connect(site)
        self._refused: requests.Response | None = None  # the last unsuccessful answer

    def get(self, path: str, **params: str | int) -> dict[str, Any]:
        """GET `path` below /rest/api/<version>/ and return its JSON object."""
        return self._send(lambda jira: self._request(jira, "GET", path, params=params), _document)

    def get_list(self, path: str) -> list[dict[str, Any]]:
        """GET `path` and return the objects of its JSON list."""
        return self._send(lambda jira: self._request(jira, "GET", path), _list)

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST exactly once; the caller has to look up whether a lost request arrived."""
        return self._send(lambda jira: self._request(jira, "POST", path, json=body), _document)

    def put(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """PUT exactly once."""
        return self._send(lambda jira: self._request(jira, "PUT", path, json=body), _document)

    def other_deployment(self) -> ProviderError | None:
        """The error if this is the other deployment of Jira than the connection's, or None.

        Requested without the token: https://docs.atlassian.com/software/jira/docs/api/REST/9.12.0/#api/2/serverInfo
        """
        is_ours = self.api is DATA_CENTER
        if not is_ours and self._refused is not None and is_data_center(self._refused):
            return wrong_deployment(DATA_CENTER.name)
        try:
            with outbound.session(deadline=self._budget.left()) as session:
                answer = session.get(f"{self._site}/rest/api/2/serverInfo")
        except (outbound.OutboundError, ProviderError):
            return None
        info = (parse_object(answer.content) or {}) if answer.ok else {}
        kind, expected = info.get("deploymentType"), "Server" if is_ours else "Cloud"
        if kind not in ("Server", "Cloud") or kind == expected:
            return None
        name = "Jira Cloud" if kind == "Cloud" else DATA_CENTER.name
        return wrong_deployment(name, info.get("version"))

    def pages(
        self, path: str, key: str, *, size: int = 50, **params: str | int
    ) -> Iterator[dict[str, Any]]:
        """The items of a list that is paged by `startAt` and `total`, `size` on a page (Jira may
        choose fewer). Data Center calls every list `values`."""
        start = 0
        for _ in range(PAGE_LIMIT):
            page = self.get(path, startAt=start, maxResults=size, **params)
            items = objects(page.get(key, page.get("values")), LABEL)
            yield from items
            start += len(items)
            total = page.get("total")
            if not items or not isinstance(total, int) or start >= total:
                return

    def _send(self, call: Call, read: Callable[[requests.Response], T]) -> T:
        try:
            return guarded(LABEL, lambda: self._once(call, read))
        except ProviderError as error:
            if error.code != "bad_credentials" or not self._may_use_gateway():
                raise
        # A refused request had no effect, so sending it again to the gateway is safe.
        self._jira = self._connect(before_effect(LABEL, self._gateway_base))
        return guarded(LABEL, lambda: self._once(call, read))

    def _once(self, call: Call, read: Callable[[requests.Response], T]) -> T:
        response = call(self._jira)
        if response.ok and not sign_in_failed(response):
            return read(response)
        self._refused = response
        is_personal = self.api is DATA_CENTER
        raise error_from_response(response, self.secrets, is_personal=is_personal)

    def _request(self, jira: JIRA, method: str, path: str, **more: Any) -> requests.Response:
        """Use the library's session directly: its `request` parses errors and fails if a list of
        them contains anything but text."""
        url, timeout = jira._get_url(path), self._budget.left()
        return requests.Session.request(_session(jira), method, url, timeout=timeout, **more)

    def _may_use_gateway(self) -> bool:
        is_at_site = self.api is not DATA_CENTER and self._jira.server_url == self._site
        return is_at_site and self._cloud.hosts(self._site)

    def _gateway_base(self) -> str:
        """https://support.atlassian.com/jira/kb/retrieve-my-atlassian-sites-cloud-id/"""
        with outbound.session(deadline=self._budget.left()) as session:
            answer = session.get(f"{self._site}/_edge/tenant_info")
        document = parse_object(answer.content) if answer.ok else None
        base = self._cloud.gateway_base((document or {}).get("cloudId"))
        if base is None:
            raise bad_credentials()
        return base

    def _connect(self, base: str) -> JIRA:
        """A client that sends no requests of its own.

        By default it fetches the server's info, has no time limit, and sends a POST up to four
        times.
        """
        email, token = self._login
        # https://confluence.atlassian.com/enterprise/using-personal-access-tokens-1026032365.html
        login = {"basic_auth": self._login} if email else {"token_auth": token}
        jira = JIRA(
            server=base,
            **cast(Any, login),
            options={"rest_api_version": self.api.api},
            get_server_info=False,
            max_retries=0,
            logging=False,
        )
        session = _session(jira)
        session.trust_env = False
        session.adapters.clear()
        adapter = outbound.Adapter(host=urlsplit(base).hostname)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        return jira


def segment(text: str) -> str:
    """`text` as one segment of a path."""
    return quote(text, safe="")


def _session(jira: JIRA) -> Any:
    return cast(Any, jira._session)


def _document(response: requests.Response) -> dict[str, Any]:
    if response.status_code == 204:
        return {}
    document = parse_object(response.content)
    if document is None:
        raise garbage(LABEL)
    return document


def _list(response: requests.Response) -> list[dict[str, Any]]:
    try:
        return objects(json.loads(response.content), LABEL)
    except (ValueError, RecursionError):
        raise garbage(LABEL) from None
