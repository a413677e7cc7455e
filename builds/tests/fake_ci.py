"""A CI server that is as unlike Jenkins as the interface allows: it returns an id at once, takes
any parameter, does not pass on our id, lets builds wait for a person, and shows no log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self

from integrations.providers.base import Check, Option
from integrations.providers.ci import (
    BuildHandle,
    BuildReport,
    BuildRequest,
    BuildState,
    BuildStatus,
    CiProvider,
    Parameter,
    Retry,
)
from integrations.providers.webhooks import Scheme, Way, Webhooks


class FakeCi(CiProvider):
    label = "Fake CI"
    sender = "fakeci"
    has_log = False

    requests: ClassVar[list[BuildRequest]] = []
    runs: ClassVar[dict[str, BuildState]] = {}
    stopped: ClassVar[list[BuildHandle]] = []
    failure: ClassVar[Exception | None] = None  # of the next response, after the build was accepted

    @classmethod
    def from_connection(cls, connection: Any) -> Self:
        return cls()

    def checks(self) -> Iterator[Check]:
        return iter(())

    @staticmethod
    def job_name(values: Mapping[str, Any]) -> str:
        return ""

    def jobs(self) -> list[Option]:
        return []

    def parameters(self) -> list[Parameter] | None:
        return None

    def trigger(self, request: BuildRequest) -> BuildState:
        self.requests.append(request)
        name = f"run{len(self.requests)}/1"
        self.runs[name] = BuildState(status=BuildStatus.QUEUED, external_id=name)
        if self.failure is not None:
            raise self.failure
        return self.runs[name]

    def read(
        self, handle: BuildHandle, *, build_id: str, since: datetime | None = None
    ) -> BuildState | None:
        if handle.external_id:
            return self.runs.get(handle.external_id)
        same = [run for run in self.runs.values() if run.number and run.number == handle.number]
        return same[-1] if same else None

    def cancel(self, handle: BuildHandle) -> None:
        self.stopped.append(handle)

    def retries(self, handle: BuildHandle, *, build_id: str, since: datetime) -> list[Retry]:
        run = handle.external_id.partition("/")[0]
        later = (state for name, state in self.runs.items() if name.startswith(f"{run}/"))
        return [Retry(state=state) for state in later if state.external_id > handle.external_id]

    @classmethod
    def turn(cls, name: str, status: BuildStatus, **values: Any) -> None:
        """Set the state of a run."""
        known = cls.runs.get(name) or BuildState(status=status, external_id=name)
        cls.runs[name] = replace(known, status=status, **{"queue_reason": "", **values})


class LateCi(FakeCi):
    """Its response contains no identifier yet: a build is found by our id."""

    sender = "lateci"

    def trigger(self, request: BuildRequest) -> BuildState:
        return replace(super().trigger(request), external_id="")

    def read(
        self, handle: BuildHandle, *, build_id: str, since: datetime | None = None
    ) -> BuildState | None:
        return self.runs.get("run1/1")


class SilentCi(FakeCi):
    """It has no ids, cannot be polled and cannot stop builds: it only sends reports."""

    sender = "silentci"
    can_cancel = False

    @classmethod
    def report_timeout(cls, connection: Any) -> timedelta | None:
        return timedelta(hours=2)

    def trigger(self, request: BuildRequest) -> BuildState:
        return replace(super().trigger(request), external_id="")

    def read(self, *args: Any, **kwargs: Any) -> BuildState | None:
        raise AssertionError("It was polled.")


def parse(body: bytes, event: str) -> BuildReport:
    word, _space, build_id = body.decode().partition(" ")
    return BuildReport(status=BuildStatus(word), build_id=build_id, note=event)


WEBHOOKS = Webhooks(
    ways=(Way(scheme=Scheme.HEADER, header="x-fake-token", id_header="x-fake-id"),),
    parse=parse,
    event_header="x-fake-event",
)
