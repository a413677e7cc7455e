"""The interface to a chat."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event
from typing import Any, ClassVar

from .base import Option, Provider, ProviderError
from .fields import Words

# Codes of a refused edit: it is posted as a new message.
MESSAGE_LOST, CANNOT_EDIT = "message_lost", "cannot_edit"


@dataclass(frozen=True, kw_only=True)
class Button:
    """A button below a message: a link (`url`), or an `action` with an opaque `value`. With
    `confirm`, the chat asks this before it reports the press."""

    label: str
    url: str = ""
    action: str = ""
    value: str = ""
    confirm: str = ""


@dataclass(frozen=True, kw_only=True)
class Press:
    """Somebody pressed a button. `envelope` is the same if the chat reports the press again; `user`
    and `team` are the chat's ids."""

    envelope: str
    team: str
    user: str
    user_name: str
    channel: str
    thread: str
    action: str
    value: str


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message for a channel: one line of `text`, and a `detail` below it, both in the chat's
    markup (`ChatProvider.escape`, `link`). `event` and `data` are the same content for programs."""

    text: str
    lines: tuple[str, ...] = ()  # between the two; the text is a heading then
    subject: str = ""  # for chats whose messages have one: `[app] 1.5.0: iOS build failed`
    detail: str = ""
    thread: str = ""  # the id of the message it replies to
    broadcast: bool = False  # also show a reply in the channel
    event: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    buttons: Sequence[Button] = ()
    page: str = ""  # the release's page of ours
    at: datetime | None = None  # when the event happened
    spare: Sequence[str] = ()  # what to leave out of `data` if it is too long: `release.pipelines`


@dataclass(frozen=True, kw_only=True)
class PostedMessage:
    channel: str
    id: str  # for replies; "" if the chat returns none
    url: str = ""
    note: str = ""  # what is known of it, if that is less than that it was posted


@dataclass(frozen=True)
class SentRequest:
    """One request to an endpoint, as its log keeps it. `status` is None without a response,
    `failure` None after a success."""

    body: str
    status: int | None
    answer: str  # the first characters of the response
    milliseconds: int
    failure: ProviderError | None


class ChatProvider(Provider):
    """Where messages are posted. Without threads and without editing, only the milestones of a
    release are posted, not each step of its builds."""

    threads: ClassVar[bool] = False
    edits_in_place: ClassVar[bool] = False
    pace: ClassVar[timedelta] = timedelta(0)  # between two messages or edits in one channel
    edit_pace: ClassVar[timedelta] = timedelta(0)  # between two edits of one message
    tells_steps: ClassVar[bool] = False  # also without threads and without editing
    has_buttons: ClassVar[bool] = False  # if the connection has what `listen` needs
    only_channel: ClassVar[str] = ""  # its name, if a connection has a single one
    # An endpoint is a program: it gets events with data instead of text, signed, in any order.
    is_endpoint: ClassVar[bool] = False
    turned_off_by: ClassVar[tuple[str, ...]] = ()  # codes of errors after which it gets no more

    sent: SentRequest | None = None  # by the last `post` to an endpoint
    mentions: ClassVar[bool] = False  # people by their email address, and groups
    mention_help: ClassVar[Words] = ""  # how people are found
    group_help: ClassVar[Words] = ""  # what to enter for a group, and where it is found
    # The code of an error after which nothing more is sent to that channel, until a person acts.
    unreachable_code: ClassVar[str] = ""

    @staticmethod
    @abstractmethod
    def escape(text: str) -> str:
        """Text from outside as plain characters: no mention, link or broadcast comes out of it."""

    @staticmethod
    @abstractmethod
    def link(url: str, label: str) -> str: ...

    @classmethod
    def place_of(cls, options: Mapping[str, Any]) -> str:
        """What its only channel is called on pages; "" for its own name."""
        return ""

    @classmethod
    def wants(cls, options: Mapping[str, Any], event: str) -> bool:
        """False for an event that the connection was told to leave out."""
        return True

    def channels(self) -> list[Option]:
        """The channels to choose from (network)."""
        return []

    def mention(self, email: str) -> str:
        """The markup that mentions a person (network); "" if the chat does not know the address."""
        return ""

    @staticmethod
    def mention_group(group: str) -> str:
        """The markup that mentions a group."""
        return ""

    def groups(self) -> list[Option]:
        """The groups that can be mentioned (network)."""
        return []

    @staticmethod
    def clean_group(text: str) -> str:
        """The id of a group as it is stored. Raises ValueError with words."""
        return text

    @abstractmethod
    def post(self, *, channel: str, message: Message, correlation: str) -> PostedMessage:
        """Post it once; in a simpler form if the channel refuses it or it is too long."""

    def edit(self, *, channel: str, id: str, message: Message) -> None:
        """Have a posted message say this instead; harmless if it says so already.

        Raises ProviderError with the code MESSAGE_LOST if the message is gone, and CANNOT_EDIT if
        it may not be edited (any more).
        """
        raise NotImplementedError

    def find(
        self, *, channel: str, correlation: str, since: datetime, thread: str = ""
    ) -> PostedMessage | None:
        """Search for a message (in a thread, if given) after a lost response.

        Raises ProviderError(code="cannot_correlate") if it cannot be searched for: it is posted
        again then.
        """
        raise ProviderError.refused(
            "cannot_correlate",
            f"{self.label} does not let delivr look up what was posted.",
            "The message may appear twice.",
        )

    @classmethod
    def button_key(cls, connection: Any) -> str:
        """Names the app whose presses the connection can receive; "" if it has no buttons.
        Connections of the same app share one listener."""
        return ""

    def listen(self, on_press: Callable[[Press], None], stopping: Event) -> None:
        """Report presses (network) until the chat ends the connection or `stopping` is set. Raises
        ProviderError."""
        raise NotImplementedError

    def email_of(self, user: str) -> str:
        """A user's email address, verified by the chat (network); "" if it does not tell."""
        raise NotImplementedError

    def answer(self, *, channel: str, user: str, thread: str, text: str) -> None:
        """Show the text to one user alone (network)."""
        raise NotImplementedError
