"""The engine of GitLab CI in the stand-in: pipelines, their jobs and downstream pipelines, driven
only by the clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from sandbox import ci_files
from sandbox.ci_files import CiFile, Refused
from sandbox.pipeline_jobs import Job, Pipeline, rests, status_of
from sandbox.project_hooks import ProjectHook, told_from
from sandbox.projects import Project, Projects
from sandbox.shared import Shared
from sandbox.webhooks import Sender

FIRST_PIPELINE, FIRST_IID, FIRST_JOB = (
    2_410_000_001,
    301,
    11_800_000_001,
)  # as large as gitlab.com's
FAILED = ("failed", "canceled")
KEEPS_FILES = 30 * 86_400  # seconds
ENDS = ("success", "failed", "canceled")


class Pipelines:
    """`hooks` by their id. `files` by the project's id."""

    def __init__(
        self,
        shared: Shared,
        *,
        projects: Projects,
        sender: Sender,
        auto_finish: float | None,
    ) -> None:
        self._shared = shared
        self._projects = projects
        self._sender = sender
        self.files = {4201: CiFile(ci_files.WITH_INPUTS), 4203: CiFile(ci_files.WITH_VARIABLES)}
        self.pipelines: dict[int, Pipeline] = {}  # oldest first
        self.hooks: dict[int, ProjectHook] = {}
        self.runners_work = True
        self.auto_finish_seconds = auto_finish  # None: a person ends the jobs
        self.auto_finish_result = "success"
        self._next_pipeline, self._next_job = FIRST_PIPELINE, FIRST_JOB

    # Reading

    def of_project(self, project: int) -> list[Pipeline]:
        """The newest first."""
        return [p for p in reversed(self.pipelines.values()) if p.project == project]

    def job(self, job_id: int) -> Job | None:
        every = (job for pipeline in self.pipelines.values() for job in pipeline.jobs)
        return next((job for job in every if job.id == job_id), None)

    def pipeline_of(self, job: Job) -> Pipeline:
        return next(p for p in self.pipelines.values() if job in p.jobs)

    def has_expired(self, job: Job) -> bool:
        return self._shared.clock() >= job.ended_at + KEEPS_FILES

    # Changing

    def create(self, project: Project, ref: str, **facts: Any) -> Pipeline:
        """`inputs`, `variables`, `user`, and `source` unless it is the API. Raises Refused."""
        file, source = self.files.get(project.id), facts.get("source", "api")
        text = file.text_on(ref) if file else None
        if text is None:
            raise Refused("Missing CI config file")
        inputs, variables = facts.get("inputs", {}), facts.get("variables", {})
        found = ci_files.read(text, inputs, variables, source=source)
        sha = self._projects.commit(project, ref) or ""
        about = {"variables": variables, "inputs": inputs}
        return self._add(project.id, ref, sha, source, facts["user"], found, **about)

    def _add(
        self, project: int, ref: str, sha: str, source: str, user: str, found: Any, **about: Any
    ) -> Pipeline:
        number, self._next_pipeline = self._next_pipeline, self._next_pipeline + 1
        pipeline = Pipeline(
            number,
            FIRST_IID + number - FIRST_PIPELINE,
            project,
            ref,
            sha,
            source,
            user,
            found.name,
            created_at=self._shared.clock(),
            stages=found.stages,
            **about,
        )
        for name, facts in found.jobs.items():
            self._add_job(pipeline, name, facts, user)
        self.pipelines[pipeline.id] = pipeline
        if pipeline.upstream is None:
            self._record("build.queued", pipeline)
        self._told(pipeline)
        return pipeline

    def _add_job(self, pipeline: Pipeline, name: str, about: dict[str, Any], user: str) -> Job:
        stage = str(about.get("stage", pipeline.stages[0]))
        job = Job(self._next_job, name, stage, about, user, self._shared.clock())
        self._next_job += 1
        pipeline.jobs.append(job)
        return job

    def finish(self, pipeline: Pipeline, result: str = "success", reason: str = "") -> None:
        """End everything that runs, and what comes after it. Raises ValueError for an unknown
        result."""
        if result not in ENDS:
            raise ValueError(f"unknown result {result!r}; one of {', '.join(ENDS)}")
        with self._shared.lock:
            self.settle(self._shared.clock())
            while running := self._running(pipeline):
                for job in running:
                    self.end_job(job, result, reason)
                self.settle(self._shared.clock())

    def _running(self, pipeline: Pipeline) -> list[Job]:
        """Jobs of its downstream pipelines, too."""
        found = [j for j in pipeline.now if j.status in ("running", "canceling")]
        children = [self.pipelines[j.downstream] for j in found if j.downstream in self.pipelines]
        below = [job for child in children for job in self._running(child)]
        return [job for job in found if not job.is_bridge] + below

    def end_job(self, job: Job, result: str, reason: str = "") -> None:
        """A failed one is tried again as often as its keyword `retry` says."""
        job.status, job.ended_at = result, self._shared.clock()
        if result == "failed":
            job.reason = "" if job.is_bridge else reason or "script_failure"
            pipeline = self.pipeline_of(job)
            if self._tries(pipeline, job) <= int(job.about.get("retry", 0)):
                self._add_job(pipeline, job.name, job.about, job.user)
        self._shared.touch()

    def _tries(self, pipeline: Pipeline, job: Job) -> int:
        return sum(one.name == job.name for one in pipeline.jobs)

    def play(self, job: Job, *, user: str) -> None:
        """Raises Refused for a job that nobody has to start."""
        if job.status not in ("manual", "scheduled"):
            raise Refused("Unplayable Job")
        job.user = user
        self._queue(job)
        self.settle(self._shared.clock())

    def retry(self, pipeline: Pipeline, *, user: str) -> None:
        """Run again what failed or was canceled. The pipeline stays the same."""
        self._again(pipeline, [job for job in pipeline.now if job.status in FAILED], user)

    def retry_job(self, job: Job, *, user: str) -> Job:
        """Raises Refused."""
        pipeline = self.pipeline_of(job)
        if job.status not in ("success", *FAILED) or job not in pipeline.now:
            raise Refused("Job is not retryable")
        self._again(pipeline, [job], user)
        return next(one for one in pipeline.now if one.name == job.name)

    def _again(self, pipeline: Pipeline, jobs: list[Job], user: str) -> None:
        """New jobs in the place of these; what was skipped comes up again."""
        for job in jobs:
            self._add_job(pipeline, job.name, job.about, user)
        for job in pipeline.now:
            job.status = "created" if job.status == "skipped" else job.status
        self._record("run.retried", pipeline, user=user)
        self.settle(self._shared.clock())

    def cancel(self, pipeline: Pipeline) -> None:
        """Nothing happens to one that is over, and GitLab does not say so."""
        if pipeline.is_over:
            return
        self._record("run.cancel", pipeline)
        for job in pipeline.now:
            if job.status == "running" and pipeline.is_stubborn:
                job.status = "canceling"
            elif not job.is_over and job.status != "canceling":
                self.end_job(job, "canceled")
            child = self.pipelines.get(job.downstream or 0)
            if child is not None and child.project == pipeline.project:
                self.cancel(child)
        self.settle(self._shared.clock())

    def delete(self, pipeline: Pipeline) -> None:
        del self.pipelines[pipeline.id]
        self._record("run.deleted", pipeline)

    # Time

    def settle(self, now: float) -> None:
        moved = [True]
        while any(moved):
            moving = [p for p in self.pipelines.values() if not rests(p)]
            moved = [self._move(pipeline, now) for pipeline in moving]

    def _move(self, pipeline: Pipeline, now: float) -> bool:
        """True if something changed."""
        before = [(job.id, job.status) for job in pipeline.jobs], pipeline.status
        for stage in pipeline.stages:
            jobs = [job for job in pipeline.now if job.stage == stage]
            for job in jobs:
                self._move_job(pipeline, job, now)
            if not all(job.is_good for job in jobs):
                self._hold_back(pipeline, stage, jobs)
                break
        self._derive(pipeline, now)
        return before != ([(job.id, job.status) for job in pipeline.jobs], pipeline.status)

    def _hold_back(self, pipeline: Pipeline, stage: str, jobs: list[Job]) -> None:
        """Later stages are skipped where this one failed, and wait where it goes on."""
        if all(job.is_over or job.is_good for job in jobs):
            later = pipeline.stages[pipeline.stages.index(stage) + 1 :]
            for job in pipeline.now:
                if job.stage in later and job.status == "created":
                    job.status = "skipped"

    def _move_job(self, pipeline: Pipeline, job: Job, now: float) -> None:
        if job.status == "created":
            when = job.about.get("when")
            is_new = self._tries(pipeline, job) == 1
            if when in ("manual", "delayed") and is_new:
                job.status = "manual" if when == "manual" else "scheduled"
            else:
                self._queue(job)
        if job.status in ("pending", "waiting_for_resource"):
            self._start(pipeline, job, now)
        if job.status == "running":
            self._go_on(pipeline, job, now)

    def _queue(self, job: Job) -> None:
        job.status, job.queued_at = "pending", self._shared.clock()

    def _start(self, pipeline: Pipeline, job: Job, now: float) -> None:
        group = job.about.get("resource_group")
        if group and any(other.about.get("resource_group") == group for other in self._busy(job)):
            job.status = "waiting_for_resource"
            return
        job.status = "pending"
        if not self.runners_work and not job.is_bridge:
            return
        job.status, job.started_at = "running", now
        if job.is_bridge:
            self._trigger(pipeline, job)

    def _busy(self, job: Job) -> Iterator[Job]:
        every = (other for pipeline in self.pipelines.values() for other in pipeline.jobs)
        return (o for o in every if o is not job and o.status in ("running", "canceling"))

    def _trigger(self, pipeline: Pipeline, bridge: Job) -> None:
        found = ci_files.Read("", ["build"], {"app": {"script": "make app", "artifacts": {}}})
        made = self._add(
            pipeline.project,
            pipeline.ref,
            pipeline.sha,
            "parent_pipeline",
            pipeline.user,
            found,
            variables={},
            inputs={},
            upstream=pipeline.id,
        )
        bridge.downstream = made.id

    def _go_on(self, pipeline: Pipeline, job: Job, now: float) -> None:
        if job.is_bridge:
            child = self.pipelines.get(job.downstream or 0)
            if child is not None and child.is_over:
                self.end_job(job, child.status if child.status in ENDS else "failed")
            return
        seconds = self.auto_finish_seconds
        if seconds is not None and now >= job.started_at + seconds:
            self.end_job(job, self.auto_finish_result)

    def _derive(self, pipeline: Pipeline, now: float) -> None:
        status = status_of(pipeline.now)
        if pipeline.started_at and status in ("created", "pending"):
            status = "running"
        if status == pipeline.status:
            return
        pipeline.status, pipeline.updated_at = status, now
        has_started = any(job.started_at for job in pipeline.jobs)
        if status == "running" and has_started and not pipeline.started_at:
            pipeline.started_at = now
            if pipeline.upstream is None:
                self._record("build.started", pipeline)
        if status in ("success", "failed", "canceled"):
            pipeline.started_at = pipeline.started_at or (now if has_started else 0)
            pipeline.ended_at = now
            if pipeline.upstream is None:
                self._record("build.finished", pipeline, result=status)
        self._told(pipeline)

    # Telling

    def _told(self, pipeline: Pipeline) -> None:
        pipeline.updated_at = now = self._shared.clock()
        for hook in self.hooks.values():
            if hook.project == pipeline.project and hook.pipeline_events and hook.is_on(now):
                project = self._projects.projects[pipeline.project]
                self._sender.gitlab(hook, told_from(pipeline, project, self._shared.base_url))

    def _record(self, kind: str, pipeline: Pipeline, **facts: Any) -> None:
        """In the words in which every CI server of the sandbox is recorded."""
        parameters = {**pipeline.inputs, **pipeline.variables, "DELIVR_BUILD_ID": pipeline.build_id}
        project = self._projects.projects[pipeline.project]
        names = {"job": project.path, "number": pipeline.id, "branch": pipeline.ref}
        self._shared.record(kind, "gitlab", parameters=parameters, **names, **facts)

    # Snapshot

    def dump(self) -> dict[str, Any]:
        return {
            "files": {str(key): asdict(file) for key, file in self.files.items()},
            "pipelines": [asdict(pipeline) for pipeline in self.pipelines.values()],
            "hooks": [asdict(hook) for hook in self.hooks.values()],
            "runners_work": self.runners_work,
            "next": [self._next_pipeline, self._next_job],
        }

    def load(self, data: dict[str, Any]) -> None:
        self.files = {int(key): CiFile(**file) for key, file in data["files"].items()}
        found = [
            Pipeline(**{**one, "jobs": [Job(**job) for job in one["jobs"]]})
            for one in data["pipelines"]
        ]
        self.pipelines = {pipeline.id: pipeline for pipeline in found}
        self.hooks = {hook["id"]: ProjectHook(**hook) for hook in data["hooks"]}
        self.runners_work = data["runners_work"]
        self._next_pipeline, self._next_job = data["next"]
