"""The engine of the stand-in for Any CI: receivers that are told to build, as a team would write
them, and builds that end by the clock and are reported to where the trigger said."""

from __future__ import annotations

import base64
import hmac
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sandbox.accounts import ANY_CI_SECRET, RECEIVERS
from sandbox.shared import Shared
from sandbox.webhooks import Sender, signature

RESULTS = ("SUCCESS", "FAILURE", "UNSTABLE", "ABORTED")
TOLERANCE = 300  # seconds that a signed timestamp may be off
FIRST_NUMBER = 501


@dataclass
class Receiver:
    """`is_silent`: it never reports. `builds_repeats`: it builds a trigger again that it already
    took. `has_status`: it answers whoever asks how a build is."""

    name: str
    secret: str = ANY_CI_SECRET
    auto_finish_seconds: float | None = 20.0
    auto_finish_result: str = "SUCCESS"
    queue_seconds: float = 0.0
    is_silent: bool = False
    builds_repeats: bool = False
    has_status: bool = True


@dataclass
class Build:
    number: int
    receiver: str
    build_id: str
    callback_url: str
    data: dict[str, Any] = field(default_factory=dict)
    created_at: float = 0.0
    started_at: float = 0.0
    ended_at: float = 0.0
    result: str = ""

    @property
    def status(self) -> str:
        return self.result or ("RUNNING" if self.started_at else "QUEUED")


class Receivers:
    def __init__(self, shared: Shared, *, sender: Sender, auto_finish: float | None) -> None:
        self._shared = shared
        self._sender = sender
        self.all = {n: Receiver(n, auto_finish_seconds=auto_finish) for n in RECEIVERS}
        self.builds: list[Build] = []  # oldest first
        self._next_number = FIRST_NUMBER

    def is_genuine(self, receiver: Receiver, headers: Mapping[str, str], body: bytes) -> bool:
        """Standard Webhooks: any of the signatures fits, and the time is about now."""
        message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if not message_id or not timestamp.isdecimal():
            return False
        if abs(time.time() - int(timestamp)) > TOLERANCE:
            return False
        wanted = signature(receiver.secret, f"{message_id}.{timestamp}.".encode() + body)
        sent = headers.get("webhook-signature", "").split(" ")
        known = f"v1,{base64.b64encode(wanted).decode()}"
        return any(hmac.compare_digest(one.encode(), known.encode()) for one in sent)

    def take(self, receiver: Receiver, data: dict[str, Any]) -> Build:
        """The build of a trigger: a new one, unless its id was taken before."""
        known = self.find(str(data["buildId"]))
        if known is not None and not receiver.builds_repeats:
            self._record("trigger.repeated", known)
            return known
        build = Build(
            self._next_number,
            receiver.name,
            str(data["buildId"]),
            str(data["callbackUrl"]),
            data,
            created_at=self._shared.clock(),
        )
        self._next_number += 1
        self.builds.append(build)
        self._record("build.queued", build)
        self.settle(self._shared.clock())
        return build

    def find(self, build_id: str) -> Build | None:
        """The newest build with this id."""
        return next((b for b in reversed(self.builds) if b.build_id == build_id), None)

    def numbered(self, number: int) -> Build | None:
        return next((b for b in self.builds if b.number == number), None)

    def newest(self, name: str) -> list[Build]:
        return [build for build in reversed(self.builds) if build.receiver == name]

    def finish(self, build: Build, result: str = "SUCCESS") -> None:
        """End it, and report it. Raises ValueError for an unknown result."""
        if result not in RESULTS:
            raise ValueError(f"unknown result {result!r}; one of {', '.join(RESULTS)}")
        with self._shared.lock:
            if not build.result:
                self._start(build)
                build.result, build.ended_at = result, self._shared.clock()
                self._record("build.finished", build, result=result)
                self.report(build)

    def settle(self, now: float) -> None:
        for build in self.builds:
            receiver = self.all[build.receiver]
            if not build.started_at and now >= build.created_at + receiver.queue_seconds:
                self._start(build)
                self.report(build)
            seconds = receiver.auto_finish_seconds
            is_due = seconds is not None and build.started_at and now >= build.started_at + seconds
            if is_due and not build.result:
                self.finish(build, receiver.auto_finish_result)

    def _start(self, build: Build) -> None:
        if not build.started_at:
            build.started_at = self._shared.clock()
            self._record("build.started", build)

    def told(self, build: Build) -> dict[str, Any]:
        """The body of a report, and of the answer to whoever asks."""
        url = f"{self._shared.base_url}/anyci/builds/{build.number}"
        body = {
            "buildId": build.build_id,
            "buildNumber": build.number,
            "status": build.status,
            "buildUrl": url,
        }
        if build.result == "SUCCESS":
            body["artifactUrl"] = f"s3://builds/{build.receiver}-{build.number}.zip"
        return body

    def report(self, build: Build) -> None:
        receiver = self.all[build.receiver]
        if not receiver.is_silent:
            facts = {"job": build.receiver, "number": build.number, "status": build.status}
            self._sender.report(build.callback_url, self.told(build), receiver.secret, facts)

    def _record(self, kind: str, build: Build, **facts: Any) -> None:
        """In the words in which every CI server of the sandbox is recorded."""
        parameters = {**build.data.get("parameters", {}), "DELIVR_BUILD_ID": build.build_id}
        names = {"job": build.receiver, "number": build.number}
        names |= {name: build.data.get(name, "") for name in ("version", "platform")}
        self._shared.record(kind, "any_ci", parameters=parameters, **names, **facts)

    # Snapshot

    def dump(self) -> dict[str, Any]:
        return {
            "receivers": [asdict(one) for one in self.all.values()],
            "builds": [asdict(build) for build in self.builds],
            "next_number": self._next_number,
        }

    def load(self, data: dict[str, Any]) -> None:
        self.all |= {one["name"]: Receiver(**one) for one in data["receivers"]}
        self.builds = [Build(**build) for build in data["builds"]]
        self._next_number = data["next_number"]
