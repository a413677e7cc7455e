"""What programs and channels of the workspace received: signed events, and cards of Teams."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sandbox.shared import Shared
from sandbox.webhooks import signature

TOLERANCE = 300  # seconds that a signed timestamp may be off
KEPT = 2000


@dataclass
class Event:
    """`verdict`: signed, unsigned (no secret is known), or forged. `is_repeat`: its id is known."""

    id: str
    body: dict[str, Any]
    verdict: str
    is_repeat: bool
    at: float


@dataclass
class Card:
    content: dict[str, Any]
    at: float


@dataclass
class Listeners:
    """`secret` is what delivr shows for the endpoint, `status` what every event is answered."""

    shared: Shared
    secret: str = ""
    status: int = 204
    events: list[Event] = field(default_factory=list)  # oldest first
    cards: list[Card] = field(default_factory=list)

    def take(self, headers: Mapping[str, str], body: bytes) -> Event:
        """Keep an event. One that is answered with an error counts as never received."""
        message_id = headers.get("webhook-id", "")
        event = Event(
            id=message_id,
            body=_object(body),
            verdict=self._verdict(headers, body),
            is_repeat=self.status < 300 and any(one.id == message_id for one in self.events),
            at=self.shared.clock(),
        )
        if self.status < 300:
            self.events = [*self.events, event][-KEPT:]
        data = event.body.get("data")
        sequence = data.get("sequence") if isinstance(data, dict) else None
        self.shared.record(
            "event.received" if self.status < 300 else "event.refused",
            "endpoint",
            id=message_id,
            type=event.body.get("type"),
            sequence=sequence,
            verdict=event.verdict,
            isRepeat=event.is_repeat,
        )
        return event

    def _verdict(self, headers: Mapping[str, str], body: bytes) -> str:
        if not self.secret:
            return "unchecked"
        stamp = headers.get("webhook-timestamp", "")
        if not stamp.isdecimal() or abs(time.time() - int(stamp)) > TOLERANCE:
            return "forged"
        message = f"{headers.get('webhook-id', '')}.{stamp}.".encode() + body
        wanted = f"v1,{base64.b64encode(signature(self.secret, message)).decode()}"
        given = headers.get("webhook-signature", "").split()
        is_ours = any(hmac.compare_digest(wanted.encode(), one.encode()) for one in given)
        return "signed" if is_ours else "forged"

    def show(self, content: dict[str, Any]) -> None:
        self.cards = [*self.cards, Card(content, self.shared.clock())][-KEPT:]
        text = next((b.get("text") for b in content.get("body", []) if isinstance(b, dict)), "")
        self.shared.record("card.posted", "teams", text=text)

    # Snapshot

    def dump(self) -> dict[str, Any]:
        return {
            "secret": self.secret,
            "status": self.status,
            "events": [asdict(one) for one in self.events],
            "cards": [asdict(one) for one in self.cards],
        }

    def load(self, data: dict[str, Any]) -> None:
        self.secret, self.status = data["secret"], data["status"]
        self.events = [Event(**one) for one in data["events"]]
        self.cards = [Card(**one) for one in data["cards"]]


def _object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    return document if isinstance(document, dict) else {}
