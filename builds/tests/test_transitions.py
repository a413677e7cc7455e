"""The state table of builds: every pair of status and update, written out independently."""

from __future__ import annotations

import pytest

from builds.updates.transitions import Transition, transition
from integrations.providers.ci import BuildStatus

UPDATES = ("QUEUED", "WAITING", "RUNNING", "SUCCESS", "FAILURE", "UNSTABLE", "ABORTED", "LOST")
LETTERS = {
    "g": Transition.APPLY,
    "f": Transition.FILL,
    "a": Transition.ASK,
    "-": Transition.IGNORE,
    "s": Transition.STOP,
}
# One line for each status of a build, with one letter for each of UPDATES, in their order.
EXPECTED = {
    "PENDING": "--------",
    "TRIGGERING": "ggggggg-",
    "QUEUED": "fggggggg",
    "WAITING": "afgggggg",
    "RUNNING": "-afggggg",
    "SUCCESS": "---faaa-",
    "FAILURE": "---af---",
    "UNSTABLE": "---a-f--",
    "ABORTED": "---a--f-",
    "TRIGGER_FAILED": "ggggggg-",
    "LOST": "ggggggg-",
    "CANCELLED": "-ss-----",
}
PAIRS = [
    (now, update, LETTERS[letter])
    for now, line in EXPECTED.items()
    for update, letter in zip(UPDATES, line, strict=True)
]


@pytest.mark.parametrize(("now", "update", "expected"), PAIRS)
def test_a_webhook_changes_a_build_as_the_table_says(
    now: str, update: str, expected: Transition
) -> None:
    assert transition(now, update, is_authoritative=False) is expected


@pytest.mark.parametrize(("now", "update", "expected"), PAIRS)
def test_an_authoritative_update_wins_where_a_webhook_would_poll(
    now: str, update: str, expected: Transition
) -> None:
    wins = Transition.APPLY if expected is Transition.ASK else expected
    assert transition(now, update, is_authoritative=True) is wins


def test_every_status_has_its_line() -> None:
    assert set(EXPECTED) == {status.value for status in BuildStatus}


@pytest.mark.parametrize("now", [s.value for s in BuildStatus])
@pytest.mark.parametrize("update", ["PENDING", "TRIGGERING", "TRIGGER_FAILED", "CANCELLED"])
def test_what_only_delivr_decides_is_never_applied(now: str, update: str) -> None:
    assert transition(now, update, is_authoritative=True) is Transition.IGNORE
