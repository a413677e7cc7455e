"""The state of the two stores' stand-ins together."""

from __future__ import annotations

from typing import Any

from sandbox.apple.store import AppStore
from sandbox.play.store import Play
from sandbox.shared import Shared
from sandbox.webhooks import Sender


class Stores:
    def __init__(self, shared: Shared, *, sender: Sender) -> None:
        self.apple = AppStore(shared, sender=sender)
        self.play = Play(shared)

    def settle(self) -> None:
        """Apply everything that is due."""
        self.apple.settle()

    def dump(self) -> dict[str, Any]:
        return {"apple": self.apple.dump(), "play": self.play.dump()}

    def load(self, data: dict[str, Any]) -> None:
        if "apple" in data:  # snapshots from before held edits alone
            self.apple.load(data["apple"])
            self.play.load(data["play"])
