"""The state of the Slack stand-in: channels and their messages."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from sandbox.shared import Shared

TEAM_ID, TEAM, TEAM_URL = "T0SANDBOX1", "Dream11 Sandbox", "https://dream11-sandbox.slack.com/"
APP_ID, BOT_ID, BOT_USER_ID, BOT_NAME = "A0SANDBOX1", "B0SANDBOX1", "U0SANDBOX1", "delivr"


BURST = 3  # messages that may come to one channel within a second


@dataclass(frozen=True)
class Person:
    id: str
    name: str
    email: str = ""
    guest: bool = False
    confirmed: bool = True
    deleted: bool = False
    team: str = ""  # another workspace than the bot's


PEOPLE = {
    person.id: person
    for person in (
        Person("U0OWNER", "Demo owner", "demo@example.com"),
        Person("U0ADMIN", "Demo admin", "admin@example.com"),
        Person("U0STRANGER", "Someone else", "someone.else@example.com"),
        Person("U0GUEST", "Guest with the owner's address", "demo@example.com", guest=True),
        Person("U0NEW", "Unconfirmed address", "demo@example.com", confirmed=False),
        Person("U0PARTNER", "In a shared channel", "demo@example.com", team="T0PARTNER"),
    )
}


GROUPS = (  # ids, handles and names
    ("S0MOBILE", "mobile", "Mobile team"),
    ("S0ONCALL", "on-call", "On call"),
)


@dataclass(frozen=True)
class Channel:
    id: str
    name: str
    private: bool = False
    member: bool = True  # is the bot in it?
    archived: bool = False

    @property
    def visible(self) -> bool:
        return self.member or not self.private


CHANNELS = (
    Channel("C123", "releases"),
    Channel("C456", "mobile-builds"),
    Channel("C789", "general", member=False),
    Channel("C321", "release-crew", private=True),
    Channel("C654", "board-room", private=True, member=False),
    Channel("C999", "old-releases", archived=True),
)


@dataclass
class Message:
    channel: str
    ts: str
    text: str
    user: str = BOT_USER_ID
    blocks: list[Any] = field(default_factory=list)
    attachments: list[Any] = field(default_factory=list)
    metadata: dict[str, Any] | None = None
    thread_ts: str = ""
    broadcast: bool = False
    link_names: bool = False
    edited_ts: str = ""
    refuses_edits: str = ""  # the error of an edit, for example "edit_window_closed"

    only_for: str = ""  # the one person who sees it

    @property
    def is_reply(self) -> bool:
        return bool(self.thread_ts) and self.thread_ts != self.ts


class Chat:
    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self.messages: list[Message] = []
        self.shown: list[Message] = []
        self.ignored: set[tuple[str, str]] = set()  # a press that no connection took in time
        self.deleted: set[tuple[str, str]] = set()  # channel and ts
        self._last_ts = 0.0
        self.is_paced = True
        self.archived: set[str] = set()  # ids of channels, beside those that always are
        self._used: dict[str, float] = {}  # when each channel's calls are worked off

    def wait(self, channel_id: str) -> int:
        """Seconds until another message or edit may come to the channel; 0 if it may now, and then
        it is counted. One a second, and short bursts.

        https://docs.slack.dev/apis/web-api/rate-limits
        """
        now = self._shared.clock()
        used = max(self._used.get(channel_id, 0.0), now)
        if self.is_paced and used - now > BURST - 1:
            return math.ceil(used - now - BURST + 1)
        self._used[channel_id] = used + 1
        return 0

    @property
    def channels(self) -> list[Channel]:
        return [replace(c, archived=True) if c.id in self.archived else c for c in CHANNELS]

    def channel(self, wanted: str) -> Channel | None:
        """Find a channel by id, or by name with or without `#`; private ones only if the bot is a
        member."""
        name = wanted.removeprefix("#")
        visible = (c for c in self.channels if c.visible)
        return next((c for c in visible if c.id == wanted or c.name == name), None)

    def in_channel(self, channel_id: str) -> list[Message]:
        """Oldest first."""
        return [message for message in self.messages if message.channel == channel_id]

    def message(self, channel_id: str, ts: str) -> Message | None:
        return next((m for m in self.in_channel(channel_id) if m.ts == ts), None)

    def replies(self, parent: Message) -> list[Message]:
        return [
            m for m in self.in_channel(parent.channel) if m.is_reply and m.thread_ts == parent.ts
        ]

    def post(self, message: Message) -> Message:
        """Add a message and give it a `ts` that is unique in this workspace."""
        message.ts = self._next_ts()
        self.messages.append(message)
        self._record("message.posted", message)
        return message

    def show(self, channel: str, user: str, text: str, thread_ts: str) -> Message:
        """Show a message to one person. It is in no history."""
        shown = Message(channel, self._next_ts(), text, thread_ts=thread_ts, only_for=user)
        self.shown.append(shown)
        self._record("message.shown", shown)
        return shown

    def update(self, message: Message, **changes: Any) -> None:
        for name, value in changes.items():
            setattr(message, name, value)
        message.edited_ts = self._next_ts()
        self._record("message.updated", message)

    def delete(self, message: Message) -> None:
        self.messages.remove(message)
        self.deleted.add((message.channel, message.ts))
        self._record("message.deleted", message)

    def was_deleted(self, channel_id: str, ts: str) -> bool:
        return (channel_id, ts) in self.deleted

    def _next_ts(self) -> str:
        self._last_ts = max(self._shared.clock(), self._last_ts + 0.000_1)
        return f"{self._last_ts:.6f}"

    def _record(self, kind: str, message: Message) -> None:
        self._shared.record(
            kind,
            "slack",
            channel=message.channel,
            ts=message.ts,
            text=message.text,
            threadTs=message.thread_ts,
            metadata=message.metadata,
        )

    def dump(self) -> dict[str, Any]:
        return {
            "messages": [asdict(m) for m in self.messages],
            "deleted": sorted(self.deleted),
            "archived": sorted(self.archived),
            "last_ts": self._last_ts,
        }

    def load(self, data: dict[str, Any]) -> None:
        self.messages = [Message(**item) for item in data["messages"]]
        self.deleted = {(channel, ts) for channel, ts in data.get("deleted", [])}
        self.archived = set(data.get("archived", []))
        self._last_ts = data["last_ts"]
