"""What is sent to an endpoint, checked by the library of Standard Webhooks, and what its answers
lead to."""

from __future__ import annotations

import json
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from integrations.providers.base import Outcome, ProviderError
from integrations.providers.chat import Message
from integrations.providers.outgoing_webhook.events import EVENTS, clean_events
from integrations.providers.outgoing_webhook.provider import MOST_BYTES, OutgoingWebhook, body_of
from integrations.providers.tests.wire import Reply, Wire

SECRET, EARLIER = "whsec_bmV3ZXN0LW5ld2VzdC1uZXdlc3Q=", "whsec_ZWFybGllci1lYXJsaWVyLWVhcg=="
MESSAGE = Message(text="", event="build.failed", data={"sequence": 3, "release": {"id": "rel_1"}})


@pytest.fixture
def endpoint(wire: Wire, settings: Any) -> Any:
    settings.OUTBOUND_ALLOW = ["127.0.0.1"]

    def make(**changes: Any) -> OutgoingWebhook:
        given = {"url": f"{wire.url}/hook?x=1", "secrets": [SECRET, EARLIER]}
        return OutgoingWebhook(**{**given, **changes})

    return make


def send(endpoint: OutgoingWebhook) -> None:
    endpoint.post(channel="endpoint", message=MESSAGE, correlation="eff_1")


def test_an_event_is_signed_with_both_secrets(wire: Wire, endpoint: Any) -> None:
    wire.routes["/hook"] = Reply(b"", status=204)
    send(endpoint())
    [request] = wire.seen
    for secret in (SECRET, EARLIER):
        read = Webhook(secret).verify(request.body, request.headers)
        assert (read["type"], read["data"]["sequence"]) == ("build.failed", 3)
    assert request.headers["webhook-id"] == "eff_1"
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_b3RoZXItb3RoZXItb3RoZXI=").verify(request.body, request.headers)


@pytest.mark.parametrize(
    ("status", "outcome", "slows"),
    [
        (302, Outcome.NOT_SENT, False),
        (400, Outcome.NOT_SENT, False),
        (401, Outcome.NOT_SENT, False),
        (410, Outcome.CREDENTIALS, False),
        (429, Outcome.RATE_LIMITED, False),
        (500, Outcome.UNCERTAIN, False),
        (502, Outcome.UNCERTAIN, True),
        (504, Outcome.UNCERTAIN, True),
    ],
)
def test_everything_but_2xx_is_a_failure(
    wire: Wire, endpoint: Any, status: int, outcome: Outcome, slows: bool
) -> None:
    wire.routes["/hook"] = Reply(b"no", status=status, headers={"Location": f"{wire.url}/other"})
    made = endpoint()
    with pytest.raises(ProviderError) as caught:
        send(made)
    assert (caught.value.outcome, bool(caught.value.retry_after)) == (outcome, slows)
    assert len(wire.seen) == 1  # no redirect is followed
    assert (made.sent.status, made.sent.answer) == (status, "no")
    assert json.loads(made.sent.body)["type"] == "build.failed"


def test_a_private_address_is_refused_when_connecting(
    wire: Wire, endpoint: Any, settings: Any
) -> None:
    settings.OUTBOUND_ALLOW = []
    made = endpoint()
    with pytest.raises(ProviderError) as caught:
        send(made)
    assert caught.value.code == "address_refused"
    assert (made.sent.status, wire.seen) == (None, [])


def test_verification_sends_nothing_and_says_what_is_off(wire: Wire, endpoint: Any) -> None:
    found = {check.name: (check.ok, check.tested) for check in endpoint().checks()}
    assert found == {
        "endpoint": (True, True),
        "address": (True, True),
        "credentials": (True, False),
    }
    [off] = endpoint(turned_off="It answered 410.").checks()
    assert (off.name, off.ok, off.message) == ("endpoint", False, "It answered 410.")
    assert wire.seen == []


def test_a_body_is_never_too_large() -> None:
    data = {"sequence": 1, "release": {"id": "rel_1", "pipelines": ["x" * 300] * 100}}
    long = Message(text="", event="release.created", data=data, spare=("release.pipelines",))
    body = body_of(long)
    assert len(body) <= MOST_BYTES
    assert json.loads(body)["data"] == {
        "sequence": 1,
        "release": {"id": "rel_1", "pipelines": None},
        "isCut": True,
    }
    assert len(data["release"]["pipelines"]) == 100  # type: ignore[index]


def test_events_are_chosen_by_name() -> None:
    assert clean_events(["release.created", "build.failed", "build.failed"]) == [
        "release.created",
        "build.failed",
    ]
    with pytest.raises(ValueError, match=r"no event “build\.exploded”"):
        clean_events(["build.exploded"])
    wants = OutgoingWebhook.wants
    assert all(wants({}, event) for event in EVENTS)
    assert not wants({"events": ["build.failed"]}, "build.started")
