"""Runs the steps of a verification in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta

from .base import Check, Level, Outcome, ProviderError
from .http import guarded

Step = Callable[[], Iterable[Check]]
EXPIRES_SOON = timedelta(days=14)


def try_in_order(label: str, steps: Iterable[tuple[str, Step]]) -> Iterator[Check]:
    """Run `(name, step)` pairs until one fails, since the later ones depend on it. Yields each
    check as soon as its step has ended.

    A step returns its checks (none if it passed) or raises `ProviderError`, which becomes the check
    of that name. Warnings do not stop the rest.
    """
    for name, step in steps:
        found = _run(label, name, step)
        yield from found
        if any(is_fatal(check) for check in found):
            break


def is_fatal(check: Check) -> bool:
    return not check.ok and check.level is Level.ERROR


def _run(label: str, name: str, step: Step) -> list[Check]:
    try:
        return guarded(label, lambda: list(step())) or [Check(name=name, ok=True)]
    except ProviderError as error:
        return [Check.from_error(name, error)]


def first_contact(label: str, call: Callable[[], object]) -> list[Check]:
    """The checks `address` (the server is reached and is the right kind) and `credentials` (they
    are accepted).

    Both come from the same first request, but are fixed in different fields.
    """
    reached = Check(name="address", ok=True)
    try:
        guarded(label, call)
    except ProviderError as error:
        if error.outcome in (Outcome.CREDENTIALS, Outcome.RATE_LIMITED):
            return [reached, Check.from_error("credentials", error)]
        return [Check.from_error("address", error)]
    return [reached, Check(name="credentials", ok=True)]


def expiry_checks(expires: datetime | None, label: str) -> list[Check]:
    """A warning if an access token expires soon."""
    if expires is None or expires - datetime.now(UTC) > EXPIRES_SOON:
        return []
    return [
        Check.warning(
            "expiry",
            "expires_soon",
            f"The access token expires on {expires:%Y-%m-%d}.",
            f"Create a new one on {label} and enter it here before that day.",
        )
    ]
