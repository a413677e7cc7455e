"""The trace of a build: that of the click that triggered it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime

from django.conf import settings

from builds.models import Build
from delivr.effects.models import Effect
from delivr.monitoring import traces
from delivr.monitoring.logs import log_ids


@contextlib.contextmanager
def in_trace_of(
    build: Build, name: str, *, since: datetime | None = None, is_news: bool = True
) -> Iterator[None]:
    """What was learned of the build belongs to the trace in which it was triggered. The span there
    is linked to the current one, of the webhook or the poll, which is in a trace of its own."""
    if not settings.TRACES or not is_news:
        yield
        return
    triggers = Effect.objects.for_tenant(build.tenant_id).filter(
        dedupe_key=f"build:{build.pk}:trigger"
    )
    parent = triggers.values_list("traceparent", flat=True).first() or traces.here()
    with (
        log_ids(release=build.release_pipeline.release_id, build=build.pk),
        traces.span(name, parent=parent, is_linked=True, since=since),
    ):
        yield
