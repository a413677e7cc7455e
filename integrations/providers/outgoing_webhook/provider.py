"""Webhooks out: each event of a release as a signed request to an address of the workspace's."""

from __future__ import annotations

import copy
import functools
import json
import operator
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Self

from integrations.endpoint_secrets import live

from ..base import Check, Option, Outcome, ProviderError
from ..chat import ChatProvider, Message, PostedMessage, SentRequest
from ..fields import host_and_path
from ..http import only_provider_errors
from ..verifying import try_in_order
from .client import GONE, EndpointClient
from .events import event_options

DEADLINE = 15.0  # seconds for one request, which is within the lease of an effect
MOST_BYTES = 20_000
NOT_TESTED = (
    "Nothing was sent, because an endpoint only takes events. Send a test event to see whether it "
    "accepts the signature."
)


class OutgoingWebhook(ChatProvider):
    """`secrets`: the signing secrets that are valid now, the newest first. `turned_off`: why
    nothing is sent to it any more, in words."""

    label = "Outgoing webhook"
    discovered = ("turned_off",)
    discovered_about = "url"
    turned_off_by = (GONE,)
    tells_steps = True
    is_endpoint = True
    only_channel = "endpoint"
    deadline = DEADLINE

    def __init__(self, *, url: str, secrets: Sequence[str], turned_off: str = "") -> None:
        self._url = url
        self._secrets = secrets
        self._turned_off = turned_off
        self.sent: SentRequest | None = None

    @classmethod
    def from_connection(cls, connection: Any) -> Self:
        return cls(
            url=connection.options.get("url", ""),
            secrets=live(connection),
            turned_off=connection.options.get("turned_off", ""),
        )

    @staticmethod
    def escape(text: str) -> str:
        return text

    @staticmethod
    def link(url: str, label: str) -> str:
        return f"{label}: {url}"

    @classmethod
    def place_of(cls, options: Mapping[str, Any]) -> str:
        return host_and_path(options.get("url", ""))

    @classmethod
    def wants(cls, options: Mapping[str, Any], event: str) -> bool:
        chosen = options.get("events")
        return not chosen or event in chosen

    def events(self) -> list[Option]:
        return event_options()

    def checks(self) -> Iterator[Check]:
        return try_in_order(
            self.label,
            [
                ("endpoint", self._is_on),
                ("address", self._reach),
                ("credentials", self._signature),
            ],
        )

    def _is_on(self) -> list[Check]:
        if not self._turned_off:
            return []
        hint = "Turn it on again once it works. What happened meanwhile is sent then."
        return [Check.failed("endpoint", "turned_off", self._turned_off, hint)]

    def _reach(self) -> list[Check]:
        self._client().connect()
        return []

    def _signature(self) -> list[Check]:
        return [Check.untested("credentials", NOT_TESTED)]

    @only_provider_errors
    def post(self, *, channel: str, message: Message, correlation: str) -> PostedMessage:
        """One request. `correlation` is its `webhook-id`, which stays the same when it is sent
        again, so that a receiver can tell a repeat."""
        return self.post_body(body_of(message), correlation=correlation)

    @only_provider_errors
    def post_body(self, body: str, *, correlation: str) -> PostedMessage:
        if not self._secrets:
            raise ProviderError(
                "secret_unreadable",
                "The secret that signs events cannot be read.",
                "Rotate the signing secret and give the new one to the receiver.",
                outcome=Outcome.CREDENTIALS,
            )
        self.sent = self._client().post(correlation, body)
        if self.sent.failure is not None:
            raise self.sent.failure
        return PostedMessage(channel=self.only_channel, id="")

    def _client(self) -> EndpointClient:
        return EndpointClient(self._url, secrets=self._secrets, deadline=self.deadline)


def body_of(message: Message) -> str:
    """`{"type", "timestamp", "data"}`, never longer than `MOST_BYTES`: what the message can spare
    is left out, and `isCut` says so."""
    at = (message.at or datetime.now(UTC)).astimezone(UTC).isoformat().replace("+00:00", "Z")
    data = copy.deepcopy(dict(message.data))
    document = {"type": message.event, "timestamp": at, "data": data}
    spare = iter(message.spare)
    while True:
        body = json.dumps(document, separators=(",", ":"), default=str)
        if len(body.encode()) <= MOST_BYTES or (path := next(spare, None)) is None:
            return body
        *parents, name = path.split(".")
        functools.reduce(operator.getitem, parents, data)[name] = None
        data["isCut"] = True
