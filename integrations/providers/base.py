"""What delivr asks of the systems that a tenant connects: one small class per family.

A provider is made for one call and thrown away. It takes plain values (already decrypted), speaks
to somebody else's system and answers with the frozen dataclasses below, or raises `ProviderError`.
It knows nothing of rows, tenants or requests.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
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
    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    UNSTABLE = "UNSTABLE"
    ABORTED = "ABORTED"
    TRIGGER_FAILED = "TRIGGER_FAILED"
    LOST = "LOST"
    CANCELLED = "CANCELLED"


@dataclass(frozen=True)
class Artifact:
    """A file that a build kept: its name and where it can be had."""

    name: str
    url: str


@dataclass(frozen=True, kw_only=True)
class BuildState:
    """What the CI server says of one build now (`number` is None while it waits in the queue).

    `carried_id` is the id of delivr that the build there was given, and `version` the version that
    it was told to build; "" where it has none.
    `artifacts` are sorted, the app first; `artifact_url` is the first one's.
    """

    status: BuildStatus  # QUEUED, RUNNING, SUCCESS, FAILURE, UNSTABLE or ABORTED
    queue_id: int | None = None
    number: int | None = None
    url: str = ""
    queue_reason: str = ""
    started_at: datetime | None = None
    duration_ms: int | None = None
    estimated_ms: int | None = None
    artifacts: Sequence[Artifact] = ()
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
class BuildReport:
    """What a webhook claims, in our words. `status` None: it says nothing of a build; `note` tells
    why, in a sentence."""

    status: BuildStatus | None
    build_id: str = ""  # our own bld_... or tst_..., if the sender echoes it
    queue_id: int | None = None
    number: int | None = None
    url: str = ""
    job_path: str = ""  # of the job that the address names, "" where it names none
    artifact_url: str = ""
    phase: str = ""
    at: datetime | None = None
    note: str = ""
    asks: bool = False  # it names a build and claims nothing of it: a reason to ask the CI server


@dataclass(frozen=True, kw_only=True)
class Message:
    """A chat message: `text` is the fallback (plain characters), `blocks` the rich form."""

    text: str
    blocks: Sequence[Mapping[str, Any]] = ()
    thread: str = ""  # the id of the message it answers
    broadcast: bool = False  # show a thread's answer in the channel too


@dataclass(frozen=True, kw_only=True)
class PostedMessage:
    channel: str
    id: str
    url: str = ""


@dataclass(frozen=True, kw_only=True)
class Ticket:
    key: str
    url: str


@dataclass(frozen=True, kw_only=True)
class Branch:
    """What a repository has under a name that a build is made from: a branch, or a tag or commit.

    Where it `exists`, its newest commit, as far as it is told (`title` is the first line of its
    message); else `similar` names of branches, the nearest first.
    """

    name: str
    exists: bool
    commit: str = ""
    title: str = ""
    similar: tuple[str, ...] = ()


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


class ScmProvider(Provider):
    @abstractmethod
    def repositories(self) -> list[Option]: ...

    @abstractmethod
    def branch(self, name: str, *, within: float) -> Branch:
        """Look for a branch (or a tag), within so many seconds for all calls together.

        Answers that it does not exist only where that is sure; raises ProviderError where it is
        not.
        """


class CiProvider(Provider):
    """A CI server. Correlation: the build carries our own id, so a lost answer is found again."""

    log_path: ClassVar[str] = ""  # below a build's address: where a person reads its log

    @staticmethod
    @abstractmethod
    def job_name(values: Mapping[str, Any]) -> str:
        """The job that a form's values name, as people read it; "" where they name none."""

    @abstractmethod
    def jobs(self) -> list[Option]: ...

    @abstractmethod
    def trigger(self, *, build_id: str, parameters: Mapping[str, str]) -> BuildState:
        """Start one build. Returns QUEUED with its queue id (or already its number)."""

    @abstractmethod
    def find(
        self, *, build_id: str, parameters: Mapping[str, str], since: datetime
    ) -> BuildState | None:
        """Look for a build whose trigger's answer was lost; None when it is surely not there.

        Raises ProviderError(code="cannot_correlate", REFUSED) where the job does not carry our id.
        """

    @abstractmethod
    def read(
        self,
        *,
        queue_id: int | None,
        number: int | None,
        build_id: str,
        since: datetime | None = None,
    ) -> BuildState | None:
        """The truth about one build. None where the job answers and does not have it (any more).

        By `number` it is whatever build has that number: `carried_id`, `queue_id` and `started_at`
        tell whether it is the one that was meant. Raises ProviderError("job_unreadable") where the
        job itself cannot be read: nothing is known of the build then.
        """

    @abstractmethod
    def cancel(self, *, queue_id: int | None, number: int | None) -> None:
        """Stop it, queued or running. No error if it already ended."""

    @abstractmethod
    def log_tail(self, *, number: int) -> LogTail:
        """The last part of a build's log, however long the log is.

        Raises ProviderError(code="log_gone", REFUSED) where the server has none (any more).
        """

    @abstractmethod
    def find_all(self, *, build_id: str, since: datetime) -> list[BuildState]:
        """Everything that carries our id, queued or built since then: ours and what repeats it."""

    @abstractmethod
    def retries(self, *, number: int, build_id: str, since: datetime) -> list[Retry]:
        """What was started again on the server from build `number`, which was given our id."""

    @abstractmethod
    def stop_duplicate(
        self, *, number: int | None, queue_id: int | None, build_id: str
    ) -> Duplicate:
        """Stop what carries our id, if it waits or runs and nobody but us can have started it."""

    @abstractmethod
    def duplicate(
        self, *, number: int | None, queue_id: int | None, build_id: str
    ) -> Duplicate | None:
        """What became of it; None while it is there to be stopped. Changes nothing."""


class StoreProvider(Provider):
    platform: ClassVar[str]  # IOS or ANDROID


class ChatProvider(Provider):
    @staticmethod
    @abstractmethod
    def escape(text: str) -> str:
        """Text from outside as plain characters: no mention, link or broadcast comes out of it."""

    @staticmethod
    @abstractmethod
    def blocks(text: str, detail: str) -> Sequence[Mapping[str, Any]]:
        """The rich form of a message; `detail` is the smaller print below it, or empty."""

    @abstractmethod
    def channels(self) -> list[Option]: ...

    @abstractmethod
    def post(self, *, channel: str, message: Message, correlation: str) -> PostedMessage: ...

    @abstractmethod
    def find(
        self, *, channel: str, correlation: str, since: datetime, thread: str = ""
    ) -> PostedMessage | None:
        """Look for a message (in a thread, if given) whose answer was lost.

        Raises ProviderError(code="cannot_correlate") where the token may not read history.
        """


@dataclass(frozen=True, kw_only=True)
class Epic:
    summary: str
    description: str = ""
    labels: Sequence[str] = field(default_factory=tuple)


class TicketProvider(Provider):
    @staticmethod
    def page_of(url: str, *, server_url: str, options: Mapping[str, Any]) -> str:
        """The page of a ticket whose address was stored, for a person; "" where none is known."""
        return url

    @abstractmethod
    def projects(self) -> list[Option]: ...

    @abstractmethod
    def create_epic(self, *, epic: Epic, correlation: str) -> Ticket: ...

    @abstractmethod
    def find_epic(self, *, correlation: str) -> Ticket | None: ...
