"""Retention takes a few rows at a time, and leaves alone what somebody holds."""

from __future__ import annotations

import threading

import pytest
from django.db import connection, transaction

from delivr import batches
from delivr.batches import in_batches
from delivr.models import CacheEntry, RateCounter
from delivr.postgres import Storage


def _counters(count: int) -> None:
    rows = (RateCounter(key=f"key{n}", hits=0, ends_at=0) for n in range(count))
    RateCounter.objects.bulk_create(rows)


@pytest.mark.django_db
@pytest.mark.parametrize("count", [0, 2, 3, 7])
def test_all_rows_go_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(batches, "BATCH", 3)
    _counters(count)
    sizes: list[int] = []

    def delete(rows: object) -> None:
        sizes.append(rows.delete()[0])  # type: ignore[attr-defined]

    in_batches(RateCounter.objects.filter(ends_at=0), delete)
    assert not RateCounter.objects.exists()
    assert sum(sizes) == count
    assert max(sizes, default=0) <= 3


@pytest.mark.on_postgresql
@pytest.mark.django_db(transaction=True)  # another connection has to see the rows
def test_a_row_that_somebody_holds_is_left_for_next_time() -> None:
    _counters(3)
    with transaction.atomic():
        RateCounter.objects.select_for_update().get(pk="key1")
        other = threading.Thread(target=_delete_all)
        other.start()
        other.join(timeout=20)
        assert not other.is_alive()
        assert [row.pk for row in RateCounter.objects.all()] == ["key1"]


def _delete_all() -> None:
    in_batches(RateCounter.objects.filter(ends_at=0), lambda rows: rows.delete())
    connection.close()


@pytest.mark.on_postgresql
@pytest.mark.django_db
@pytest.mark.skipif(connection.vendor != "postgresql", reason="only PostgreSQL has them")
def test_storage_parameters_are_set_and_taken_away() -> None:
    def options() -> list[str]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT reloptions FROM pg_class WHERE relname = 'cache_entries'")
            return list(cursor.fetchone()[0] or [])

    operation = Storage("cacheentry", fillfactor=70)
    for statement in operation.forwards(CacheEntry):
        connection.cursor().execute(statement)
    assert options() == ["fillfactor=70"]
    for statement in operation.backwards(CacheEntry):
        connection.cursor().execute(statement)
    assert options() == []
