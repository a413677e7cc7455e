"""What is posted to a workflow, and what its answers mean."""

from __future__ import annotations

import requests

from delivr import outbound

from ..base import Outcome, ProviderError
from ..http import Budget, error_from_status

LABEL = "Microsoft Teams"
AUTOMATE = "Power Automate"
_GONE = "The workflow may have been deleted or turned off, or its owner may have left."
_REPLACE = "Open it in Power Automate, or create a new one and enter its address."


class WorkflowClient:
    """`deadline`: seconds for all calls together. The address is a secret as a whole."""

    def __init__(self, url: str, *, deadline: float) -> None:
        self._url = url
        self._budget = Budget(LABEL, deadline)

    def connect(self) -> None:
        """Connect without sending anything. Raises OutboundError."""
        outbound.connect(self._url, deadline=self._budget.left())

    def post(self, body: bytes) -> None:
        """POST once. 202 says that the workflow has begun, not that the channel shows anything.

        Raises ProviderError.
        """
        headers = {"Content-Type": "application/json"}
        with outbound.session(deadline=self._budget.left(), keep_redirects=True) as session:
            answer = session.post(self._url, data=body, headers=headers)
        if not 200 <= answer.status_code < 300:
            raise refusal(answer)


def refusal(answer: requests.Response) -> ProviderError:
    status, wait = answer.status_code, answer.headers.get("Retry-After")
    if status in (401, 403):
        words = f"{AUTOMATE} refused the workflow's address (HTTP {status}). {_GONE}"
        return ProviderError("bad_credentials", words, _REPLACE, outcome=Outcome.CREDENTIALS)
    if status in (404, 410):
        words = f"{AUTOMATE} does not know this workflow (HTTP {status}). {_GONE}"
        return ProviderError("no_workflow", words, _REPLACE, outcome=Outcome.CREDENTIALS)
    if status == 413:
        words = f"{AUTOMATE} refused the card, because it is too large (HTTP 413)."
        return ProviderError.refused("too_large", words)
    if status == 429:
        words = f"{AUTOMATE} is rate limiting: Teams takes four messages a second."
        return error_from_status(AUTOMATE, status, retry_after=wait, message=words)
    return error_from_status(AUTOMATE, status, retry_after=wait)
