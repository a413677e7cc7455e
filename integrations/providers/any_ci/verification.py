"""What can be found out about a receiver without starting a build."""

from __future__ import annotations

from collections.abc import Callable

from ..base import Check, Outcome, ProviderError
from ..ci import BuildState
from .client import ReceiverClient

NO_BUILD = "bld_verification"  # the id of no build


class Verification:
    def __init__(
        self,
        client: ReceiverClient,
        *,
        trigger_url: str,
        has_status: bool,
        keeps_headers: bool,
        ask: Callable[[str], BuildState | None],
    ) -> None:
        self._client = client
        self._trigger_url = trigger_url
        self._has_status = has_status
        self._keeps_headers = keeps_headers
        self._ask = ask

    def address(self) -> list[Check]:
        self._client.connect(self._trigger_url)
        return []

    def credentials(self) -> list[Check]:
        return [
            Check.untested(
                "credentials",
                "Nothing was sent, because a trigger would start a build. Start a test build to "
                "see whether the receiver accepts them.",
            )
        ]

    def status(self) -> list[Check]:
        """A build that does not exist has to be answered with 404: delivr sends a trigger again
        where it is told so."""
        if not self._has_status:
            return [_without_status()]
        try:
            found = self._ask(NO_BUILD)
        except ProviderError as error:
            if error.outcome is not Outcome.CREDENTIALS:
                raise
            return [_refused(error)]
        if found is not None:
            raise ProviderError.refused(
                "status_of_nothing",
                "The status address reports a build that does not exist.",
                "It has to answer 404 for a build id that it was never sent.",
            )
        return [_headers_stay()] if self._keeps_headers else []


def _without_status() -> Check:
    return Check.warning(
        "status",
        "no_status_url",
        "There is none, so delivr knows only what is reported.",
        "With one, builds are also found after a lost response or report. Without it, a trigger "
        "whose response is lost waits for a person, and a build without reports ends as lost.",
    )


def _refused(error: ProviderError) -> Check:
    """The secret of a new pipeline is shown after its verification, so a receiver cannot know it
    yet."""
    return Check.warning(
        "status",
        error.code,
        "The status address refused the signature or the headers.",
        "Give the pipeline's webhook secret to the receiver, then verify again.",
    )


def _headers_stay() -> Check:
    return Check.warning(
        "status",
        "headers_stay",
        "It is on a different server than the trigger address, so the headers are not sent there.",
        "If it needs them, put both addresses on one server. Requests to both are signed.",
    )
