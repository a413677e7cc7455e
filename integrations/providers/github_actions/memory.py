"""What GitHub last answered, by its ETag: while that has not changed, to ask again costs nothing of
the hourly limit of requests.

https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#use-conditional-requests-if-appropriate
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

MOST = 500  # answers, of about 20 KB each, in each process
LARGEST = 64 * 1024  # characters of an answer that is kept: a server may send up to 1 MB


class Memory:
    """Forgets what was not asked for longest. Only the holder of the same credential gets it."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._known: OrderedDict[Hashable, tuple[str, Any]] = OrderedDict()
        self._lock = threading.Lock()

    def recall(self, key: Hashable) -> tuple[str, Any]:
        """The ETag and the answer; "" and None for what is not known."""
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
            return self._known.get(key, ("", None))

    def keep(self, key: Hashable, etag: str, data: Any) -> None:
        if len(json.dumps(data)) > LARGEST:
            return
        with self._lock:
            self._known[key] = (etag, data)
            self._known.move_to_end(key)
            while len(self._known) > self._most:
                self._known.popitem(last=False)


answers = Memory()
