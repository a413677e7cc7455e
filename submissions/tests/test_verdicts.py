"""What a figure proves, and what it does not."""

from __future__ import annotations

from math import comb

import pytest

from submissions.health.verdicts import Verdict, judge, wilson


def sessions(percent: float, sample: int, threshold: float = 99.0, min_sample: int = 1) -> Verdict:
    return judge("crash_free_sessions", percent, sample, threshold=threshold, min_sample=min_sample)


def test_the_bounds_are_those_of_the_book() -> None:
    """Newcombe 1998, Statistics in Medicine 17, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29."""
    for hits, sample, low, high in (
        (81, 263, 25.53, 36.62),
        (15, 148, 6.24, 16.05),
        (0, 20, 0.0, 16.11),
        (1, 29, 0.61, 17.18),
    ):
        assert wilson(100 * hits / sample, sample) == pytest.approx((low, high), abs=0.006)


@pytest.mark.parametrize(
    ("percent", "sample", "verdict"),
    [
        (99.0, 100, Verdict.UNKNOWN),  # one crash of a hundred says nothing
        (98.0, 100, Verdict.UNKNOWN),
        (90.0, 100, Verdict.BAD),
        (98.5, 10_000, Verdict.BAD),
        (99.5, 10_000, Verdict.GOOD),
        (100.0, 100, Verdict.UNKNOWN),  # nor do a hundred without any
        (100.0, 1_000, Verdict.GOOD),
        (0.0, 50, Verdict.BAD),
        (0.0, 0, Verdict.UNKNOWN),
        (100.0, 0, Verdict.UNKNOWN),
    ],
)
def test_a_verdict_needs_enough_data(percent: float, sample: int, verdict: Verdict) -> None:
    assert sessions(percent, sample) is verdict


def test_the_least_sample_holds_in_both_directions() -> None:
    assert sessions(50.0, 99, min_sample=100) is Verdict.UNKNOWN
    assert sessions(50.0, 100, min_sample=100) is Verdict.BAD
    assert sessions(100.0, 9_999, min_sample=10_000) is Verdict.UNKNOWN


def test_of_errors_fewer_are_better() -> None:
    def users(percent: float) -> Verdict:
        return judge("anr_rate", percent, 20_000, threshold=0.47, min_sample=1)

    assert [users(rate) for rate in (0.2, 0.47, 0.9)] == ["GOOD", "UNKNOWN", "BAD"]


@pytest.mark.parametrize("sample", [100, 400])
def test_an_app_that_keeps_the_limit_is_rarely_called_bad(sample: int) -> None:
    """The exact chance that a crash-free rate of just 99 % looks BAD once: Wilson's bounds hold
    their 2.5 % on average, and in the worst case of a small sample this."""
    chance = sum(
        comb(sample, crashes) * 0.01**crashes * 0.99 ** (sample - crashes)
        for crashes in range(sample + 1)
        if sessions(100 * (sample - crashes) / sample, sample) is Verdict.BAD
    )
    assert 0 < chance < 0.08
