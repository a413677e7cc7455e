"""Counts and stores a delivery with one statement, on a connection of its own.

Which is the counting of `ratelimit.hit` and the row of `deliveries.unsaved`, without Django's
transaction around them. Only on PostgreSQL: SQLite has no statements that write to two tables.
"""

from __future__ import annotations

import functools
import threading
import time
from datetime import UTC, datetime
from typing import Any

import psycopg
from django.conf import settings
from django.db import connection as djangos

from builds.models import WebhookDelivery
from builds.webhooks.authentication import TOLERANCE, Authentication
from builds.webhooks.deliveries import unsaved
from builds.webhooks.known import Known
from builds.webhooks.views import key_of
from delivr.api.receiving import MINUTE
from delivr.security.ratelimit import TAKE_ANOTHER_TURN, turn

# Nothing is counted or stored unless the pipeline is what it was when it was remembered, the
# signature is not too old, and the delivery is new.
_STORE = """
WITH moment AS MATERIALIZED (SELECT clock_timestamp() AS now),
pipeline AS MATERIALIZED (
    SELECT 1 FROM tenant_pipeline_integrations, moment
    WHERE id = %(pipeline_id)s AND tenant_id = %(tenant_id)s AND disconnected_at IS NULL
    AND revision = %(revision)s AND webhook_secret = %(ciphertext)b
    AND coalesce(abs(extract(epoch FROM now) - %(signed_at)s::bigint) <= %(tolerance)s, true)
    AND NOT EXISTS (
        SELECT 1 FROM webhook_deliveries
        WHERE pipeline_id = %(pipeline_id)s AND dedupe_key = %(dedupe_key)s
    )
),
turn AS ({turn} AND EXISTS (SELECT 1 FROM pipeline) RETURNING hits)
INSERT INTO webhook_deliveries ({columns}) SELECT {values} FROM moment, turn RETURNING id
"""
_EPOCH = datetime.fromtimestamp(0, UTC)  # stands for the database's clock
_AGE = 600  # seconds until a connection is opened anew, if CONN_MAX_AGE says nothing
_own = threading.local()


def store(known: Known, sender: str, authentication: Authentication, body: bytes) -> str | None:
    """The new delivery's id; None if it was not stored, for whatever reason. Nothing was counted
    then. Raises psycopg.Error."""
    row = unsaved(
        pipeline_id=known.pipeline_id,
        tenant_id=known.tenant_id,
        dedupe_key=authentication.dedupe_key,
        trust=authentication.trust,
        body=body,
        event=authentication.event,
        sender=sender,
        now=_EPOCH,
    )
    values = {
        **_values_of(row),
        **turn(key_of(known.pipeline_id), limit=settings.WEBHOOKS_PER_MINUTE, window=MINUTE),
        "revision": known.revision,
        "ciphertext": known.ciphertext,
        "signed_at": authentication.signed_at,
        "tolerance": TOLERANCE,
    }
    own = connection()
    try:
        prepare = not settings.DATABASE_POOLED
        found = own.execute(_statement(), values, prepare=prepare).fetchone()
    except psycopg.errors.UniqueViolation:  # an equal one came at the same time
        return None
    except psycopg.Error:  # the next delivery begins anew, without what was prepared
        own.close()
        raise
    if found is None:
        return None
    known.keep()
    return str(row.pk)


@functools.cache
def _statement() -> bytes:
    columns = [str(field.column) for field in WebhookDelivery._meta.concrete_fields]
    special = {
        "received_at": "moment.now",
        "next_at": "moment.now + %(next_in)s",
        "body": "%(body)b",
    }
    values = [special.get(column, f"%({column})s") for column in columns]
    return _STORE.format(
        turn=TAKE_ANOTHER_TURN, columns=", ".join(columns), values=", ".join(values)
    ).encode()


def _values_of(row: WebhookDelivery) -> dict[str, Any]:
    assert row.next_at is not None  # noqa: S101 # a new row is always due
    values = {str(f.column): getattr(row, f.attname) for f in row._meta.concrete_fields}
    return {
        **values,
        "trust": str(row.trust),
        "state": str(row.state),
        "next_in": row.next_at - _EPOCH,
    }


def connection() -> psycopg.Connection[Any]:
    """This thread's connection, which commits each statement. Raises psycopg.Error."""
    found: psycopg.Connection[Any] | None = getattr(_own, "connection", None)
    if found is not None and (found.closed or time.monotonic() > _own.until):
        found.close()
        found = None
    if found is None:
        found = _own.connection = psycopg.connect(**_parameters(), autocommit=True)
        _own.until = time.monotonic() + (djangos.settings_dict["CONN_MAX_AGE"] or _AGE)
    return found


def _parameters() -> dict[str, Any]:
    """Where Django connects to, and with which settings."""
    for_django = ("context", "cursor_factory", "prepare_threshold", "autocommit")
    given: dict[str, Any] = djangos.get_connection_params()
    return {name: value for name, value in given.items() if name not in for_django}
