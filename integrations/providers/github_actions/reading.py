"""Reads runs of a workflow from GitHub's JSON.

https://docs.github.com/en/rest/actions/workflow-runs
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ..ci import Artifact, BuildState, BuildStatus
from ..http import garbage, objects
from ..json_values import build_id_in, line, moment, whole
from .paths import file_of

LABEL = "GitHub Actions"
KEPT_ARTIFACTS = 20
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LONGEST_RUN = timedelta(days=40)  # GitHub ends a run after 35

_MOVING = {
    "requested": BuildStatus.QUEUED,
    "queued": BuildStatus.QUEUED,
    "pending": BuildStatus.QUEUED,
    "waiting": BuildStatus.WAITING,
    "in_progress": BuildStatus.RUNNING,
}
_ENDS = {
    "success": BuildStatus.SUCCESS,
    "failure": BuildStatus.FAILURE,
    "timed_out": BuildStatus.FAILURE,
    "startup_failure": BuildStatus.FAILURE,
    "stale": BuildStatus.FAILURE,
    "skipped": BuildStatus.FAILURE,
    "neutral": BuildStatus.FAILURE,
    "cancelled": BuildStatus.ABORTED,
    "action_required": BuildStatus.WAITING,
}
WORDS = {
    "timed_out": "A job took longer than its time limit.",
    "startup_failure": "The run could not start: the workflow file has an error.",
    "stale": "GitHub gave up on it after too long without activity.",
    "skipped": "All of its jobs were skipped: their conditions were not met.",
    "neutral": "It ended without a result.",
    "action_required": "Someone has to approve this run on GitHub before it starts.",
}


@dataclass(frozen=True, kw_only=True)
class Run:
    """One attempt of a run. `status` and `conclusion` are GitHub's words."""

    id: int
    attempt: int
    number: int
    status: str
    conclusion: str
    title: str
    branch: str
    commit: str
    file: str
    event: str
    actor: str  # who started the run …
    attempted_by: str  # … and this attempt of it
    created_at: datetime | None
    started_at: datetime | None
    updated_at: datetime | None

    @property
    def external_id(self) -> str:
        return external_id(self.id, self.attempt)

    @property
    def build_id(self) -> str:
        """The id of delivr in the run's name, "" without one."""
        return build_id_in(self.title)

    @property
    def state(self) -> BuildStatus:
        return status_of(self.status, self.conclusion)

    @property
    def _has_started(self) -> bool:
        """False while it waits: GitHub then reports the time of its creation as its start."""
        return self.state not in (BuildStatus.QUEUED, BuildStatus.WAITING)

    def to_state(
        self, *, page: str, reason: str = "", artifacts: Sequence[Artifact] = ()
    ) -> BuildState:
        return BuildState(
            status=self.state,
            external_id=self.external_id,
            number=self.number,
            url=page,
            queue_reason=reason or WORDS.get(self.conclusion, ""),
            started_at=self.started_at if self._has_started else None,
            duration_ms=self._duration_ms(),
            artifacts=artifacts,
            commit=self.commit,
            branch=self.branch,
            started_by=self.attempted_by or self.actor,
            carried_id=self.build_id,
        )

    def _duration_ms(self) -> int | None:
        if self.status != "completed" or not self.started_at or not self.updated_at:
            return None
        took = self.updated_at - self.started_at
        is_likely = timedelta(0) <= took < _LONGEST_RUN
        return int(took.total_seconds() * 1000) if is_likely else None


def external_id(run: int, attempt: int) -> str:
    """A person may re-run a run: it keeps its id and number, but is another build to us."""
    return f"{run}/{attempt}"


def run_and_attempt(name: str) -> tuple[int, int]:
    run, _slash, attempt = name.partition("/")
    return int(run), int(attempt)


def status_of(status: str, conclusion: str) -> BuildStatus:
    """An unknown status of a run in progress counts as running, one of an ended run as failed."""
    if status == "completed":
        return _ENDS.get(conclusion, BuildStatus.FAILURE)
    return _MOVING.get(status, BuildStatus.RUNNING)


def read_run(data: object) -> Run:
    """Raises ProviderError (`garbage`) for anything that is not a run."""
    if not isinstance(data, dict):
        raise garbage(LABEL)
    run_id, number = whole(data.get("id")), whole(data.get("run_number"))
    if not run_id or not number or not isinstance(data.get("status"), str):
        raise garbage(LABEL)
    return Run(
        id=run_id,
        attempt=whole(data.get("run_attempt")) or 1,
        number=number,
        status=data["status"],
        conclusion=line(data.get("conclusion")),
        title=line(data.get("display_title")) or line(data.get("name")),
        branch=line(data.get("head_branch")),
        commit=line(data.get("head_sha")),
        file=file_of(data.get("path")),
        event=line(data.get("event")),
        actor=login_of(data.get("actor")),
        attempted_by=login_of(data.get("triggering_actor")),
        created_at=moment(data.get("created_at")),
        started_at=moment(data.get("run_started_at")) or moment(data.get("created_at")),
        updated_at=moment(data.get("updated_at")),
    )


def read_artifacts(data: object, *, page: str) -> list[Artifact]:
    """The newest ones that still exist, apps first. Each is a zip file, whatever it contains."""
    listed = objects(data.get("artifacts") if isinstance(data, dict) else None, LABEL)
    found = [one for item in listed if (one := _artifact(item, page)) is not None]
    return sorted(found, key=_rank)[:KEPT_ARTIFACTS]


def _artifact(item: Mapping[str, Any], page: str) -> Artifact | None:
    artifact_id, name = whole(item.get("id")), line(item.get("name"))
    if not artifact_id or not name or item.get("expired") is True:
        return None
    digest = line(item.get("digest"))
    return Artifact(
        name=name,
        url=f"{page}/artifacts/{artifact_id}",
        size=whole(item.get("size_in_bytes")),
        digest=digest if _DIGEST.fullmatch(digest) else "",
        expires_at=moment(item.get("expires_at")),
        key=str(artifact_id),
    )


_APP = re.compile(r"ipa|aab|apk|ios|android|app", re.IGNORECASE)
_HELP = re.compile(r"log|dsym|mapping|report|test|coverage", re.IGNORECASE)


def _rank(artifact: Artifact) -> tuple[bool, bool, str]:
    name = artifact.name
    return (bool(_HELP.search(name)), not _APP.search(name), name)


def login_of(actor: object) -> str:
    return line(actor.get("login")) if isinstance(actor, dict) else ""


def each_name(items: object) -> Iterator[str]:
    """The names (or logins) of the objects in a list."""
    for item in items if isinstance(items, list) else []:
        if isinstance(item, dict) and (name := line(item.get("name")) or login_of(item)):
            yield name
