"""How a call to another system failed: a message for a person and an outcome for the program."""

import enum
from typing import Self


class Outcome(enum.Enum):
    """What is known after a failed call; this alone decides what happens next."""

    NOT_SENT = "not_sent"  # no byte reached the other side: sending again is safe
    REFUSED = "refused"  # understood and declined: sending the same again is pointless
    CREDENTIALS = "credentials"  # 401 or 403: nothing works until a person fixes the connection
    RATE_LIMITED = "rate_limited"  # declined for now; `retry_after` says for how many seconds
    NOT_YET = "not_yet"  # it works, but lacks something that is on its way: ask again later
    UNCERTAIN = "uncertain"  # it may have happened: look before sending again


class ProviderError(Exception):
    """A failure in words for a person: what happened (`message`) and what to do (`hint`).

    `code` is a stable snake_case word for programs. Raise it `from None`: the cause may contain
    headers or bodies with secrets.
    """

    def __init__(
        self,
        code: str,
        message: str,
        hint: str = "",
        *,
        outcome: Outcome,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.outcome = outcome
        self.retry_after = retry_after

    @classmethod
    def refused(cls, code: str, message: str, hint: str = "") -> Self:
        return cls(code, message, hint, outcome=Outcome.REFUSED)

    @property
    def is_temporary(self) -> bool:
        """True if waiting may help (time-out, 5xx, 429, unreachable)."""
        return self.outcome in (Outcome.NOT_SENT, Outcome.UNCERTAIN, Outcome.RATE_LIMITED)


class Conflict(Exception):
    """The request conflicts with the current state: 409 with a stable `code`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
