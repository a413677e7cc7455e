"""What everything in the App Store Connect stand-in shares: resources, settings, the clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sandbox.apple import seed
from sandbox.apple.records import Records
from sandbox.shared import Shared
from sandbox.webhooks import Sender

HOURLY_LIMIT = 3600
HOUR = 3600.0  # seconds


@dataclass
class Settings:
    """`hidden_reads`: how many reads of a new version find nothing. `hidden_writes`: how many items
    a new submission does not take, because it "cannot be found". The seconds are those of the
    sandbox's clock; `processing_seconds` None: a person ends the processing. `checks_at_item`: what
    is missing is refused as soon as the version is added to a submission."""

    processing_seconds: float | None = 20.0
    item_ready_seconds: float = 1.0
    canceling_seconds: float = 2.0
    distribution_seconds: float = 3.0
    hidden_reads: int = 1
    hidden_writes: int = 0
    checks_at_item: bool = False
    hourly_limit: int = HOURLY_LIMIT
    # What a person has taken away, see `gaps`: builds say nothing about encryption by themselves.
    missing: list[str] = field(default_factory=lambda: ["compliance"])


class Base:
    contact = seed.CONTACT

    def __init__(self, shared: Shared, *, sender: Sender, provider: str = "app_store") -> None:
        self._shared = shared
        self._provider = provider
        self.sender = sender
        self.settings = Settings()
        self.records = Records()
        self._asked: dict[str, list[float]] = {}  # by key: since when, and how often
        seed.fill(self.records, shared.clock())

    @property
    def now(self) -> float:
        return self._shared.clock()

    @property
    def base_url(self) -> str:
        return f"{self._shared.base_url}/appstore"

    def record(self, kind: str, **facts: Any) -> None:
        self._shared.record(kind, self._provider, **facts)

    def touch(self) -> None:
        self._shared.touch()

    def left(self, key_id: str) -> int:
        """Count a request of a key; how many it has left in this hour, below zero for none."""
        since, count = self._asked.get(key_id, [self.now, 0])
        if self.now >= since + HOUR:
            since, count = self.now, 0
        self._asked[key_id] = [since, count + 1]
        return self.settings.hourly_limit - int(count) - 1

    def actor(self, key_id: str) -> list[str]:
        """The type and id of who acts: a person, or a key."""
        found = self.records.find("actors", key_id)
        if found is None:
            is_person = "@" in key_id
            first, _dot, last = key_id.partition("@")[0].title().partition(".")
            found = self.records.add(
                "actors",
                key_id,
                actorType="USER" if is_person else "API_KEY",
                userFirstName=first if is_person else None,
                userLastName=last or None if is_person else None,
                userEmail=key_id if is_person else None,
                apiKeyId=None if is_person else key_id,
            )
        return found.key

    @property
    def default_encryption(self) -> bool | None:
        """What builds say about their encryption, if nothing else is asked for."""
        return None if "compliance" in self.settings.missing else False
