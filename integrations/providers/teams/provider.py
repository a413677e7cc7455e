"""Microsoft Teams, through a workflow of Power Automate that posts cards into a channel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Self

from ..base import Check
from ..chat import ChatProvider, Message, PostedMessage
from ..http import DEADLINE, only_provider_errors
from ..verifying import try_in_order
from . import cards
from .client import AUTOMATE, LABEL, WorkflowClient

NOT_SENT = (
    "Nothing was sent, because whatever a workflow receives is posted. Send a test message, and "
    "look whether it is in the channel."
)


class Teams(ChatProvider):
    """A workflow answers that it has accepted a card, never that the channel shows it; it has no
    ids, threads or edits."""

    label = LABEL
    only_channel = "workflow"
    deadline = DEADLINE

    def __init__(self, *, workflow_url: str) -> None:
        self._url = workflow_url

    @classmethod
    def from_connection(cls, connection: Any) -> Self:
        return cls(workflow_url=connection.token.reveal())

    @classmethod
    def place_of(cls, options: Mapping[str, Any]) -> str:
        return "Teams workflow"

    escape = staticmethod(cards.escape)
    link = staticmethod(cards.link)

    def checks(self) -> Iterator[Check]:
        return try_in_order(self.label, [("address", self._reach), ("credentials", self._untested)])

    def _reach(self) -> list[Check]:
        self._client().connect()
        return []

    @staticmethod
    def _untested() -> list[Check]:
        return [Check.untested("credentials", NOT_SENT)]

    @only_provider_errors
    def post(self, *, channel: str, message: Message, correlation: str) -> PostedMessage:
        self._client().post(cards.document(message))
        return PostedMessage(channel=channel, id="", note=f"Accepted by {AUTOMATE}")

    def _client(self) -> WorkflowClient:
        return WorkflowClient(self._url, deadline=self.deadline)
