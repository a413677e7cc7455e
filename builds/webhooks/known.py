"""Pipelines whose webhooks were taken within the last minute, in this process.

The thin path (`thin.py`) authenticates with them, without a query. Only a sender with the right
secret gets its pipeline remembered, so that how long a refusal takes tells nobody which pipelines
exist. The secret is in plaintext in memory only.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.conf import settings

from integrations.models import PipelineIntegration

REMEMBERED = 60.0  # seconds since the last delivery
MOST = 10_000  # pipelines


@dataclass
class Known:
    """What is needed to authenticate and store a delivery, and whether that is still true: the
    statement that stores it compares `ciphertext` and `revision`."""

    pipeline_id: str
    tenant_id: str
    secrets: list[str] = field(repr=False)
    is_polled: bool
    ciphertext: bytes = field(repr=False)
    revision: int
    until: float  # by time.monotonic()

    def keep(self) -> None:
        """It was just right: remember it for another minute."""
        self.until = time.monotonic() + REMEMBERED


_known: dict[str, Known] = {}


def remember(pipeline: PipelineIntegration, secrets: Sequence[str]) -> None:
    """Remember the pipeline, if there is a thin path. Not while an earlier secret is valid, too: it
    might expire within the minute."""
    if not settings.WSGI_AROUND or len(secrets) != 1 or pipeline.webhook_secret.key is None:
        return
    if len(_known) >= MOST:
        _known.clear()
    _known[pipeline.pk] = Known(
        pipeline_id=pipeline.pk,
        tenant_id=pipeline.tenant_id,
        secrets=list(secrets),
        is_polled=pipeline.silence is None,
        ciphertext=pipeline.webhook_secret.ciphertext,
        revision=pipeline.revision,
        until=time.monotonic() + REMEMBERED,
    )


def find(pipeline_id: str) -> Known | None:
    found = _known.get(pipeline_id)
    if found is not None and time.monotonic() >= found.until:
        _known.pop(pipeline_id, None)
        return None
    return found


def forget_all() -> None:
    _known.clear()
