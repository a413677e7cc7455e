"""The few places of a worker process for asking by the clock: what hangs holds up nobody else.

An evil server may answer each question after 19 s, so that no breaker ever counts it, and one
tenant may have as many connections to it as there are threads.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import partial
from threading import BoundedSemaphore

PER_INTEGRATION = 2  # questions at a time
PER_TENANT = 8  # of the 16 threads of a worker
PATIENCE = 0.05  # seconds; a server that is well answers in about as many
FULL = timedelta(seconds=2)  # until there may be a place

_Places = defaultdict[str, BoundedSemaphore]
_of_integration: _Places = defaultdict(partial(BoundedSemaphore, PER_INTEGRATION))
_of_tenant: _Places = defaultdict(partial(BoundedSemaphore, PER_TENANT))


@contextmanager
def slot(*, tenant_id: str, integration_id: str) -> Iterator[bool]:
    """True where there is a place; who gets none asks again after `FULL`."""
    with ExitStack() as taken:
        for places, patience in (
            (_of_integration[integration_id], 0.0),
            (_of_tenant[tenant_id], PATIENCE),
        ):
            if not places.acquire(timeout=patience):
                yield False
                return
            taken.callback(places.release)
        yield True
