"""Suggestions for the next version."""

from __future__ import annotations

from datetime import date

import pytest

from releases.versions import newest_of, step_to, suggestions

TODAY = date(2026, 11, 25)


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ([], ["1.0.0"]),
        (["1.5.0"], ["1.6.0", "1.5.1", "2.0.0"]),
        (["v1.5.0"], ["v1.6.0", "v1.5.1", "v2.0.0"]),
        (["1.5"], ["1.6", "1.5.1", "2.0"]),
        # The newest is a hotfix of an old minor version; the next minor follows the highest.
        (["1.4.7", "1.5.0", "1.4.6"], ["1.6.0", "1.4.8", "2.0.0"]),
        (["1.10.0", "1.9.0"], ["1.11.0", "1.10.1", "2.0.0"]),
        (["1.5.0", "1.6.0-rc.1", "1.6.0"], ["1.7.0", "1.5.1", "2.0.0"]),
        (["2026.11.2"], ["2026.11.3"]),
        (["2026.10.4"], ["2026.11.1"]),
        (["2026.10.0"], ["2026.11.0"]),
        (["2025.12.1"], ["2026.11.1"]),
        (["26.9"], ["26.11", "26.11.1"]),
        (["26.11"], ["26.11.1"]),
        (["2026.09.1"], ["2026.11.1"]),
        (["13.2.0"], ["13.3.0", "13.2.1", "14.0.0"]),
        (["autumn"], []),
    ],
)
def test_what_comes_next(known: list[str], expected: list[str]) -> None:
    assert suggestions(known, today=TODAY) == expected


def test_month_keeps_its_leading_zero() -> None:
    assert suggestions(["2026.02.1"], today=date(2026, 3, 1)) == ["2026.03.1"]


def test_nothing_that_exists_is_suggested() -> None:
    known = ["1.5.0", "1.5.1", "1.6.0", "2.0.0"]
    assert not set(suggestions(known, today=TODAY)) & set(known)


@pytest.mark.parametrize(
    ("known", "words"),
    [
        (["1.5.0"], ["minor", "patch", "major"]),
        (["1.5"], ["minor", "patch", "major"]),
        (["1.4.7", "1.5.0", "1.4.6"], ["minor", "patch", "major"]),
        (["2026.11.2"], [""]),
        (["26.9"], ["", ""]),
        ([], [""]),
    ],
)
def test_each_suggestion_says_what_it_raises(known: list[str], words: list[str]) -> None:
    found = suggestions(known, today=TODAY)
    after = newest_of(known)
    assert [step_to(version, after=after, today=TODAY) for version in found] == words
