"""Concurrency limits for scheduled requests in a worker process, so that a hanging server does not
delay other tenants.

A malicious server may respond to each request after 19 s, which no circuit breaker counts as a
failure, and a tenant may have as many connections to it as there are threads.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import partial
from threading import BoundedSemaphore

PER_INTEGRATION = 2  # requests at a time
PER_TENANT = 8  # of the 16 threads of a worker
MAX_WAIT = 0.05  # seconds, about as long as a healthy server takes to answer
SLOT_RETRY_DELAY = timedelta(seconds=2)  # retry after this time if no slot is free

_Places = defaultdict[str, BoundedSemaphore]
_of_integration: _Places = defaultdict(partial(BoundedSemaphore, PER_INTEGRATION))
_of_tenant: _Places = defaultdict(partial(BoundedSemaphore, PER_TENANT))


@contextmanager
def slot(*, tenant_id: str, integration_id: str) -> Iterator[bool]:
    """Hold a slot; False if none is free, then try again after `SLOT_RETRY_DELAY`."""
    with ExitStack() as taken:
        for places, timeout in (
            (_of_integration[integration_id], 0.0),
            (_of_tenant[tenant_id], MAX_WAIT),
        ):
            if not places.acquire(timeout=timeout):
                yield False
                return
            taken.callback(places.release)
        yield True
