"""App Store Connect's API with requests and PyJWT."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import requests
from django.conf import settings

from delivr import outbound

from ..http import Budget, before_effect, garbage, guarded, json_object, objects
from ..json_values import line
from .errors import CLOCK_SKEW, LABEL, error_of
from .resources import Resource, included_in, link

_AUDIENCE = "appstoreconnect-v1"
_LIFETIME = 600  # seconds; Apple refuses more than 20 minutes
_PAGE_SIZE = 200  # Apple's maximum
_PAGE_LIMIT = 10

Params = Mapping[str, str | int]


class AppStoreClient:
    """The calls of one task. They only raise `ProviderError`."""

    def __init__(self, *, issuer_id: str, key_id: str, api_key: str, deadline: float) -> None:
        self.key_id = key_id
        self._issuer_id, self._api_key = issuer_id, api_key
        self.secrets = (api_key,)
        self._budget = Budget(LABEL, deadline)

    def get(self, path: str, **params: str | int) -> dict[str, Any]:
        return guarded(LABEL, lambda: self._get(path, params))

    def one(self, path: str, params: Params | None = None) -> Resource | None:
        """The resource at `path`, or None if there is none in this relationship. A failure is
        never uncertain, since reading changes nothing."""

        def read() -> Resource | None:
            document = self._get(path, params or {})
            data = document.get("data", ...)
            if data is None:
                return None
            if not isinstance(data, dict):
                raise garbage(LABEL)
            return Resource(data, included_in(document))

        return before_effect(LABEL, read)

    def many(self, path: str, params: Params | None = None) -> list[Resource]:
        """All resources of the list at `path`, from all its pages."""
        return before_effect(LABEL, lambda: self._many(path, params or {}))

    def _many(self, path: str, params: Params) -> list[Resource]:
        """Of the link to the next page only the cursor is used: the host remains ours.
        https://developer.apple.com/documentation/appstoreconnectapi/pageddocumentlinks"""
        found: list[Resource] = []
        asked = {**params, "limit": _PAGE_SIZE}
        for _ in range(_PAGE_LIMIT):
            document = self._get(path, asked)
            included = included_in(document)
            found += [Resource(data, included) for data in objects(document.get("data"), LABEL)]
            cursor = _next_cursor(document)
            if not cursor:
                return found
            asked["cursor"] = cursor
        raise garbage(LABEL)

    def create(
        self,
        kind: str,
        attributes: Mapping[str, Any] | None = None,
        **relationships: tuple[str, str],  # kind and id
    ) -> str:
        """POST exactly once, and return the new resource's id; the caller has to look up whether a
        lost request arrived."""
        data: dict[str, Any] = {"type": kind}
        if attributes:
            data["attributes"] = attributes
        data["relationships"] = {n: {"data": link(*to)} for n, to in relationships.items()}

        def post() -> str:
            document = json_object(self._send("POST", f"/v1/{kind}", {"data": data}), LABEL)
            made = document.get("data")
            return Resource(made if isinstance(made, dict) else {}, {}).id

        return guarded(LABEL, post)

    def update(self, resource: Resource, **attributes: Any) -> None:
        data = {**link(resource.type, resource.id), "attributes": attributes}
        path = f"/v1/{resource.type}/{resource.id}"
        guarded(LABEL, lambda: self._send("PATCH", path, {"data": data}))

    def attach(self, resource: Resource, name: str, kind: str, identifier: str) -> None:
        """Set a relationship that is to one other resource."""
        path = f"/v1/{resource.type}/{resource.id}/relationships/{name}"
        body = {"data": link(kind, identifier)}
        guarded(LABEL, lambda: self._send("PATCH", path, body))

    def add(self, resource: Resource, name: str, others: Sequence[Resource]) -> None:
        """Add to a relationship that is to several."""
        path = f"/v1/{resource.type}/{resource.id}/relationships/{name}"
        body = {"data": [link(other.type, other.id) for other in others]}
        guarded(LABEL, lambda: self._send("POST", path, body))

    def delete(self, resource: Resource) -> None:
        path = f"/v1/{resource.type}/{resource.id}"
        guarded(LABEL, lambda: self._send("DELETE", path))

    def _get(self, path: str, params: Params) -> dict[str, Any]:
        return json_object(self._send("GET", path, params=params), LABEL)

    def _send(
        self, method: str, path: str, body: Any = None, params: Params | None = None
    ) -> requests.Response:
        with outbound.session(deadline=self._budget.left()) as session:
            answer = session.request(
                method,
                f"{settings.APP_STORE_CONNECT_URL.rstrip('/')}{path}",
                params=dict(params or {}),
                json=body,
                headers={"Authorization": f"Bearer {self._token()}"},
            )
        if answer.status_code not in (200, 201, 204):
            raise error_of(answer, secrets=self.secrets, is_change=method != "GET")
        return answer

    def _token(self) -> str:
        """https://developer.apple.com/documentation/appstoreconnectapi/generating-tokens-for-api-requests"""
        now = int(time.time())
        claims = {
            "iss": self._issuer_id,
            "iat": now - CLOCK_SKEW,
            "exp": now + _LIFETIME,
            "aud": _AUDIENCE,
        }
        return jwt.encode(claims, self._api_key, algorithm="ES256", headers={"kid": self.key_id})


def _next_cursor(document: Mapping[str, Any]) -> str:
    links = document.get("links")
    address = line(links.get("next")) if isinstance(links, dict) else ""
    try:
        return parse_qs(urlsplit(address).query).get("cursor", [""])[0]
    except ValueError:
        return ""
