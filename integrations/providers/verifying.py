"""Trying the parts of a connection in order, and saying of each how it went."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .base import Check, Level, ProviderError

Step = Callable[[], Iterable[Check]]


def try_in_order(steps: Iterable[tuple[str, Step]]) -> list[Check]:
    """Run `(name, step)` pairs until one fails: what stands behind it would fail for its sake.

    A step answers its checks, none meaning that all went well, or raises `ProviderError`. Its
    exception becomes the check of that name. Warnings do not stop the rest.
    """
    checks: list[Check] = []
    for name, step in steps:
        try:
            found = list(step()) or [Check(name=name, ok=True)]
        except ProviderError as error:
            found = [Check.from_error(name, error)]
        checks += found
        if any(is_fatal(check) for check in found):
            break
    return checks


def is_fatal(check: Check) -> bool:
    return not check.ok and check.level is Level.ERROR
