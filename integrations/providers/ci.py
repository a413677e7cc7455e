"""The interface to a CI server, and what such a server reports about builds."""

from __future__ import annotations

import enum
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

from delivr.outbound import Download

from .base import Option, Provider, ProviderError

# The parameters that delivr sets by itself, in any case of their letters.
OURS = ("VERSION", "BRANCH", "DELIVR_BUILD_ID")


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
        """True if it is already a build, not only an item in the queue."""
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
    DELIVR_BUILD_ID; the other fields are for servers that take these values outside of them.
    `commit` is the branch's newest one as far as it is known, else ""."""

    build_id: str
    version: str
    branch: str
    platform: str  # IOS or ANDROID
    parameters: Mapping[str, str]
    commit: str = ""


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A parameter of a build. `choices` are the values that it takes; empty: any value."""

    name: str
    kind: str = ""  # the server's own name of its type
    default: str = ""
    choices: Sequence[str] = ()
    description: str = ""
    is_required: bool = False


@dataclass(frozen=True)
class Artifact:
    """A file that a build kept. `url` is where a person opens it, signed in to the CI server; never
    a URL that expires or contains a credential. If `key` is set, `CiProvider.artifact_address`
    returns such a URL. `size` in bytes; `digest` as `sha256:…`."""

    name: str
    url: str
    key: str = ""
    size: int | None = None
    digest: str = ""
    expires_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class BuildState(BuildHandle):
    """The current state of one build on the CI server (`number` is None while it waits in the
    queue).

    `carried_id` is the delivr build id that the build was given, and `version` the version that it
    was told to build; "" if it has none. `queue_reason` says why it is QUEUED or WAITING, or
    explains its end if the status is not enough. `artifacts` are sorted, the app first;
    `artifact_url` is the first one's.
    """

    status: BuildStatus  # QUEUED, WAITING, RUNNING, LOST, SUCCESS, FAILURE, UNSTABLE or ABORTED
    url: str = ""
    queue_reason: str = ""
    started_at: datetime | None = None
    duration_ms: int | None = None
    estimated_ms: int | None = None
    artifacts: Sequence[Artifact] = ()
    commit: str = ""  # that was built, in full; "" where the server does not tell
    branch: str = ""  # that was built, without its remote; likewise
    started_by: str = ""  # the name that the server shows; likewise
    carried_id: str = ""
    version: str = ""
    is_shared: bool = False  # merged into an identical item, possibly someone else's

    @property
    def artifact_url(self) -> str:
        return self.artifacts[0].url if self.artifacts else ""


@dataclass(frozen=True, kw_only=True)
class LogTail:
    """The end of a build's log, as it came: whole lines. `is_final`: nothing more will follow.
    `headlines` are what the server itself says of the failure, to be shown before the log's lines.
    """

    text: str
    is_final: bool
    headlines: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Retry:
    """A build that someone started on the CI server by retrying one of ours.

    `started_by` is the name that the CI server shows; it and `commit` are "" if unknown.
    """

    state: BuildState
    started_by: str = ""
    commit: str = ""


class Duplicate(enum.StrEnum):
    """What became of a second build that carries our id."""

    STOPPED = "STOPPED"  # or taken out of the queue
    ENDED = "ENDED"  # before it could be stopped
    FOREIGN = "FOREIGN"  # someone else started it: it was left alone
    GONE = "GONE"  # the server does not know it, or no longer does


@dataclass(frozen=True, kw_only=True)
class BuildReport(BuildHandle):
    """What a webhook claims, in our terms. `status` is None if it is not about a build; `note` says
    why, in a sentence."""

    status: BuildStatus | None
    build_id: str = ""  # our own bld_... or tst_..., if the sender echoes it
    url: str = ""
    job_path: str = ""  # of the job in the URL, "" if it names none
    branch: str = ""  # that it builds, "" if it names none
    artifact_url: str = ""
    phase: str = ""
    at: datetime | None = None
    note: str = ""
    asks: bool = False  # it names a build without a status: poll the CI server
    is_of_run: bool = False  # it names a run, whichever of its attempts it means


Parser = Callable[[bytes, str], BuildReport]


class CiProvider(Provider):
    """A CI server. Methods with a default here are optional: not every server can do them.

    A build carries our own id if the server takes one. By it a build is found again after a lost
    response, and a duplicate is noticed.
    """

    # Parsers to use instead of `Webhooks.parse` for pipelines of this kind, by sender: for webhooks
    # that mean more to this CI server than to others.
    parsers: ClassVar[Mapping[str, Parser]] = {}
    references: ClassVar[Mapping[str, str]] = {"scm": "scm", "target": "targets"}
    sender: ClassVar[str]  # in the address of its webhooks: one of `registry.WEBHOOKS`
    scm_kinds: ClassVar[Sequence[str]] = ()  # whose repositories it can build; empty: all
    can_cancel: ClassVar[bool] = True
    has_log: ClassVar[bool] = True
    lists_builds: ClassVar[bool] = True  # `builds_of` is more than an empty list
    has_downloads: ClassVar[bool] = False  # its artifacts need the connection's credentials
    # How long after `cancel` a build that still goes on may be ended with `force_cancel`; None: the
    # server has no such thing.
    force_cancel_after: ClassVar[timedelta | None] = None

    @classmethod
    def home_of(cls, connection: Any) -> str | None:
        """The address of its pages: a build's URL elsewhere is not shown. None: they may be
        anywhere."""
        return str(connection.server_url)

    @classmethod
    def report_timeout(cls, connection: Any) -> timedelta | None:
        """For a server that cannot be polled: its reports are trusted, and a build without one for
        this long is lost. None: it is polled with `read`."""
        return None

    @classmethod
    def counts_as(cls, connection: Any, status: BuildStatus) -> BuildStatus:
        """What the pipeline makes of a status that the server reports."""
        return status

    @classmethod
    def job_of_branch(cls, connection: Any, branch: str) -> str:
        """The job that builds this branch, where the server has one for each. Raises ValueError,
        with a sentence, where none can."""
        return str(connection.job)

    @classmethod
    def job_of_report(cls, connection: Any, reported: str) -> str:
        """The pipeline's job to which a report about the job `reported` belongs, if to any."""
        return str(connection.job)

    @staticmethod
    @abstractmethod
    def job_name(values: Mapping[str, Any]) -> str:
        """The job that a form's values name, as people read it; "" where they name none."""

    @staticmethod
    def is_retry(handle: BuildHandle, *, of: BuildHandle) -> bool:
        """True for another attempt of the same run: a person wanted it, so it is not a
        duplicate."""
        return False

    @staticmethod
    def log_page(build_url: str) -> str:
        """The page with the log of the build at this URL; "" if there is none."""
        return build_url

    @staticmethod
    def answer_page(build_url: str) -> str:
        """Where a person answers what the build at this URL waits for."""
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
        """Search for a build after a lost response to its trigger; None if it is not there (yet).

        Raises ProviderError(code="cannot_correlate", REFUSED) if builds do not carry our id.
        """
        raise ProviderError.refused(
            "cannot_correlate",
            f"{self.label} does not return delivr's build ID, so its builds cannot be told apart.",
            f"Check in {self.label} whether the build started, then adopt it or retry.",
        )

    def check_absent(self, request: BuildRequest, *, since: datetime) -> None:
        """`find` found nothing although the build had time to appear, and it is to be triggered
        again.

        Raises ProviderError(code="cannot_correlate", REFUSED) if `find` may have missed it.
        """

    @abstractmethod
    def read(
        self, handle: BuildHandle, *, build_id: str, since: datetime | None = None
    ) -> BuildState | None:
        """The current state of one build; None if the job can be read and has no such build.

        With a number alone, it is the build that has that number now: the caller compares
        `carried_id`, the rest of its handle and `started_at`. Without a handle, it is the build
        with our id. Raises ProviderError("job_unreadable") if the job itself cannot be read.
        """

    def cancel(self, handle: BuildHandle) -> None:
        """Stop it, queued or running. No error if it already ended. Not called if `can_cancel` is
        False."""
        raise NotImplementedError

    def artifact(self, handle: BuildHandle, url: str) -> Download:
        """Open an artifact that a build listed, with the connection's credentials; the caller
        closes it. Not called if `has_downloads` is False."""
        raise NotImplementedError

    def force_cancel(self, handle: BuildHandle) -> None:
        """End it without regard to what its steps would still do."""
        raise NotImplementedError

    def artifact_address(self, key: str) -> str:
        """An address from which a file can be downloaded for a moment, without signing in. Raises
        ProviderError(REFUSED) if the file no longer exists."""
        raise NotImplementedError

    def log_tail(self, handle: BuildHandle) -> LogTail:
        """The last part of a build's log, however long the log is. Not called if `has_log` is
        False.

        Raises ProviderError(code="log_gone", REFUSED) if the server has no log, or no longer has
        it.
        """
        raise NotImplementedError

    def find_all(self, *, build_id: str, since: datetime) -> list[BuildState]:
        """All queue items and builds with our id since then: the build and its duplicates."""
        return []

    def retries(self, handle: BuildHandle, *, build_id: str, since: datetime) -> list[Retry]:
        """Builds, or further attempts of the same run, that were started on the server from this
        build, which has our id."""
        return []

    def builds_of(self, branch: str, *, since: datetime) -> list[BuildState]:
        """Builds that were started since then, whoever started them, the newest first: those of the
        branch, and those whose branch the server does not tell. `branch` is a `short_branch`."""
        return []

    def stop_duplicate(self, handle: BuildHandle, *, build_id: str) -> Duplicate:
        """Stop a duplicate that waits or runs, if only we can have started it."""
        return Duplicate.FOREIGN

    def duplicate(self, handle: BuildHandle, *, build_id: str) -> Duplicate | None:
        """The state of a duplicate; None while it can still be stopped. Changes nothing."""
        return Duplicate.FOREIGN
