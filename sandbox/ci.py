"""The engine of the Jenkins stand-in: queue, executors and builds, driven only by the clock."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import replace
from typing import Any

from sandbox.ci_jobs import MULTIBRANCH, RESULTS, RETRIES, Build, Job, QueueItem, dump, first_jobs
from sandbox.projects import APP, Projects
from sandbox.repositories import Repositories
from sandbox.shared import Shared
from sandbox.webhooks import Sender

LEFT_ITEM_MEMORY = 300.0  # seconds that Jenkins remembers an item that left the queue
FIRST_QUEUE_ID = 1001
REPOSITORY = ("dream11", "app")  # what the jobs build
HEADS = "refs/heads/"
INDEXING = ""  # the user of builds that a scan starts
# The characters that a multibranch project quotes in the names of its branches' jobs:
# https://github.com/jenkinsci/branch-api-plugin (NameEncoder)
QUOTED = "#%/?[]\\"


def encoded(branch: str) -> str:
    return "".join(f"%{ord(c):02X}" if c in QUOTED else c for c in branch)


class Ci:
    def __init__(
        self,
        shared: Shared,
        *,
        sender: Sender,
        github: Repositories,
        gitlab: Projects,
        auto_finish: float | None,
    ) -> None:
        self._shared = shared
        self._sender = sender
        self._github, self._gitlab = github, gitlab
        self.jobs = first_jobs(auto_finish)
        self.queue: dict[int, QueueItem] = {}  # queued and recently left
        self.builds: dict[str, list[Build]] = {}  # by job, oldest first
        self._running: dict[str, list[Build]] = {}  # those of `builds` that are still running
        self.next_queue_id = FIRST_QUEUE_ID
        self.sessions: dict[str, str] = {}  # HTTP sessions: id -> user, "" for nobody
        self.location_base = ""  # Jenkins' configured URL; "" = the requested one
        self.quiet_reason: str | None = None  # why it prepares to shut down; None: it does not
        self._backup: dict[str, Any] | None = None

    # Reading

    def job(self, full_name: str) -> Job:
        """Raises KeyError for a job that does not exist."""
        return self.jobs[full_name]

    def children(self, parent: str) -> list[Job]:
        return [job for job in self.jobs.values() if job.parent == parent]

    def builds_of(self, full_name: str) -> list[Build]:
        """Newest first."""
        return self.builds.get(full_name, [])[::-1]

    def build(self, full_name: str, number: int) -> Build | None:
        return next((b for b in self.builds_of(full_name) if b.number == number), None)

    def queued(self) -> list[QueueItem]:
        """Waiting items, oldest first."""
        return [item for item in self.queue.values() if item.is_queued]

    def item(self, queue_id: int) -> QueueItem | None:
        """An item that is waiting or left the queue less than five minutes ago."""
        item = self.queue.get(queue_id)
        if item and item.left_at is not None:
            forgotten = self._shared.clock() - item.left_at >= LEFT_ITEM_MEMORY
            return None if forgotten else item
        return item

    def equal_item(self, job: Job, parameters: dict[str, str]) -> QueueItem | None:
        """The waiting item into which a new one with these parameters would be merged."""
        waiting = (i for i in self.queued() if i.job == job.full_name)
        return next((i for i in waiting if i.parameters == parameters), None)

    def running(self, full_name: str) -> list[Build]:
        return list(self._running.get(full_name, ()))

    def why(self, item: QueueItem) -> str:
        """Jenkins' explanation of why an item is waiting."""
        job = self.jobs[item.job]
        if item.ready_at is None:
            left = item.quiet_until - self._shared.clock()
            return f"In the quiet period. Expires in {left:.1f} sec"
        if self.quiet_reason is not None:
            return "Jenkins is about to shut down"
        if self.is_blocked(item):
            return (
                f"Build #{self.running(job.full_name)[-1].number} is already in progress (ETA: N/A)"
            )
        return "Waiting for next available executor"

    def is_blocked(self, item: QueueItem) -> bool:
        job = self.jobs[item.job]
        return item.ready_at is not None and not job.concurrent and bool(self.running(item.job))

    # Changing

    def enqueue(
        self,
        job: Job,
        parameters: dict[str, str],
        *,
        user: str,
        delay: float | None = None,
        rebuilds: int | None = None,
        retried_by: str = "",
    ) -> QueueItem:
        """Put a build into the queue. `delay` in seconds; None = the job's quiet period."""
        quiet = job.quiet_period if delay is None else delay
        with self._shared.lock:  # the clock's thread iterates over the queue
            now = self._shared.clock()
            item = QueueItem(self.next_queue_id, job.full_name, parameters, user, now, now + quiet)
            item.rebuilds, item.retried_by = rebuilds, retried_by
            self.next_queue_id += 1
            self.queue[item.id] = item
            self._record("build.queued", item, queueId=item.id)
            self.settle(now)
        return item

    def rebuild(self, build: Build, *, user: str, by: str = "rebuild") -> QueueItem:
        """Run a build again with its parameters: `user` with the Rebuild plugin or Pipeline's
        replay, or the Naginator plugin on behalf of the original user."""
        if by not in RETRIES:
            raise ValueError(f"unknown retry {by!r}; one of {', '.join(RETRIES)}")
        job, parameters = self.jobs[build.job], dict(build.parameters)
        user = build.user if by == "naginator" else user
        return self.enqueue(
            job, parameters, user=user, delay=0, rebuilds=build.number, retried_by=by
        )

    def cancel(self, item: QueueItem) -> bool:
        """Take an item out of the queue; False if it has already left."""
        if not item.is_queued:
            return False
        item.left_at = self._shared.clock()
        item.cancelled = True
        self._record("build.cancelled", item, queueId=item.id)
        return True

    def finish(self, full_name: str, number: int, result: str = "SUCCESS") -> Build:
        """End a running build; one that has ended is not changed. Raises KeyError for an unknown
        build, ValueError for an unknown result."""
        if result not in RESULTS:
            raise ValueError(f"unknown result {result!r}; one of {', '.join(RESULTS)}")
        with self._shared.lock:
            self.settle(self._shared.clock())
            build = self.build(full_name, number)
            if build is None:
                raise KeyError(f"{full_name} #{number}")
            if build.building:
                self._end(build, result, self._shared.clock())
                self.settle(self._shared.clock())
            return build

    def ask(self, full_name: str, number: int, message: str) -> Build:
        """Have a running build ask a person. Raises KeyError, also for one that has ended."""
        with self._shared.lock:
            build = self.build(full_name, number)
            if build is None or not build.building:
                raise KeyError(f"{full_name} #{number}")
            build.question, build.questions = message, build.questions + 1
            self._shared.touch()
            return build

    def answer(self, full_name: str, number: int, *, proceed: bool) -> Build:
        """Answer its question. Raises KeyError if it asks none."""
        with self._shared.lock:
            build = self.build(full_name, number)
            if build is None or not build.question:
                raise KeyError(f"{full_name} #{number}")
            build.question = ""
            self._shared.touch()
        if not proceed:
            self.finish(full_name, number, "ABORTED")
        return build

    def quiet_down(self, reason: str = "") -> None:
        """Prepare to shut down: what is queued stays there, and what runs goes on."""
        with self._shared.lock:
            self.quiet_reason = reason
            self._shared.touch()

    def cancel_quiet_down(self) -> None:
        with self._shared.lock:
            self.quiet_reason = None
            self.settle(self._shared.clock())
            self._shared.touch()

    def scan(self, project: Job) -> list[Job]:
        """Create the jobs of a multibranch project's new branches, and build them. Returns them."""
        with self._shared.lock:
            repository = self._github.find(*REPOSITORY)
            refs = self._github.refs[repository.full_name] if repository else {}
            heads = [ref.removeprefix(HEADS) for ref in refs if ref.startswith(HEADS)]
            made = [job for branch in heads if (job := self._new_branch(project, branch))]
            self._shared.record("folder.scanned", "jenkins", job=project.full_name)
        for job in made if project.builds_found else ():
            self.enqueue(job, {}, user=INDEXING, delay=0)
        return made

    def scan_all(self) -> None:
        for project in [job for job in self.jobs.values() if job.kind == MULTIBRANCH]:
            self.scan(project)

    def _new_branch(self, project: Job, branch: str) -> Job | None:
        name = f"{project.full_name}/{encoded(branch)}"
        if name in self.jobs:
            return None
        like = next(iter(self.children(project.full_name)))
        fresh = {"full_name": name, "next_number": 1, "known_parameters": False}
        self.jobs[name] = Job.revive({**dump(like), **fresh})
        return self.jobs[name]

    def set_result(self, full_name: str, number: int, result: str) -> None:
        """Set a result while the build is still running, as a Pipeline may do."""
        with self._shared.lock:
            build = self.build(full_name, number)
            if build is None:
                raise KeyError(f"{full_name} #{number}")
            build.result = result
            self._shared.touch()

    def delete_build(self, full_name: str, number: int) -> None:
        """Remove a build as log rotation does: from now on Jenkins answers 404."""
        with self._shared.lock:
            for index in (self.builds, self._running):
                index[full_name] = [b for b in index.get(full_name, []) if b.number != number]
            self._shared.touch()

    def make_again(self, full_name: str) -> Job:
        """Delete and recreate a job: it has no builds, and the next one is #1."""
        with self._shared.lock:
            job = self.jobs[full_name]
            job.next_number = 1
            for index in (self.builds, self._running):
                index.pop(full_name, None)
            self.queue = {i.id: i for i in self.queue.values() if i.job != full_name}
            self._shared.touch()
            return job

    def back_up(self) -> None:
        """Keep a backup in memory, which is lost when the sandbox restarts."""
        with self._shared.lock:
            self._backup = deepcopy(self.dump())

    def restore(self) -> None:
        """Restore the backup: what was built and queued since is gone, and its numbers and queue
        ids are assigned again. Raises LookupError if there is no backup."""
        with self._shared.lock:
            if self._backup is None:
                raise LookupError("there is no backup")
            self.load(deepcopy(self._backup))
            self._shared.touch()

    def forget_left_items(self) -> None:
        """Forget the items that have left the queue, as a restart of Jenkins does."""
        with self._shared.lock:
            self.queue = {i.id: i for i in self.queued()}
            self._shared.touch()

    # Time

    def settle(self, now: float) -> None:
        """Apply everything that is due by `now`, in order of time."""
        while (moment := self._next_moment(now)) is not None:
            self._apply_due(moment)
        self._start_ready(now)
        self._forget(now)

    def _next_moment(self, now: float) -> float | None:
        ends = (end for build in self._all_running() if (end := self._due(build)) is not None)
        quiets = (item.quiet_until for item in self.queued() if item.ready_at is None)
        return min((m for m in (*ends, *quiets) if m <= now), default=None)

    def _apply_due(self, moment: float) -> None:
        for build in self._all_running():
            due = self._due(build)
            if due is not None and due <= moment:
                self._end(build, self.jobs[build.job].auto_finish_result, moment)
        for item in self.queued():
            if item.ready_at is None and item.quiet_until <= moment:
                item.ready_at = moment
        self._start_ready(moment)

    def _all_running(self) -> list[Build]:
        return [build for builds in self._running.values() for build in builds]

    def _due(self, build: Build) -> float | None:
        seconds = self.jobs[build.job].auto_finish_seconds
        return None if seconds is None or build.question else build.started_at + seconds

    def _start_ready(self, moment: float) -> None:
        for item in self.queued():
            if item.ready_at is not None and self._has_room(item):
                self._start(item, moment)

    def _has_room(self, item: QueueItem) -> bool:
        busy = len(self.running(item.job))
        if self.quiet_reason is not None:
            return False
        return busy < self.jobs[item.job].executors and not self.is_blocked(item)

    def _start(self, item: QueueItem, moment: float) -> None:
        job = self.jobs[item.job]
        build = Build(job.full_name, job.next_number, item.id, item.parameters, item.user, moment)
        build.rebuilds, build.retried_by = item.rebuilds, item.retried_by
        build.commit = self._commit(build)
        build.question, build.questions = job.asks, int(bool(job.asks))
        job.next_number += 1
        job.known_parameters = True
        self.builds.setdefault(job.full_name, []).append(build)
        self._running.setdefault(job.full_name, []).append(build)
        item.left_at, item.number = moment, build.number
        item.executable_hidden = job.late_executable
        self._record("build.started", build, number=build.number, queueId=item.id)
        self._sender.build_started(self._reporting(job), build)

    def _commit(self, build: Build) -> str:
        """The head of the build's branch, on GitLab where only that has it; "" if there is no such
        branch."""
        repository = self._github.find(*REPOSITORY)
        ref = f"refs/heads/{build.branch}"
        if repository and self._github.is_taken(repository, ref):
            return self._github.ref(repository, ref) or ""
        if commit := self._gitlab.refs[APP].get(ref):
            return commit
        return (repository and self._github.head_to_build(repository, ref)) or ""

    def _end(self, build: Build, result: str, moment: float) -> None:
        job = self.jobs[build.job]
        build.result, build.ended_at, build.question = result, moment, ""
        self._running[build.job].remove(build)
        build.logs = job.logs
        if result in ("SUCCESS", "UNSTABLE") and job.artifact:
            build.artifact = job.artifact.format(number=build.number)
        self._record("build.finished", build, number=build.number, result=result)
        self._sender.build_ended(self._reporting(job), build)

    def _reporting(self, job: Job) -> Job:
        """With the webhook of its multibranch project, whose Jenkinsfile all branches have."""
        project = self.jobs.get(job.parent)
        is_branch = project is not None and project.kind == MULTIBRANCH
        return replace(job, webhook=project.webhook) if project and is_branch else job

    def _forget(self, now: float) -> None:
        old = [i for i, item in self.queue.items() if self._is_forgotten(item, now)]
        for queue_id in old:
            del self.queue[queue_id]

    @staticmethod
    def _is_forgotten(item: QueueItem, now: float) -> bool:
        return item.left_at is not None and now - item.left_at >= LEFT_ITEM_MEMORY

    def _record(self, kind: str, thing: QueueItem | Build, **facts: Any) -> None:
        self._shared.record(kind, "jenkins", job=thing.job, parameters=thing.parameters, **facts)

    # Snapshot

    def dump(self) -> dict[str, Any]:
        return {
            "jobs": _dump_all(self.jobs.values()),
            "queue": _dump_all(self.queue.values()),
            "builds": {name: _dump_all(builds) for name, builds in self.builds.items()},
            "next_queue_id": self.next_queue_id,
            "location_base": self.location_base,
            "quiet_reason": self.quiet_reason,
        }

    def load(self, data: dict[str, Any]) -> None:
        self.jobs |= {item["full_name"]: Job.revive(item) for item in data["jobs"]}
        self.queue = {item["id"]: QueueItem(**item) for item in data["queue"]}
        self.builds = {
            name: [Build(**item) for item in items] for name, items in data["builds"].items()
        }
        self._running = {
            name: [build for build in builds if build.building]
            for name, builds in self.builds.items()
        }
        self.next_queue_id = data["next_queue_id"]
        self.location_base = data["location_base"]
        self.quiet_reason = data.get("quiet_reason")


def _dump_all(items: Iterable[Job | QueueItem | Build]) -> list[dict[str, Any]]:
    return [dump(item) for item in items]
