"""Fault injection: failures of a provider, a proxy or a network on demand.

A fault applies to requests of one provider, method and path, a number of times or with a
probability. `KINDS` says what each kind does.
"""

from __future__ import annotations

import random
import threading
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from sandbox.proxies import PROXIES

KINDS = {
    "status": "respond with `status` (429 and 503 with Retry-After: `retry_after`), do nothing",
    "proxy": "respond with `status` and a page of nginx, cloudflare or squid (`proxy`), do nothing",
    "sign_in": "Jenkins' login ignores tokens: redirect to its page (302), do nothing",
    "starting": "respond with 503 and the start page of Jenkins, do nothing",
    "echo": "respond with `status` and a text that repeats the Authorization header, do nothing",
    "timeout": "hang for `seconds` or until the client leaves, then disconnect, do nothing",
    "late": "hang for `seconds`, then do it, whether or not the client is still there",
    "timeout_after": "do it, then hang for `seconds` or until the client leaves, and disconnect",
    "drop_before": "reset the connection, do nothing",
    "drop_after": "do it, then reset the connection: the response is lost",
    "html_200": "respond with 200 and a login page, do nothing",
    "redirect": "redirect to `location` (302), do nothing",
    "garbage": "respond with 200 and a body that claims to be JSON but is not, do nothing",
    "oversized": "respond with 200 and a body of `size` bytes, do nothing",
    "endless": "respond with 200 and a body that never ends, do nothing",
    "drip": "do it, then send the body byte by byte with `seconds` in between",
    "drip_headers": "send endless headers with `seconds` in between, do nothing",
    "no_location": "do it, but leave out the Location header",
}
AFTERWARDS = {"late", "timeout_after", "drop_after", "drip", "no_location"}


@dataclass
class Fault:
    kind: str
    provider: str = "*"
    method: str = "*"
    path: str = "*"  # shell wildcards, below the provider's prefix: /job/*/buildWithParameters
    count: int | None = None  # how many requests it affects; None = until removed
    skip: int = 0  # how many matching requests pass first
    probability: float = 1.0
    status: int = 500
    retry_after: int = 1  # seconds
    proxy: str = "nginx"
    seconds: float = 30.0
    location: str = "http://169.254.169.254/latest/meta-data/"
    size: int = 5_000_000  # bytes
    id: int = 0
    struck: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault kind {self.kind!r}; one of {', '.join(KINDS)}")
        if self.proxy not in PROXIES:
            raise ValueError(f"unknown proxy {self.proxy!r}; one of {', '.join(PROXIES)}")

    def fits(self, provider: str, method: str, path: str) -> bool:
        return (
            self.count != 0
            and fnmatchcase(provider, self.provider)
            and fnmatchcase(method, self.method.upper())
            and fnmatchcase(path, self.path)
        )


@dataclass
class Faults:
    """The active faults in order; a request is affected by the first that matches it."""

    seed: int = 1
    _faults: list[Fault] = field(default_factory=list)
    _next_id: int = 1

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._random = random.Random(self.seed)  # noqa: S311 -- repeatable randomness, not a secret

    def add(self, kind: str, **settings: Any) -> Fault:
        """Activate a fault. Raises ValueError or TypeError for unknown kinds or settings."""
        with self._lock:
            fault = Fault(kind, **settings)
            fault.id = self._next_id
            self._next_id += 1
            self._faults.append(fault)
            return fault

    def remove(self, fault_id: int) -> None:
        with self._lock:
            self._faults = [fault for fault in self._faults if fault.id != fault_id]

    def clear(self) -> None:
        with self._lock:
            self._faults = []

    def strike(self, provider: str, method: str, path: str) -> Fault | None:
        """The fault that affects this request, already counted; None if none does."""
        with self._lock:
            for fault in self._faults:
                if fault.fits(provider, method, path) and self._takes(fault):
                    return fault
            return None

    def _takes(self, fault: Fault) -> bool:
        if fault.skip > 0:
            fault.skip -= 1
            return False
        if self._random.random() >= fault.probability:
            return False
        fault.struck += 1
        if fault.count is not None:
            fault.count -= 1
        return True

    def active(self) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(fault) for fault in self._faults]
