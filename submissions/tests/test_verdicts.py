"""What a figure proves, and what it does not."""

from __future__ import annotations

from math import comb

import pytest

from submissions.health.verdicts import (
    Share,
    Verdict,
    difference,
    judge,
    judge_against,
    wilson,
)


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


def test_the_bounds_of_a_difference_are_those_of_the_book() -> None:
    """Newcombe 1998, Statistics in Medicine 17, table II, method 10: 56 of 70 and 48 of 80, 9 of 10
    and 3 of 10, 6 of 7 and 2 of 7, 5 of 56 and 0 of 29."""
    for hits, sample, hits_before, before, low, high in (
        (56, 70, 48, 80, 5.24, 33.39),
        (9, 10, 3, 10, 17.05, 80.90),
        (6, 7, 2, 7, 5.82, 80.62),
        (5, 56, 0, 29, -3.81, 19.26),
    ):
        shares = Share(100 * hits / sample, sample), Share(100 * hits_before / before, before)
        assert difference(*shares) == pytest.approx((low, high), abs=0.006)


@pytest.mark.parametrize(
    ("now", "before", "verdict"),
    [
        (Share(98.0, 20_000), Share(99.5, 20_000), Verdict.BAD),
        (Share(99.4, 20_000), Share(99.5, 20_000), Verdict.GOOD),
        (Share(99.9, 20_000), Share(95.0, 20_000), Verdict.GOOD),
        (Share(99.0, 20_000), Share(99.5, 20_000), Verdict.UNKNOWN),  # just the margin
        (Share(98.0, 20_000), Share(99.5, 200), Verdict.UNKNOWN),  # little was known before
        (Share(98.0, 99), Share(99.5, 20_000), Verdict.UNKNOWN),
        (Share(50.0, 20_000), Share(99.5, 99), Verdict.UNKNOWN),  # the least sample of both
        (Share(50.0, 20_000), Share(99.5, 0), Verdict.UNKNOWN),
    ],
)
def test_worse_than_before_has_to_be_certain(now: Share, before: Share, verdict: Verdict) -> None:
    found = judge_against("crash_free_sessions", now, before, margin=0.5, min_sample=100)
    assert found is verdict


def test_of_errors_more_are_worse_than_before() -> None:
    def users(now: float) -> Verdict:
        shares = Share(now, 20_000), Share(0.3, 20_000)
        return judge_against("anr_rate", *shares, margin=0.2, min_sample=100)

    assert [users(rate) for rate in (0.3, 0.5, 0.9)] == ["GOOD", "UNKNOWN", "BAD"]
