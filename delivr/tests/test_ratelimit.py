"""Counting is exact even with many simultaneous requests."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from delivr.models import RateCounter
from delivr.security import ratelimit
from delivr.security.ratelimit import forget, hit, wait


@pytest.mark.django_db
def test_above_the_limit_one_waits_for_the_end_of_the_window() -> None:
    assert [hit("a", limit=2, window=60) for _ in range(4)] == [None, None, 60, 60]
    assert RateCounter.objects.get().hits == 2


@pytest.mark.django_db
def test_keys_are_counted_separately() -> None:
    assert hit("a", limit=1, window=60) is None
    assert hit("b", limit=1, window=60) is None
    assert hit("a", limit=1, window=60)


@pytest.mark.django_db
def test_a_new_window_begins_when_the_old_one_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(ratelimit.time, "time", lambda: now[0])
    assert hit("a", limit=1, window=60) is None
    now[0] += 59.5
    assert hit("a", limit=1, window=60) == 1
    now[0] += 0.5
    assert wait("a", limit=1) is None
    assert [hit("a", limit=1, window=60) for _ in range(2)] == [None, 60]


@pytest.mark.django_db
def test_asking_counts_nothing() -> None:
    assert wait("a", limit=1) is None
    hit("a", limit=1, window=60)
    assert wait("a", limit=1) == 60
    assert wait("a", limit=2) is None


@pytest.mark.django_db
def test_a_reset_counter_starts_again() -> None:
    hit("a", limit=1, window=60)
    forget("a")
    assert hit("a", limit=1, window=60) is None


@pytest.mark.django_db
def test_the_row_contains_only_a_hash() -> None:
    hit("ada@example.com", limit=1, window=60)
    assert "ada" not in RateCounter.objects.get().key


@pytest.mark.django_db
def test_a_hit_costs_one_statement_and_a_refusal_two(django_assert_num_queries: Any) -> None:
    for statements in (1, 1, 2, 2):
        with django_assert_num_queries(statements):
            hit("a", limit=2, window=60)


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_concurrent_hits_get_exactly_the_limit() -> None:
    def ask(_number: int) -> bool:
        try:
            return hit("a", limit=25, window=60) is None
        finally:
            connection.close()

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(ask, range(200))) == 25
