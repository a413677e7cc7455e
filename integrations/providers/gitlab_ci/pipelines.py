"""Finds, reads and stops the pipelines of one project.

https://docs.gitlab.com/api/pipelines/
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from ..base import Outcome, ProviderError
from ..ci import OURS, BuildHandle, BuildState, BuildStatus, Duplicate, Retry
from ..gitlab.project import Project
from ..http import dicts
from ..json_values import build_id_in, line
from .attempts import Attempt, attempts_of
from .reading import (
    API,
    FROM_OUTSIDE,
    WORDS,
    Job,
    Pipeline,
    artifacts_of,
    external_id,
    pipeline_and_attempt,
    read_jobs,
    read_pipeline,
    username_of,
)
from .reasons import why_waiting

PAGE, PAGES = 100, 5
MOST_LOOKED_AT = 20  # pipelines whose variables are read
CLOCK_SKEW = timedelta(minutes=10)  # between this server's clock and GitLab's
CLOSE = timedelta(minutes=1)  # the same, where a mistake would take somebody else's pipeline
MOST_RETRIES = 5
MOST_CHILDREN = 10  # pipelines whose artifacts are listed: each takes two calls of one poll
MOST_OF_BRANCH = 5  # each takes a few requests: a list does not tell who started a pipeline
VERSION, _BRANCH, BUILD_ID = OURS


class Pipelines:
    def __init__(self, project: Project) -> None:
        self._project = project

    # --- One pipeline -----------------------------------------------------------------------------

    def attempt(self, handle: BuildHandle) -> BuildState | None:
        """The attempt of the handle, whatever became of the pipeline since then."""
        number, attempt = pipeline_and_attempt(handle.external_id)
        pipeline = self._read(number)
        if pipeline is None:
            return None
        if not pipeline.is_over and attempt == 1:
            return self._moving(pipeline)
        attempts = self._attempts(pipeline)
        return self._state(pipeline, attempts[attempt - 1]) if attempt <= len(attempts) else None

    def newest(self, number: int) -> BuildState | None:
        """The newest attempt of the pipeline with this id, as the pages of GitLab show it."""
        pipeline = self._read(number)
        if pipeline is None:
            return None
        variables = self._variables_of(pipeline.id) or {}
        carried = pipeline.build_id or build_id_in(variables.get(BUILD_ID))
        state = self._state(pipeline, self._attempts(pipeline)[-1], carried=carried)
        return replace(state, version=line(variables.get(VERSION)))

    def _read(self, number: int) -> Pipeline | None:
        """None if it was deleted. Raises ProviderError where pipelines cannot be read at all: a 404
        says nothing then."""
        try:
            return read_pipeline(self._project.get(f"/pipelines/{number}"))
        except ProviderError as error:
            if error.code != "not_found":
                raise
        self._project.get("/pipelines", per_page=1)
        return None

    def jobs(self, number: int, *, with_retried: bool = False) -> list[Job]:
        """Its jobs and bridges."""
        more = {"include_retried": "true"} if with_retried else {}
        below = f"/pipelines/{number}"
        pages = [
            *self._project.pages(f"{below}/jobs", size=PAGE, most=PAGES, **more),
            *self._project.pages(f"{below}/bridges", size=PAGE, most=1),
        ]
        return read_jobs([item for page in pages for item in page])

    def _attempts(self, pipeline: Pipeline) -> list[Attempt]:
        return attempts_of(self.jobs(pipeline.id, with_retried=True), pipeline.started_at)

    def jobs_of(self, handle: BuildHandle) -> Sequence[Job]:
        """Those of one attempt."""
        number, attempt = pipeline_and_attempt(handle.external_id)
        pipeline = self._read(number)
        attempts = self._attempts(pipeline) if pipeline else []
        return attempts[attempt - 1].jobs if attempt <= len(attempts) else ()

    def _moving(self, pipeline: Pipeline) -> BuildState:
        """The first attempt, or one that goes on with it: how the first one ended shows in the
        end."""
        waits = pipeline.state in (BuildStatus.QUEUED, BuildStatus.WAITING)
        reason = why_waiting(pipeline, self.jobs(pipeline.id)) if waits else ""
        return self._built(pipeline, pipeline.state, reason=reason, started_at=pipeline.started_at)

    def _state(self, pipeline: Pipeline, attempt: Attempt, *, carried: str = "") -> BuildState:
        is_last = attempt.ended_by is None
        status = pipeline.state if is_last else attempt.verdict
        started_at = attempt.began_at or pipeline.started_at
        ended_at = pipeline.finished_at if is_last else attempt.finished_at
        took = ended_at - started_at if ended_at and started_at and pipeline.is_over else None
        is_good = status is BuildStatus.SUCCESS
        return self._built(
            pipeline,
            status,
            attempt=attempt.number,
            reason=_of_end(pipeline, attempt) if is_last else "",
            started_at=started_at,
            duration_ms=int(took.total_seconds() * 1000) if took and took > timedelta(0) else None,
            artifacts=self._artifacts(attempt) if is_good else (),
            carried_id=carried or pipeline.build_id,
            started_by=attempt.began_by or pipeline.user,
        )

    def _artifacts(self, attempt: Attempt) -> Any:
        """Also those of its child pipelines, as far as there is time for them."""
        jobs = list(attempt.jobs)
        children = [job.child for job in attempt.jobs if job.child is not None]
        for child in children[:MOST_CHILDREN]:
            jobs += self.jobs(child)
        return artifacts_of(jobs, self._project.page)

    def _built(
        self,
        pipeline: Pipeline,
        status: BuildStatus,
        *,
        reason: str,
        attempt: int = 1,
        **facts: Any,
    ) -> BuildState:
        return BuildState(
            status=status,
            external_id=external_id(pipeline.id, attempt),
            number=pipeline.id,
            url=self.page_of(pipeline.id),
            queue_reason=reason,
            commit=pipeline.commit,
            branch=pipeline.ref,
            **{"carried_id": pipeline.build_id, "started_by": pipeline.user, **facts},
        )

    def page_of(self, number: int) -> str:
        return f"{self._project.page}/-/pipelines/{number}"

    # --- Several ----------------------------------------------------------------------------------

    def _listed(self, since: datetime | None, skew: timedelta, **search: str) -> Iterator[Pipeline]:
        """The newest first. Each was changed after it was created, and GitLab has long known how
        to search by that."""
        if since is not None:
            search["updated_after"] = f"{(since - skew).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        pages = self._project.pages("/pipelines", size=PAGE, most=PAGES, **search)
        for item in (item for page in pages for item in page):
            pipeline = read_pipeline(item)
            if since is None or pipeline.created_at is None or pipeline.created_at >= since - skew:
                yield pipeline

    def with_id(self, build_id: str, *, since: datetime | None, **search: str) -> list[Pipeline]:
        """Those that carry our id, in their names or else in their variables, the oldest first.
        Raises ProviderError if there are too many to look at."""
        found, unnamed = [], []
        for pipeline in self._listed(since, CLOCK_SKEW, source=API, **search):
            if pipeline.build_id == build_id:
                found.append(pipeline)
            elif not pipeline.build_id:
                unnamed.append(pipeline)
        if not found:
            found = [one for one in _few(unnamed) if self._build_id_of(one.id) == build_id]
        return sorted(found, key=lambda one: one.id)

    def _build_id_of(self, number: int) -> str:
        """From its variables, "" without one or where they are hidden."""
        return self._told_id(number) or ""

    def _told_id(self, number: int) -> str | None:
        """The same, but None where they are hidden."""
        variables = self._variables_of(number)
        return None if variables is None else build_id_in(variables.get(BUILD_ID))

    def _variables_of(self, number: int) -> dict[str, Any] | None:
        """GitLab shows them to maintainers and to who started it; None where it hides them."""
        try:
            data = self._project.get(f"/pipelines/{number}/variables", per_page=PAGE)
        except ProviderError as error:
            if error.outcome not in (Outcome.REFUSED, Outcome.CREDENTIALS):
                raise
            return None
        return {line(one.get("key")): one.get("value") for one in dicts(data)}

    def started_by_us(self, branch: str, *, since: datetime) -> list[Pipeline]:
        """Pipelines without an id of delivr that may be ours: started by the API on the branch
        since then, by the user whose token we have."""
        listed = self._listed(since, CLOSE, source=API, ref=branch, username=self._username())
        unnamed = [one for one in listed if not one.build_id]
        return [one for one in _few(unnamed) if not self._build_id_of(one.id)]

    def may_hide_ours(self, branch: str, *, since: datetime, carries_id: bool) -> bool:
        """True if a pipeline of the branch may be ours and not tell: none has to carry our id
        (`carries_id`), or its variables are hidden, as those that another user started, whose token
        we had then."""
        listed = self._listed(since, CLOCK_SKEW, source=API, ref=branch)
        told = (self._told_id(one.id) for one in _few([p for p in listed if not p.build_id]))
        return any(found is None or not (found or carries_id) for found in told)

    def _username(self) -> str:
        return username_of(self._project.client.get("/user").data)

    def first_attempt(self, pipeline: Pipeline, *, build_id: str = "") -> BuildState | None:
        """What was started. It is read again: a list tells less."""
        state = self.attempt(BuildHandle(external_id=external_id(pipeline.id, 1)))
        return state and replace(state, carried_id=build_id or state.carried_id)

    def find(self, build_id: str, *, since: datetime | None, **search: str) -> BuildState | None:
        found = self.with_id(build_id, since=since, **search)
        return self.first_attempt(found[0], build_id=build_id) if found else None

    def all_with(self, build_id: str, *, since: datetime) -> list[BuildState]:
        """Every pipeline with our id. Its retries are a person's, and not listed."""
        return [
            self._built(one, one.state, reason="") for one in self.with_id(build_id, since=since)
        ]

    def of_branch(self, branch: str, *, since: datetime) -> list[BuildState]:
        """Those that somebody started from outside, each in its newest attempt, the newest first:
        of those that go on or ended well, the newest few."""
        listed = (
            one
            for one in self._listed(since, CLOCK_SKEW, ref=branch)
            if one.source in FROM_OUTSIDE and (not one.is_over or one.state is BuildStatus.SUCCESS)
        )
        states = (self.newest(one.id) for one in islice(listed, MOST_OF_BRANCH))
        return [state for state in states if state is not None]

    def retries(self, handle: BuildHandle) -> list[Retry]:
        """Later attempts of the pipeline, the newest first."""
        number, attempt = pipeline_and_attempt(handle.external_id)
        pipeline = self._read(number)
        if pipeline is None:
            return []
        later = [one for one in self._attempts(pipeline) if one.number > attempt]
        return [
            Retry(state=self._state(pipeline, one), started_by=one.began_by, commit=pipeline.commit)
            for one in later[: -MOST_RETRIES - 1 : -1]
        ]

    # --- Stopping ---------------------------------------------------------------------------------

    def cancel(self, handle: BuildHandle) -> bool:
        """Ask GitLab to end it, with its child pipelines; False if it ended before, or a person
        retries it by now. GitLab answers one that is over as if it had been canceled."""
        if not self._goes_on(handle):
            return False
        number, _attempt = pipeline_and_attempt(handle.external_id)
        self._stop(
            f"/pipelines/{number}/cancel",
            "GitLab does not let the token's user cancel pipelines.",
            "Cancel it in GitLab. Who may is set there under Settings > CI/CD > General pipelines.",
        )
        return True

    def force_cancel(self, handle: BuildHandle) -> None:
        """End the jobs that were canceled and that their runners do not end, also those of its
        child pipelines. https://docs.gitlab.com/api/jobs/#cancel-a-job"""
        if not self._goes_on(handle):
            return
        number, _attempt = pipeline_and_attempt(handle.external_id)
        jobs = self.jobs(number)
        for child in [job.child for job in jobs if job.child is not None][:MOST_CHILDREN]:
            jobs += self.jobs(child)
        for job in jobs:
            if job.status == "canceling":
                self._stop(
                    f"/jobs/{job.id}/cancel",
                    "GitLab lets only maintainers force-cancel a job.",
                    "Enter a token with the Maintainer role, or end the job in GitLab.",
                    force=True,
                )

    def _goes_on(self, handle: BuildHandle) -> bool:
        """False if it ended, or a person retries it by now."""
        number, attempt = pipeline_and_attempt(handle.external_id)
        pipeline = self._read(number)
        if pipeline is None or pipeline.is_over:
            return False
        return len(self._attempts(pipeline)) == attempt

    def _stop(self, below: str, message: str, hint: str, **body: Any) -> None:
        """Raises ProviderError with these words if the token's user may not."""
        try:
            self._project.post(below, **body)
        except ProviderError as error:
            failure = error
        else:
            return
        if failure.outcome is Outcome.CREDENTIALS:
            raise ProviderError.refused("cannot_cancel", message, hint)
        raise failure

    def duplicate(self, handle: BuildHandle, *, build_id: str) -> Duplicate | None:
        """How a second pipeline with our id stands; None while it goes on and is ours to stop."""
        number, attempt = pipeline_and_attempt(handle.external_id)
        pipeline = self._read(number)
        if pipeline is None:
            return Duplicate.GONE
        carried = pipeline.build_id or self._build_id_of(number)
        is_ours = pipeline.source == API and pipeline.user == self._username()
        if not is_ours or carried != build_id or attempt != 1:
            return Duplicate.FOREIGN
        if pipeline.state is BuildStatus.ABORTED:
            return Duplicate.STOPPED
        return Duplicate.ENDED if pipeline.is_over else None


def _of_end(pipeline: Pipeline, attempt: Attempt) -> str:
    """What its end means, where the status does not say it all."""
    if pipeline.mistake:
        return f"GitLab found a mistake in the CI file: {pipeline.mistake}"
    if pipeline.has_warnings:
        names = ", ".join(f"“{j.name}”" for j in attempt.jobs if j.has_failed and j.is_optional)
        return f"Passed with warnings: {names} failed, which is allowed." if names else ""
    return WORDS.get(pipeline.status, "")


def _few(pipelines: list[Pipeline]) -> list[Pipeline]:
    """Raises ProviderError if there are more than can be looked at one by one."""
    if len(pipelines) > MOST_LOOKED_AT:
        raise ProviderError.refused(
            "cannot_correlate",
            f"{len(pipelines)} pipelines may be the build: too many to look at.",
            "Look in GitLab which one it is, then adopt it or retry. With delivr_build_id in the "
            "pipeline's name, it is found by itself.",
        )
    return pipelines
