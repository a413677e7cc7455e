"""What is sent to an endpoint, signed as Standard Webhooks say, and what its answers mean:
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime

from standardwebhooks.webhooks import Webhook

from delivr import outbound
from delivr.outbound import OutboundError

from ..base import Outcome, ProviderError
from ..chat import SentRequest
from ..http import Budget, error_from_outbound, error_from_status, retry_after_seconds

LABEL = "The endpoint"
GONE = "gone"
SLOW = (429, 502, 503, 504)
SLOW_DOWN = 60.0  # seconds without events for an endpoint that is overloaded, if it names none
MOST_ANSWER = 1000  # characters kept of an answer


class EndpointClient:
    """`secrets`: the newest first; each of them signs. `deadline`: seconds for one request."""

    def __init__(self, url: str, *, secrets: Sequence[str], deadline: float) -> None:
        self._url = url
        self._webhooks = [Webhook(secret) for secret in secrets]
        self._budget = Budget(LABEL, deadline)

    def connect(self) -> None:
        """Connect without sending anything. Raises OutboundError."""
        outbound.connect(self._url, deadline=self._budget.left())

    def post(self, message_id: str, body: str) -> SentRequest:
        """POST once; the result says how it went. Never raises because of the other side."""
        signed = {"Content-Type": "application/json", **self._sign(message_id, body)}
        start = time.monotonic()
        status, answer, failure = None, "", None
        try:
            deadline = self._budget.left()
            with outbound.session(deadline=deadline, keep_redirects=True) as session:
                response = session.post(self._url, data=body.encode(), headers=signed)
            status, answer = response.status_code, _text(response.content)
            wait = response.headers.get("Retry-After")
            failure = None if 200 <= status < 300 else refusal(status, wait)
        except OutboundError as error:
            failure = error_from_outbound(error, LABEL)
        milliseconds = round((time.monotonic() - start) * 1000)
        return SentRequest(body, status, answer, milliseconds, failure)

    def _sign(self, message_id: str, body: str) -> dict[str, str]:
        now = datetime.now(UTC)
        signatures = [webhook.sign(message_id, now, body) for webhook in self._webhooks]
        return {
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signatures),
        }


def refusal(status: int, retry_after: str | None) -> ProviderError:
    """Everything but 2xx is a failure, and all but 410 is tried again."""
    if status == 410:
        return ProviderError(
            GONE,
            f"{LABEL} answered 410: it is gone, and nothing more is sent to it.",
            "Enter another address, or turn it on again.",
            outcome=Outcome.CREDENTIALS,
        )
    if status == 429:
        return error_from_status(LABEL, status, retry_after=retry_after)
    wait = retry_after_seconds(retry_after) or SLOW_DOWN if status in SLOW else None
    if 300 <= status < 400:
        hint = "Enter the final address: delivr follows no redirect."
        words = f"{LABEL} redirects (HTTP {status}) instead of accepting the event."
    else:
        hint = "It has to answer 2xx once it has taken the event. delivr tries again."
        words = f"{LABEL} did not accept the event (HTTP {status})."
    outcome = Outcome.UNCERTAIN if status >= 500 else Outcome.NOT_SENT
    return ProviderError(f"http_{status}", words, hint, outcome=outcome, retry_after=wait)


def _text(content: bytes) -> str:
    text = content[: 4 * MOST_ANSWER].decode(errors="replace")
    return "".join(c for c in text if c.isprintable() or c == "\n")[:MOST_ANSWER]
