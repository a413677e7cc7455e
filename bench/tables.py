"""Whether the busiest tables keep their size while their rows change all the time.

`python bench/tables.py [--seconds 180] [--defaults]`, with TEST_DATABASE_URL. Each round, an effect
is claimed, settled and made due again, and the rows of health and of rates are changed as a claim
and a webhook do. `--defaults` takes the product's storage parameters away, to compare.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench import webhook  # noqa: E402 # needs the path

EFFECTS = 5000
TABLES = ("effects", "integration_health", "rate_counters")
TURNS = (
    "UPDATE effects SET state = 'LEASED', lease_until = now() + interval '1 minute',"
    " lease_token = lease_token + 1 WHERE id = ANY(%(ids)s)",
    "UPDATE integration_health SET turns = jsonb_build_object('a', %(turn)s::int)"
    " WHERE integration_id LIKE %(last)s",
    "UPDATE rate_counters SET hits = hits + 1 WHERE key LIKE %(last)s",
    "UPDATE effects SET state = 'DONE', lease_until = NULL, done_at = now()"
    " WHERE id = ANY(%(ids)s)",
    "UPDATE effects SET state = 'PENDING', next_at = now(), done_at = NULL WHERE id = ANY(%(ids)s)",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--defaults", action="store_true")
    arguments = parser.parse_args()
    for line in measure(arguments.seconds, defaults=arguments.defaults):
        print(line)


def measure(seconds: float, *, defaults: bool = False) -> list[str]:
    with tempfile.TemporaryDirectory() as folder, webhook.database(False, folder) as url:
        webhook.environment(url, folder)
        webhook.migrate()
        ids = seed()
        import psycopg

        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
            for table in TABLES if defaults else ():
                connection.execute(
                    f"ALTER TABLE {table} RESET (fillfactor, autovacuum_vacuum_scale_factor,"
                    " autovacuum_vacuum_threshold, autovacuum_analyze_scale_factor)"
                )
                connection.execute(f"VACUUM FULL {table}")
            first = sizes(connection)
            half = churn(connection, ids, seconds / 2)
            middle = sizes(connection)
            rows = half + churn(connection, ids, seconds / 2)
            last = sizes(connection)
    lines = [f"{rows:,} changes of effects in {seconds:.0f} s; kB of table and of its indexes:"]
    return lines + [
        f"{table:<20} before {first[table]}, half way {middle[table]}, at the end {last[table]}"
        for table in TABLES
    ]


def seed() -> list[str]:
    from delivr.effects.models import Effect, IntegrationHealth
    from delivr.models import RateCounter
    from delivr.tests import factories

    tenant = factories.TenantFactory()
    rows = [factories.EffectFactory.build(tenant=tenant, kind="event.send") for _ in range(EFFECTS)]
    found = [row.pk for row in Effect.objects.bulk_create(rows)]
    IntegrationHealth.objects.bulk_create(
        IntegrationHealth(tenant=tenant, integration_id=f"connection{n}") for n in range(100)
    )
    RateCounter.objects.bulk_create(
        RateCounter(key=f"key{n}", hits=0, ends_at=0) for n in range(100)
    )
    return found


def churn(connection: Any, ids: list[str], seconds: float) -> int:
    """Change rows for so long; how many changes of effects."""
    ends_at, turn = time.monotonic() + seconds, 0
    while time.monotonic() < ends_at:
        turn += 1
        some = ids[turn * 10 % len(ids) :][:10]
        for statement in TURNS:
            connection.execute(statement, {"ids": some, "turn": turn, "last": f"%{turn % 10}"})
    return turn * 30


def sizes(connection: Any) -> dict[str, str]:
    sizes_of = "SELECT pg_table_size(%s::regclass) / 1024, pg_indexes_size(%s::regclass) / 1024"
    found = {table: connection.execute(sizes_of, [table, table]).fetchone() for table in TABLES}
    return {table: f"{rows:,} + {indexes:,}" for table, (rows, indexes) in found.items()}


if __name__ == "__main__":
    main()
