"""The interface to the store of a target: what stands in the way of a submission, the steps that
make one, what the store says of it, and what can be done with it afterwards.

The stores differ in almost everything, so the rest of delivr knows only these words. A submission
consists of *steps*, which a provider lists by name. Each of them changes one thing in the store, is
carried out by an effect of its own, and can be found there again by its natural key, so that it is
not done twice after a lost response. An *act* (pause, halt, …) is a step that a person or a rule
asks for later.
"""

from __future__ import annotations

import enum
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from .base import Check, Outcome, Provider, ProviderError

if TYPE_CHECKING:
    from delivr.outbound import Download

UPLOAD = "upload"  # the step that first uploads a file of the build, where a person asked for it


class SubmissionState(enum.StrEnum):
    DRAFT = "DRAFT"  # being prepared: the store does not review it yet
    WAITING_FOR_REVIEW = "WAITING_FOR_REVIEW"
    IN_REVIEW = "IN_REVIEW"
    REJECTED = "REJECTED"
    APPROVED = "APPROVED"  # and not published yet
    ROLLING_OUT = "ROLLING_OUT"  # a part of the users has it
    PAUSED = "PAUSED"  # nobody new gets it by automatic update, for now
    HALTED = "HALTED"  # nobody new gets it at all
    LIVE = "LIVE"  # everybody can get it
    WITHDRAWN = "WITHDRAWN"
    REPLACED = "REPLACED"  # by a newer release
    NEEDS_PERSON = "NEEDS_PERSON"  # someone must do something in the store's console
    FAILED = "FAILED"  # a step failed for good


# All users can get it, or could until a newer release replaced it.
IS_PUBLIC = frozenset({SubmissionState.LIVE, SubmissionState.REPLACED})
# At least some users have it.
HAS_USERS = IS_PUBLIC | {
    SubmissionState.ROLLING_OUT,
    SubmissionState.PAUSED,
    SubmissionState.HALTED,
}


class Act(enum.StrEnum):
    WITHDRAW = "withdraw"
    PUBLISH = "publish"
    ADVANCE = "advance"  # to the next share of the users
    PAUSE = "pause"
    RESUME = "resume"
    HALT = "halt"
    COMPLETE = "complete"  # to all users
    EXPIRE = "expire"  # another build, in whose way this one's beta review has to wait


class ReleaseType(enum.StrEnum):
    """When the store publishes what it approved."""

    MANUAL = "MANUAL"
    AFTER_APPROVAL = "AFTER_APPROVAL"
    SCHEDULED = "SCHEDULED"


@dataclass(frozen=True, kw_only=True)
class SubmissionPlan:
    """What is to be submitted, and what earlier steps found (`references`: ids in the store by
    names that only the provider knows).

    `build` is the number by which the store knows the build: the build number on iOS, the version
    code on Android. `shares` are the percentages of a staged roll-out in order; `share` is the one
    that is wanted now, None for all users. An empty `track` is the store's default; empty `notes`
    keep what the store has. `uses_encryption` is what a person declared; None if nobody was asked.
    `file` is the name of a file of the build that is to be uploaded, unless the store has it.
    """

    version: str
    build: str
    track: str = ""
    groups: Sequence[str] = ()
    release_type: ReleaseType = ReleaseType.MANUAL
    release_at: datetime | None = None
    phased: bool = False
    shares: Sequence[float] = ()
    share: float | None = None
    notes: Mapping[str, str] = field(default_factory=dict)  # by locale
    uses_encryption: bool | None = None
    references: Mapping[str, str] = field(default_factory=dict)
    file: str = ""
    other_build: str = ""  # what the act EXPIRE is about


@dataclass(frozen=True, kw_only=True)
class BuildFile:
    """A file of a build on its CI server.

    `open` opens it (network); the caller closes it. `may_go_on` is asked before each piece is
    passed on, and False if that has to end now, because of something more urgent.
    """

    name: str
    open: Callable[[], Download]
    may_go_on: Callable[[], bool]


@dataclass(frozen=True, kw_only=True)
class StoreState:
    """What the store says of a submission.

    `word` is the store's own term, `percent` the share of users that has it or may get it (None if
    the store does not tell), `day` the day of a phased release. `build` is what is attached to it,
    if the store tells; `by` is who changed it last. `message` and `hint` say what a person must do.
    """

    state: SubmissionState
    word: str
    percent: float | None = None
    day: int | None = None
    next_step_at: datetime | None = None
    build: str = ""
    by: str = ""
    is_ours: bool = True  # False: `by` is another key or a person
    message: str = ""
    hint: str = ""
    url: str = ""
    references: Mapping[str, str] = field(default_factory=dict)


class StepRefused(ProviderError):
    """The store declined a step. `checks` has each of its reasons, as `preflight` reports them; the
    message contains them all."""

    def __init__(self, code: str, message: str, hint: str = "", *, checks: Sequence[Check]) -> None:
        super().__init__(code, message, hint, outcome=Outcome.REFUSED)
        self.checks = checks


# The code of a check whose `subject` is another build that is in the way of this one's beta review.
ANOTHER_IN_REVIEW = "another_build_in_review"


class StepHeldUp(ProviderError):
    """A step has to wait for something that a person can clear away: `checks` say what."""

    def __init__(self, error: ProviderError, *, checks: Sequence[Check]) -> None:
        super().__init__(
            error.code,
            error.message,
            error.hint,
            outcome=error.outcome,
            retry_after=error.retry_after,
        )
        self.checks = checks


class StoreProvider(Provider):
    platform: ClassVar[str]  # IOS or ANDROID
    console: ClassVar[str]  # what the vendor calls the site where people manage the app
    preflight_names: ClassVar[Mapping[str, Any]] = {}  # what each of its checks tries, for people
    step_names: ClassVar[Mapping[str, Any]] = {}  # what each of its steps does, for people
    tracks: ClassVar[Sequence[str]] = ()  # that can be submitted to, the default first
    picks_shares: ClassVar[bool] = False  # a person chooses the shares of a staged roll-out
    # The step after which testers are told of the build, and the name of the one that does it.
    tells_testers: ClassVar[tuple[str, str] | None] = None
    fixed_shares: ClassVar[Sequence[float]] = ()  # otherwise: the store's own, one a day
    stops_by: ClassVar[Act] = Act.HALT  # PAUSE where nothing stops it any further
    notes_limit: ClassVar[int]  # characters of what is new, for each locale
    has_release_type: ClassVar[bool] = False
    asks_about_encryption: ClassVar[bool] = False
    has_groups: ClassVar[bool] = False  # of testers
    uploads: ClassVar[str] = ""  # how names of files end that can be uploaded, such as ".aab"
    # Where a person asks for a faster review; "" if the store has no such thing.
    expedite_page: ClassVar[str] = ""
    # Its word in the address to which the store sends notifications; "" if it sends none.
    notifies_as: ClassVar[str] = ""

    @staticmethod
    @abstractmethod
    def console_page(options: Mapping[str, Any]) -> str:
        """The URL of the app on that site, or of the list of apps if it is unknown; `options` are
        the connection's."""

    # The codes of errors of steps that may have ended when the store sends a notification.
    ends_with_news: ClassVar[Sequence[str]] = ()

    @staticmethod
    def is_signed_with(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether a notification of the store is signed with this secret."""
        return False

    @staticmethod
    def notified_of(body: bytes) -> str:
        """The store's word for the event that a signed notification is about; "" if there is none.
        Nothing else of a notification is believed: the store is asked."""
        return ""

    @property
    def lock_key(self) -> str:
        """What only one worker at a time may work on, across all connections; "" if the store needs
        no such lock. It contains no secret."""
        return ""

    @abstractmethod
    def preflight(self, plan: SubmissionPlan) -> Iterator[Check]:
        """Everything that stands in the way of this submission (network, reads only). All of it: a
        failed check does not end it, unless the rest depends on it.

        Each failed check has the `url` of the store's page on which it is mended. Never raises
        ProviderError: a failure is a Check.
        """

    @classmethod
    @abstractmethod
    def steps(cls, plan: SubmissionPlan) -> Sequence[str]:
        """The names of the steps that submit it, in order."""

    @abstractmethod
    def find_step(self, step: str, plan: SubmissionPlan) -> Mapping[str, str] | None:
        """The references of a step or act that was already done, by whomever; None if it was not
        (network, reads only). Raises ProviderError."""

    @abstractmethod
    def take_step(self, step: str, plan: SubmissionPlan) -> Mapping[str, str]:
        """Do it (network); returns its references. Raises ProviderError: NOT_YET while the store is
        not ready for it."""

    def upload(self, plan: SubmissionPlan, file: BuildFile) -> Mapping[str, str]:
        """The step UPLOAD (network): `take_step` for a build whose file the store may not have yet.
        It takes minutes. Not called if `uploads` is "". Raises ProviderError."""
        raise NotImplementedError

    @abstractmethod
    def read_submission(self, plan: SubmissionPlan) -> StoreState:
        """What the store says now (network). Raises ProviderError."""

    @classmethod
    @abstractmethod
    def refusal(cls, act: Act, plan: SubmissionPlan, state: StoreState) -> str:
        """Why the act is not possible in this state, in words with a way forward; "" if it is. Not
        asked about EXPIRE, which a check of the pre-flight makes possible."""

    @classmethod
    @abstractmethod
    def consequence(cls, act: Act, plan: SubmissionPlan, state: StoreState) -> str:
        """One sentence: what the act will do, and to whom; shown before it is confirmed."""
