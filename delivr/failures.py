"""How a call to somebody else's system failed, in words for a person and a verdict for us."""

import enum


class Outcome(enum.Enum):
    """What a failed call says about the world: this alone decides what happens next."""

    NOT_SENT = "not_sent"  # no byte reached the other side: sending again is safe
    REFUSED = "refused"  # understood and declined; sending the same again is pointless
    CREDENTIALS = "credentials"  # 401 or 403: nothing works until somebody mends the connection
    RATE_LIMITED = "rate_limited"  # declined for now; `retry_after` says for how long
    UNCERTAIN = "uncertain"  # it may have happened: look before sending again


class ProviderError(Exception):
    """A failure in words for a person: what happened (`message`) and what to do (`hint`).

    `code` is a stable snake_case word for machines. Raise it `from None`: the cause may carry
    headers or bodies with secrets in them.
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

    @property
    def is_passing(self) -> bool:
        """True where waiting may mend it (time-out, 5xx, 429, unreachable)."""
        return self.outcome in (Outcome.NOT_SENT, Outcome.UNCERTAIN, Outcome.RATE_LIMITED)


class Conflict(Exception):
    """What was asked for contradicts the state of things: 409 with a stable `code`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
