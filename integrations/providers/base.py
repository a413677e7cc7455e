"""What delivr asks of the systems that a tenant connects: one small class per family.

A provider is made for one call and thrown away. It takes plain values (already decrypted), speaks
to somebody else's system and answers with the frozen dataclasses below, or raises `ProviderError`.
It knows nothing of rows, tenants or requests.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, Protocol, Self

from delivr.failures import Outcome as Outcome
from delivr.failures import ProviderError as ProviderError


class Level(enum.StrEnum):
    ERROR = "ERROR"
    WARNING = "WARNING"


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that a verification tried. `passing` marks a trouble that may mend itself."""

    name: str
    ok: bool
    code: str = "ok"
    message: str = ""
    hint: str = ""
    level: Level = Level.ERROR
    passing: bool = False

    @classmethod
    def from_error(cls, name: str, error: ProviderError, *, level: Level = Level.ERROR) -> Self:
        return cls(
            name=name,
            ok=False,
            code=error.code,
            message=error.message,
            hint=error.hint,
            level=level,
            passing=error.is_passing,
        )


@dataclass(frozen=True)
class Option:
    """One line of a picker: the value to store and the words to show."""

    value: str
    label: str


class Options(list[Option]):
    """Options with a `note` for whoever picks: how far the list goes, where it is not whole."""

    note: str = ""

    @classmethod
    def cut(cls, found: Sequence[Option], most: int) -> Self:
        """The first `most` of them; the note says where there are more."""
        options = cls(found[:most])
        if len(found) > most:
            options.note = f"The first {most:,} are listed: type the rest."
        return options


class BuildStatus(enum.StrEnum):
    """The words of the contract for a build; the first ones are still moving."""

    PENDING = "PENDING"
    TRIGGERING = "TRIGGERING"
    QUEUED = "QUEUED"
    WAITING = "WAITING"  # for a person, on the CI server: an approval, say
    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    UNSTABLE = "UNSTABLE"
    ABORTED = "ABORTED"
    TRIGGER_FAILED = "TRIGGER_FAILED"
    LOST = "LOST"
    CANCELLED = "CANCELLED"


@dataclass(frozen=True, kw_only=True)
class BuildHandle:
    """The CI server's identifiers of a build. Each may be known at once, later, or never.

    `external_id` is the server's own id of one attempt, opaque to us. If a run keeps its id over
    several attempts, the attempt is part of it ("9182731/2"): a second attempt is another build.
    """

    external_id: str = ""
    queue_id: int | None = None
    number: int | None = None

    @property
    def is_known(self) -> bool:
        return bool(self.external_id or self.queue_id or self.number)

    @property
    def is_named(self) -> bool:
        """True if it is a build by now, not only an item in the queue."""
        return bool(self.external_id or self.number)

    def is_another(self, other: BuildHandle) -> bool:
        """True if a known identifier differs: it is certainly another build."""
        return any(mine and theirs and mine != theirs for mine, theirs in self._pairs_with(other))

    def shares_identifier_with(self, other: BuildHandle) -> bool:
        return any(mine and mine == theirs for mine, theirs in self._pairs_with(other))

    def adds_identifier_to(self, other: BuildHandle) -> bool:
        return any(mine and not theirs for mine, theirs in self._pairs_with(other))

    def _pairs_with(self, other: BuildHandle) -> Iterator[tuple[Any, Any]]:
        for name in ("external_id", "queue_id", "number"):
            yield getattr(self, name), getattr(other, name)


@dataclass(frozen=True, kw_only=True)
class BuildRequest:
    """A build to start. `parameters` are the pipeline's own with VERSION, BRANCH and
    DELIVR_BUILD_ID; the other fields are for servers that take these values outside of them."""

    build_id: str
    version: str
    branch: str
    platform: str  # IOS or ANDROID
    parameters: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A parameter of a build. `choices` are the values that it takes; empty: any value."""

    name: str
    kind: str = ""  # the server's own name of its type
    default: str = ""
    choices: Sequence[str] = ()


@dataclass(frozen=True)
class Artifact:
    """A file that a build kept. `url` is where a person opens it, signed in to the CI server; never
    a URL that expires or contains a credential."""

    name: str
    url: str


@dataclass(frozen=True, kw_only=True)
class BuildState(BuildHandle):
    """What the CI server says of one build now (`number` is None while it waits in the queue).

    `carried_id` is the id of delivr that the build there was given, and `version` the version that
    it was told to build; "" where it has none. `queue_reason` says why it is QUEUED or WAITING.
    `artifacts` are sorted, the app first; `artifact_url` is the first one's.
    """

    status: BuildStatus  # QUEUED, WAITING, RUNNING, SUCCESS, FAILURE, UNSTABLE or ABORTED
    url: str = ""
    queue_reason: str = ""
    started_at: datetime | None = None
    duration_ms: int | None = None
    estimated_ms: int | None = None
    artifacts: Sequence[Artifact] = ()
    commit: str = ""  # that was built, in full; "" where the server does not tell
    carried_id: str = ""
    version: str = ""
    is_shared: bool = False  # merged into an equal item, maybe somebody else's

    @property
    def artifact_url(self) -> str:
        return self.artifacts[0].url if self.artifacts else ""


@dataclass(frozen=True, kw_only=True)
class LogTail:
    """The end of a build's log, as it came: whole lines. `is_final`: nothing more will follow."""

    text: str
    is_final: bool


@dataclass(frozen=True, kw_only=True)
class Retry:
    """A build that somebody started on the CI server from one of ours.

    `started_by` is a name as the CI server tells it, "" where it tells none; so is `commit`.
    """

    state: BuildState
    started_by: str = ""
    commit: str = ""


class Duplicate(enum.StrEnum):
    """What became of a second build that carries our id."""

    STOPPED = "STOPPED"  # or taken out of the queue
    ENDED = "ENDED"  # before it could be stopped
    FOREIGN = "FOREIGN"  # somebody else started it: it was left alone
    GONE = "GONE"  # the server does not know it (any more)


@dataclass(frozen=True, kw_only=True)
class BuildReport(BuildHandle):
    """What a webhook claims, in our words. `status` None: it says nothing of a build; `note` tells
    why, in a sentence."""

    status: BuildStatus | None
    build_id: str = ""  # our own bld_... or tst_..., if the sender echoes it
    url: str = ""
    job_path: str = ""  # of the job that the address names, "" where it names none
    artifact_url: str = ""
    phase: str = ""
    at: datetime | None = None
    note: str = ""
    asks: bool = False  # it names a build and claims nothing of it: a reason to ask the CI server


class Scheme(enum.StrEnum):
    """How the sender of a webhook authenticates itself with the secret."""

    STANDARD = "STANDARD"  # Standard Webhooks: signs id, time and body
    BASIC = "BASIC"  # the password of user `delivr`
    HEX_MAC = "HEX_MAC"  # the hex HMAC-SHA256 of the body, in a header behind a prefix
    HEADER = "HEADER"  # the secret itself, in a header


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to authenticate a webhook, used if its `header` is present.

    Only STANDARD is trusted. Anything else can be sent again under another id, so it only causes a
    poll.
    """

    scheme: Scheme
    header: str
    prefix: str = ""
    id_header: str = ""  # identifies a repeated delivery; without it the body does


STANDARD_WEBHOOKS = Way(scheme=Scheme.STANDARD, header="webhook-signature", id_header="webhook-id")
BASIC = Way(scheme=Scheme.BASIC, header="authorization")


Parser = Callable[[bytes, str], BuildReport]


@dataclass(frozen=True, kw_only=True)
class Webhooks:
    """The webhooks of one sender: the ways to authenticate them, in order of preference, and the
    parser of their bodies.

    `parse` takes the body and the event type from `event_header`. It raises ValueError with a
    message for people if the body cannot be parsed.
    """

    ways: Sequence[Way]
    parse: Parser
    event_header: str = ""


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message for a channel: one line of `text`, and a `detail` below it, both in the chat's
    markup (`ChatProvider.escape`, `link`). `event` and `data` are the same content for programs."""

    text: str
    detail: str = ""
    thread: str = ""  # the id of the message it answers
    broadcast: bool = False  # show a thread's answer in the channel too
    event: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PostedMessage:
    channel: str
    id: str  # by which it is answered; "" if the chat returns none
    url: str = ""


@dataclass(frozen=True, kw_only=True)
class Ticket:
    key: str
    url: str


class SecretValue(Protocol):
    def reveal(self) -> str: ...


class Provider(ABC):
    """What every family shares."""

    label: ClassVar[str]  # as people write it
    address_field: ClassVar[str | None] = None  # the field with the URL secrets are sent to
    # Names of checks whose message is kept in the connection's `options` until its address changes.
    learnt: ClassVar[tuple[str, ...]] = ()
    longest_life: ClassVar[timedelta | None] = None  # after which credentials end at the latest

    # What `verify` learned beside its checks, where the system tells it.
    account: str = ""
    expires_at: datetime | None = None

    @classmethod
    @abstractmethod
    def from_connection(cls, connection: Any) -> Self:
        """Decrypt what is needed and make the provider. The only place that calls `.reveal()`."""

    @abstractmethod
    def checks(self) -> Iterator[Check]:
        """Try each thing in order, never with a side effect; stop where going on is pointless.

        Each is handed out as it ends. Never raises ProviderError: a failure is a Check.
        """

    def verify(self) -> list[Check]:
        """All of `checks`."""
        return list(self.checks())


class CiProvider(Provider):
    """A CI server. Methods with a default here are optional: not every server can do them.

    A build carries our own id if the server takes one. By it a build is found again after a lost
    response, and a duplicate is noticed.
    """

    # Parsers to use instead of `Webhooks.parse` for pipelines of this kind, by sender: for webhooks
    # that mean more to this CI server than to others.
    parsers: ClassVar[Mapping[str, Parser]] = {}
    can_cancel: ClassVar[bool] = True
    has_log: ClassVar[bool] = True

    @classmethod
    def report_timeout(cls, connection: Any) -> timedelta | None:
        """For a server that cannot be polled: its reports are trusted, and a build without one for
        this long is lost. None: it is polled with `read`."""
        return None

    @staticmethod
    @abstractmethod
    def job_name(values: Mapping[str, Any]) -> str:
        """The job that a form's values name, as people read it; "" where they name none."""

    @staticmethod
    def log_page(build_url: str) -> str:
        """The page with the log of the build at this URL; "" if there is none."""
        return build_url

    @abstractmethod
    def jobs(self) -> list[Option]: ...

    @abstractmethod
    def parameters(self) -> list[Parameter] | None:
        """The parameters that a build declares; None if it takes any."""

    @abstractmethod
    def trigger(self, request: BuildRequest) -> BuildState:
        """Start one build. The handle has what the response contains: an id, a queue id, or nothing
        yet."""

    def find(self, request: BuildRequest, *, since: datetime) -> BuildState | None:
        """Search for a build after a lost response to its trigger; None if it is certainly not
        there.

        Raises ProviderError(code="cannot_correlate", REFUSED) if builds do not carry our id.
        """
        raise ProviderError(
            "cannot_correlate",
            f"{self.label} does not pass on our id, so its builds cannot be told apart.",
            f"Look into {self.label} whether the build started, then adopt it or retry.",
            outcome=Outcome.REFUSED,
        )

    @abstractmethod
    def read(
        self, handle: BuildHandle, *, build_id: str, since: datetime | None = None
    ) -> BuildState | None:
        """The truth about one build. None where the job answers and does not have it (any more).

        By number alone it is whatever build has that number: `carried_id`, the rest of its handle
        and `started_at` tell whether it is the one that was meant. Without a handle it is the one
        with our id. Raises ProviderError("job_unreadable") where the job itself cannot be
        read: nothing is known of the build then.
        """

    def cancel(self, handle: BuildHandle) -> None:
        """Stop it, queued or running. No error if it already ended. Not called if `can_cancel` is
        False."""
        raise NotImplementedError

    def log_tail(self, handle: BuildHandle) -> LogTail:
        """The last part of a build's log, however long the log is. Not called if `has_log` is
        False.

        Raises ProviderError(code="log_gone", REFUSED) where the server has none (any more).
        """
        raise NotImplementedError

    def find_all(self, *, build_id: str, since: datetime) -> list[BuildState]:
        """Everything that carries our id, queued or built since then: ours and what repeats it."""
        return []

    def retries(self, handle: BuildHandle, *, build_id: str, since: datetime) -> list[Retry]:
        """What was started again on the server from this build, which was given our id: another
        build, or another attempt of the same run."""
        return []

    def stop_duplicate(self, handle: BuildHandle, *, build_id: str) -> Duplicate:
        """Stop what carries our id, if it waits or runs and nobody but us can have started it."""
        return Duplicate.FOREIGN

    def duplicate(self, handle: BuildHandle, *, build_id: str) -> Duplicate | None:
        """What became of it; None while it is there to be stopped. Changes nothing."""
        return Duplicate.FOREIGN


class StoreProvider(Provider):
    platform: ClassVar[str]  # IOS or ANDROID


class ChatProvider(Provider):
    """Where messages are posted. Without threads and without editing, only the milestones of a
    release are posted, not each step of its builds."""

    threads: ClassVar[bool] = False
    edits_in_place: ClassVar[bool] = False

    @staticmethod
    @abstractmethod
    def escape(text: str) -> str:
        """Text from outside as plain characters: no mention, link or broadcast comes out of it."""

    @staticmethod
    @abstractmethod
    def link(url: str, label: str) -> str: ...

    @abstractmethod
    def channels(self) -> list[Option]: ...

    @abstractmethod
    def post(self, *, channel: str, message: Message, correlation: str) -> PostedMessage:
        """Post it once; in a simpler form if the channel refuses it or it is too long."""

    def find(
        self, *, channel: str, correlation: str, since: datetime, thread: str = ""
    ) -> PostedMessage | None:
        """Search for a message (in a thread, if given) after a lost response.

        Raises ProviderError(code="cannot_correlate") if it cannot be searched for: it is posted
        again then.
        """
        raise ProviderError(
            "cannot_correlate",
            f"{self.label} does not show what was posted.",
            "It may be there twice.",
            outcome=Outcome.REFUSED,
        )


class TicketItem:
    """Base of what a ticket system keeps for a release: its content, not where it goes."""


@dataclass(frozen=True, kw_only=True)
class Epic(TicketItem):
    summary: str
    description: str = ""
    labels: Sequence[str] = field(default_factory=tuple)


class FoundBy(enum.StrEnum):
    """How an item is found again after a lost response."""

    MARK = "MARK"  # by our correlation, which it carries; a search index may lag behind
    KEY = "KEY"  # by its own name or global id: creating it again creates no second one


class TicketProvider(Provider):
    found_by: ClassVar[Mapping[type[TicketItem], FoundBy]]  # of each type that it can create

    @staticmethod
    def page_of(url: str, *, server_url: str, options: Mapping[str, Any]) -> str:
        """The page of a ticket whose address was stored, for a person; "" where none is known."""
        return url

    @abstractmethod
    def projects(self) -> list[Option]: ...

    @abstractmethod
    def create(self, item: TicketItem, *, correlation: str) -> Ticket:
        """Create an item of one of the types in `found_by`."""

    @abstractmethod
    def find(self, item: TicketItem, *, correlation: str) -> Ticket | None: ...
