"""HTTP clients that use delivr during a scenario: people with a token, Jenkins with a secret."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

TIMEOUT = 30.0  # seconds


@dataclass(frozen=True)
class Answer:
    status: int  # 0: the connection failed
    seconds: float
    body: Any = None
    retry_after: str = ""
    is_webhook: bool = False  # the answer to a webhook delivery


@dataclass
class Client:
    """Sends requests and remembers how each was answered."""

    port: int
    answers: list[Answer] = field(default_factory=list)

    def send(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        start = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)
        try:
            connection.request(method, path, body, headers)
            got = connection.getresponse()
            text, spent = got.read(), time.monotonic() - start
            is_json = "json" in got.getheader("Content-Type", "")
            content = json.loads(text) if is_json and text else None
            is_webhook = "/webhooks/" in path
            retry_after = got.getheader("Retry-After", "")
            answer = Answer(got.status, spent, content, retry_after, is_webhook)
        except OSError:
            answer = Answer(0, time.monotonic() - start)
        finally:
            connection.close()
        self.answers.append(answer)
        return answer

    def api(
        self, token: str, method: str, path: str, body: Any = None, extra: Mapping[str, str] = {}
    ) -> Answer:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", **extra}
        data = b"" if body is None else json.dumps(body).encode()
        return self.send(method, f"/api/v1/{path}", data, headers)

    def report(self, pipeline_id: str, secret: str, name: str, body: Any) -> Answer:
        """A signed webhook (https://www.standardwebhooks.com) for a pipeline."""
        text, now = json.dumps(body), str(int(time.time()))
        key = base64.b64decode(secret.removeprefix("whsec_"))
        mac = hmac.new(key, f"{name}.{now}.{text}".encode(), hashlib.sha256).digest()
        headers = {
            "Content-Type": "application/json",
            "webhook-id": name,
            "webhook-timestamp": now,
            "webhook-signature": "v1," + base64.b64encode(mac).decode(),
        }
        return self.send("POST", f"/api/v1/webhooks/jenkins/{pipeline_id}", text.encode(), headers)

    def failures(self) -> list[int]:
        """Statuses that no user should ever get: 5xx, or 0 for no answer at all."""
        return [a.status for a in self.answers if a.status >= 500 or a.status == 0]


def percentile(values: Iterable[float], share: float) -> float:
    """The value below which the given share (0 to 1) of the values lies; 0 without values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def run_concurrently(function: Any, arguments: Iterable[Any], *, threads: int) -> list[Any]:
    """Call `function` with each argument in `threads` threads. Raises what a call raises."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(function, arguments))
