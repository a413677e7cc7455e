"""The engine of GitHub Actions in the stand-in: runs, their attempts, runners and groups, driven
only by the clock."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from sandbox.action_runs import Attempt, Hook, Run
from sandbox.repositories import Repositories, Repository
from sandbox.shared import Shared
from sandbox.webhooks import Sender
from sandbox.workflows import Workflow, first_workflows

FIRST_RUN_ID = 18_000_000_001
FIRST_ARTIFACT_ID = 2_400_000_001
MOST_RERUNS = 50
RERUN_WITHIN = 30 * 86_400  # seconds
CONCLUSIONS = ("success", "failure", "cancelled", "timed_out", "skipped", "startup_failure")
REVIEWER = "priya"
RETENTION = 90 * 86_400  # seconds that artifacts are kept
LINKS_LAST = 60  # seconds, by the sandbox's clock


class Refused(Exception):
    """GitHub's response to an impossible request: a status and a message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class Actions:
    def __init__(
        self, state: Shared, *, github: Repositories, sender: Sender, auto_finish: float | None
    ) -> None:
        self._shared = state
        self._github = github
        self._sender = sender
        self.workflows = first_workflows(auto_finish)
        self.runs: list[Run] = []  # oldest first
        self.hooks: dict[str, Hook] = {}
        self.artifacts: dict[int, dict[str, Any]] = {}
        self.links: dict[str, tuple[str, float]] = {}  # token -> (what, until)
        self.runners_work = True
        self.hangs = False  # new runs get no job, as in actions/runner#3872
        self._next_run = FIRST_RUN_ID
        self._next_artifact = FIRST_ARTIFACT_ID

    # Reading

    def workflow(self, wanted: str) -> Workflow | None:
        """By file name or id."""
        found = self.workflows.get(wanted)
        return found or next((w for w in self.workflows.values() if str(w.id) == wanted), None)

    def run(self, run_id: int) -> Run | None:
        return next((run for run in self.runs if run.id == run_id), None)

    def numbered(self, file: str, number: int) -> Run | None:
        return next((r for r in self.runs if (r.file, r.number) == (file, number)), None)

    def newest(self, file: str) -> list[Run]:
        return [run for run in reversed(self.runs) if run.file == file]

    def ahead_of(self, run: Run) -> list[Run]:
        """Runs of its concurrency group that have to end first."""
        return [
            other
            for other in self._alive()
            if run.group and other.group.lower() == run.group.lower() and other.id < run.id
        ]

    def _alive(self) -> Iterator[Run]:
        return (run for run in self.runs if not run.last.is_over)

    # Changing

    def start(self, workflow: Workflow, repository: Repository, branch: str, **facts: Any) -> Run:
        """`inputs`, `actor`, and `event` unless it is a dispatch."""
        inputs, actor = facts["inputs"], facts["actor"]
        now = self._shared.clock()
        commit = self._github.ref(repository, f"refs/heads/{branch}") or ""
        run = Run(
            self._next_run,
            workflow.file,
            workflow.next_number,
            repository.full_name,
            branch,
            commit,
            facts.get("event", "workflow_dispatch"),
            actor,
            workflow.run_name(branch, inputs),
            inputs,
            now,
            group=workflow.group(branch),
            environment=workflow.environment(branch),
            job=workflow.job(branch),
            has_jobs=not self.hangs,
        )
        run.attempts.append(Attempt(1, actor, now))
        self._next_run += 1
        workflow.next_number += 1
        self.runs.append(run)
        self._record("build.queued", run)
        self._tell(run, "requested")
        self._replace_pending(run)
        return run

    def _replace_pending(self, run: Run) -> None:
        """A group has one running and one waiting run: a newer run replaces the waiting one."""
        for other in self.ahead_of(run):
            if other.last.status in ("queued", "pending"):
                self._end(other, "cancelled")

    def finish(self, run: Run, conclusion: str = "success") -> None:
        """End the newest attempt. Raises ValueError for an unknown conclusion."""
        if conclusion not in CONCLUSIONS:
            raise ValueError(f"unknown conclusion {conclusion!r}; one of {', '.join(CONCLUSIONS)}")
        with self._shared.lock:
            if not run.last.is_over:
                self._end(run, conclusion)
            self.settle(self._shared.clock())

    def approve(self, run: Run) -> None:
        """A reviewer lets it use its environment."""
        with self._shared.lock:
            run.last.approved = True
            self.settle(self._shared.clock())

    def rerun(self, run: Run, *, actor: str) -> None:
        """A new attempt with the same inputs and commit. Raises Refused."""
        if not run.last.is_over:
            raise Refused(403, "This workflow is already running")
        if self._shared.clock() - run.created_at > RERUN_WITHIN:
            raise Refused(
                403,
                "Unable to retry this workflow run because it was created over a month ago",
            )
        if len(run.attempts) > MOST_RERUNS:
            raise Refused(403, "This workflow run has been retried too many times")
        run.attempts.append(Attempt(run.last.number + 1, actor, self._shared.clock()))
        self._record("run.rerun", run, attempt=run.last.number)
        self._tell(run, "requested")
        self.settle(self._shared.clock())

    def cancel(self, run: Run, *, force: bool = False) -> None:
        """Raises Refused."""
        if run.last.is_over:
            raise Refused(409, "Cannot cancel a workflow run that is completed.")
        if not run.has_jobs:
            raise Refused(409, "Cannot cancel a workflow run that has not been queued yet.")
        self._record("run.cancel", run, force=force)
        if force or not run.is_stubborn:
            self._end(run, "cancelled")

    def _end(self, run: Run, conclusion: str) -> None:
        attempt, now = run.last, self._shared.clock()
        attempt.started_at = attempt.started_at or now
        attempt.status, attempt.conclusion, attempt.ended_at = "completed", conclusion, now
        workflow = self.workflows[run.file]
        if conclusion == "success" and workflow.artifact:
            attempt.artifacts.append(self._keep_artifact(run, workflow.artifact, now))
        if conclusion == "startup_failure":
            run.has_jobs = False
        self._record("build.finished", run, result=conclusion, attempt=attempt.number)
        self._tell(run, "completed")

    def _keep_artifact(self, run: Run, name: str, now: float) -> int:
        artifact_id = self._next_artifact
        self._next_artifact += 1
        until = now + RETENTION
        self.artifacts[artifact_id] = {
            "id": artifact_id,
            "name": name,
            "run": run.id,
            "created": now,
            "until": until,
        }
        return artifact_id

    # Links that expire

    def link(self, what: str) -> str:
        token = uuid.uuid4().hex
        self.links[token] = (what, self._shared.clock() + LINKS_LAST)
        return token

    def linked(self, token: str) -> str | None:
        what, until = self.links.get(token, ("", 0.0))
        return what if self._shared.clock() < until else None

    # Time

    def settle(self, now: float) -> None:
        for run in list(self._alive()):
            self._move(run, now)

    def _move(self, run: Run, now: float) -> None:
        attempt, workflow = run.last, self.workflows[run.file]
        if attempt.status != "in_progress":
            if not run.has_jobs:
                return
            self._set(run, self._waits_for(run))
            if attempt.status == "in_progress":
                attempt.started_at = now
                self._record("build.started", run, attempt=attempt.number)
                self._tell(run, "in_progress")
        seconds = workflow.auto_finish_seconds
        is_due = seconds is not None and attempt.started_at and now >= attempt.started_at + seconds
        if attempt.status == "in_progress" and is_due and not run.is_stubborn:
            self._end(run, workflow.auto_finish_result)

    def _waits_for(self, run: Run) -> str:
        if self.ahead_of(run):
            return "pending"
        if run.environment and not run.last.approved:
            return "waiting"
        return "in_progress" if self.runners_work else "queued"

    def _set(self, run: Run, status: str) -> None:
        if run.last.status == status:
            return
        run.last.status = status
        self._shared.touch()
        if status == "waiting":
            self._sender.github(self.hooks.values(), "workflow_job", run, "waiting")

    # Telling

    def _tell(self, run: Run, action: str) -> None:
        self._sender.github(self.hooks.values(), "workflow_run", run, action)
        if action != "requested" and run.has_jobs:
            self._sender.github(self.hooks.values(), "workflow_job", run, action)

    def _record(self, kind: str, run: Run, **facts: Any) -> None:
        """In the words that the ledger uses for every CI server."""
        parameters = {**run.inputs, "DELIVR_BUILD_ID": run.inputs.get("delivr_build_id", "")}
        names = {"job": run.file, "number": run.number, "branch": run.branch}
        self._shared.record(kind, "github", parameters=parameters, **names, **facts)

    # Snapshot

    def dump(self) -> dict[str, Any]:
        return {
            "workflows": [asdict(one) for one in self.workflows.values()],
            "runs": [asdict(run) for run in self.runs],
            "hooks": {name: asdict(hook) for name, hook in self.hooks.items()},
            "artifacts": list(self.artifacts.values()),
            "next_run": self._next_run,
            "next_artifact": self._next_artifact,
            "runners_work": self.runners_work,
            "hangs": self.hangs,
        }

    def load(self, data: dict[str, Any]) -> None:
        self.workflows |= {one["file"]: Workflow(**one) for one in data["workflows"]}
        self.runs = [_revived(item) for item in data["runs"]]
        self.hooks = {name: Hook(**hook) for name, hook in data["hooks"].items()}
        self.artifacts = {one["id"]: one for one in data["artifacts"]}
        self._next_run, self._next_artifact = data["next_run"], data["next_artifact"]
        self.runners_work, self.hangs = data["runners_work"], data["hangs"]


def _revived(data: dict[str, Any]) -> Run:
    return Run(**{**data, "attempts": [Attempt(**one) for one in data["attempts"]]})
