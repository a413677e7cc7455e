"""Claims a plain effect with one round trip to PostgreSQL.

Which is what `runner.claim` decides in nine statements: an effect that is due and has not expired,
of a connection that nothing is known against, with places left. Everything else is left to that.
"""

from __future__ import annotations

import functools
from typing import Any

from django.conf import settings
from django.db import connection

from delivr.effects.handlers import LEASE
from delivr.effects.health import OPEN_AFTER, PER_INTEGRATION, PER_TENANT
from delivr.effects.models import Effect

# Two statements in one message are one transaction, and in READ COMMITTED each has its own
# snapshot: the second sees every lease that was taken before the lock was free.
# https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-MULTI-STATEMENT
_CLAIM = """
SELECT FROM integration_health AS health JOIN effects AS effect USING (tenant_id, integration_id)
WHERE effect.id = %(id)s FOR UPDATE OF health;

UPDATE effects AS effect SET state = 'LEASED', lease_until = clock_timestamp() + %(lease)s,
    lease_token = lease_token + 1, attempts = attempts + 1
FROM integration_health AS health
WHERE effect.id = %(id)s AND effect.kind = ANY(%(kinds)s)
AND effect.expires_at > clock_timestamp()
AND (
    effect.state = 'PENDING' AND effect.next_at <= clock_timestamp()
    OR effect.state = 'LEASED' AND effect.lease_until < clock_timestamp()
)
AND health.tenant_id = effect.tenant_id AND health.integration_id = effect.integration_id
AND health.failures < %(open_after)s AND health.credentials_refused_at IS NULL
AND coalesce(
    greatest(health.open_until, health.probe_until, health.rate_limited_until) <= clock_timestamp(),
    true
)
AND (
    SELECT count(*) < %(per_tenant)s
    AND count(*) FILTER (WHERE leased.integration_id = effect.integration_id) < %(per_integration)s
    FROM effects AS leased WHERE leased.tenant_id = effect.tenant_id
    AND leased.state = 'LEASED' AND leased.lease_until > clock_timestamp()
)
RETURNING {columns};
"""


def claim_plain(effect_id: str) -> Effect | None:
    """Take the lease; None if that is not certainly right, and on SQLite."""
    if connection.vendor != "postgresql":
        return None
    values: dict[str, Any] = {
        "id": effect_id,
        "kinds": list(settings.EFFECT_HANDLERS),
        "lease": LEASE,
        "open_after": OPEN_AFTER,
        "per_tenant": PER_TENANT,
        "per_integration": PER_INTEGRATION,
    }
    with connection.cursor() as cursor:
        cursor.execute(_statements(), values)
        cursor.nextset()
        row = cursor.fetchone()
    return None if row is None else _effect(row)


@functools.cache
def _statements() -> str:
    columns = (f"effect.{field.column}" for field in Effect._meta.concrete_fields)
    return _CLAIM.format(columns=", ".join(columns))


def _effect(row: tuple[Any, ...]) -> Effect:
    fields: Any = Effect._meta.concrete_fields
    values = [
        field.from_db_value(value, None, connection) if hasattr(field, "from_db_value") else value
        for field, value in zip(fields, row, strict=True)
    ]
    return Effect.from_db(connection.alias, [field.attname for field in fields], values)
