"""Idempotent forms: a form that is sent again (by a reload or a double click) has no second effect.

Each form contains a random token. The request that inserts the token's row first does the work. The
row is like that of an Idempotency-Key of the API; its fingerprint is the id of what was created.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from django.db import transaction
from django.utils import timezone

from delivr.api.base import IDEMPOTENCY_STUCK
from delivr.tenants.middleware import TenantRequest
from delivr.tenants.models import IdempotentRequest
from integrations.models import Connection

C = TypeVar("C", bound=Connection)
FIELD = "form_token"
SHOW_AGAIN = timedelta(minutes=10)  # for how long a reload shows the answer again
_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,64}")


class Repeated(Exception):
    """This form was sent before. `connection_id` is what it created (empty while it is being
    processed); `is_fresh` if that was within `SHOW_AGAIN`."""

    def __init__(self, row: IdempotentRequest) -> None:
        super().__init__(row.key)
        self.connection_id = row.fingerprint
        self.is_fresh = timezone.now() - row.created_at < SHOW_AGAIN


def new_token() -> str:
    return secrets.token_urlsafe(16)


def once(request: TenantRequest, work: Callable[[], C | None]) -> C | None:
    """Call `work`, which returns what it created, or None if it may be tried again.

    Raises Repeated. A form without a token is processed each time.
    """
    token = request.POST.get(FIELD, "")
    if not _TOKEN.fullmatch(token):
        return work()
    row = _claim(request, f"form:{request.user.pk}:{request.path}:{token}")
    try:
        made = _run(row, work)
    except Exception:
        row.delete()
        raise
    if made is None:
        row.delete()
    return made


@transaction.atomic
def _run(row: IdempotentRequest, work: Callable[[], C | None]) -> C | None:
    """Do the work and mark the row in one transaction: a crash leaves both or neither."""
    made = work()
    if made is not None:
        row.status, row.fingerprint = 201, made.pk
        row.save()
    return made


def _claim(request: TenantRequest, key: str) -> IdempotentRequest:
    mine = IdempotentRequest.objects.for_tenant(request.tenant).filter(key=key)
    mine.filter(status=None, created_at__lt=timezone.now() - IDEMPOTENCY_STUCK).delete()
    row, is_first = IdempotentRequest.objects.get_or_create(
        tenant=request.tenant, key=key, defaults={"fingerprint": ""}
    )
    if not is_first:
        raise Repeated(row)
    found: IdempotentRequest = row
    return found
