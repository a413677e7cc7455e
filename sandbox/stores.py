"""The state of the two stores' stand-ins: Google access tokens and Play edits."""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass
from typing import Any

from sandbox.apple.store import AppStore
from sandbox.shared import Shared
from sandbox.webhooks import Sender

EDIT_LIFETIME = 3600.0  # seconds


@dataclass
class Edit:
    id: str
    package: str
    expires_at: float


class Stores:
    def __init__(self, shared: Shared, *, sender: Sender) -> None:
        self._shared = shared
        self.apple = AppStore(shared, sender=sender)
        self.edits: dict[str, Edit] = {}
        self.google_tokens: dict[str, tuple[float, str]] = {}  # token -> (real expiry, scope)

    def insert_edit(self, package: str) -> Edit:
        """Create an edit, which invalidates every other open edit of the package, as Google does:
        https://developers.google.com/android-publisher/edits#concurrency"""
        self.edits = {key: edit for key, edit in self.edits.items() if edit.package != package}
        edit_id = f"{secrets.randbelow(10**20):020d}"
        edit = Edit(edit_id, package, self._shared.clock() + EDIT_LIFETIME)
        self.edits[edit_id] = edit
        self._shared.record("edit.inserted", "google_play", package=package, edit=edit_id)
        return edit

    def edit(self, package: str, edit_id: str) -> Edit | None:
        edit = self.edits.get(edit_id)
        if edit and edit.package == package and edit.expires_at > self._shared.clock():
            return edit
        return None

    def settle(self) -> None:
        """Apply everything that is due."""
        self.apple.settle()

    def dump(self) -> dict[str, Any]:
        return {"edits": [asdict(edit) for edit in self.edits.values()], "apple": self.apple.dump()}

    def load(self, data: dict[str, Any]) -> None:
        self.edits = {item["id"]: Edit(**item) for item in data["edits"]}
        if "apple" in data:  # older snapshots lack it
            self.apple.load(data["apple"])
