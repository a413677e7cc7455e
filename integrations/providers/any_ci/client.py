"""What is sent to a receiver, signed as Standard Webhooks say:
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import requests
from standardwebhooks.webhooks import Webhook

from delivr import outbound

from ..http import Budget

LABEL = "Any CI"
MOST_SIGNATURES = 5


class ReceiverClient:
    """`secrets`: all that are valid now, the newest first, so that a receiver may know any of them
    while one is replaced. `deadline`: seconds for all calls together."""

    def __init__(self, *, secrets: Sequence[str], deadline: float) -> None:
        self._webhooks = [Webhook(secret) for secret in secrets[:MOST_SIGNATURES]]
        self._budget = Budget(LABEL, deadline)

    def post(
        self, url: str, *, message_id: str, document: Mapping[str, Any], headers: Mapping[str, str]
    ) -> requests.Response:
        """POST the document, once, whatever the answer's status."""
        body = json.dumps(document, separators=(",", ":"))
        signed = {**headers, "Content-Type": "application/json", **self._sign(message_id, body)}
        with outbound.session(deadline=self._budget.left()) as session:
            return session.post(url, data=body.encode(), headers=signed)

    def get(self, url: str, *, message_id: str, headers: Mapping[str, str]) -> requests.Response:
        """GET, whatever the answer's status. What is signed is the id and an empty body."""
        signed = {**headers, "Accept": "application/json", **self._sign(message_id, "")}
        with outbound.session(deadline=self._budget.left()) as session:
            return session.get(url, headers=signed)

    def connect(self, url: str) -> None:
        """Connect without sending anything. Raises OutboundError."""
        outbound.connect(url, deadline=self._budget.left())

    def _sign(self, message_id: str, body: str) -> dict[str, str]:
        now = datetime.now(UTC)
        signatures = [webhook.sign(message_id, now, body) for webhook in self._webhooks]
        return {
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signatures),
        }
