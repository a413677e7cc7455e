"""Jenkins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar, Self

from delivr.outbound import Download

from ..base import Check, Option, ProviderError
from ..ci import (
    BuildHandle,
    BuildRequest,
    BuildState,
    BuildStatus,
    CiProvider,
    Duplicate,
    LogTail,
    Parameter,
    Parser,
    Retry,
)
from ..http import DEADLINE, before_effect, only_provider_errors
from ..verifying import try_in_order
from .branches import (
    HAS_BRANCHES,
    branch_job,
    branch_jobs,
    check_first_run,
    missing_branch,
    project_of,
)
from .client import LABEL, JenkinsClient
from .duplicates import Duplicates
from .jobs import list_jobs
from .log import read_tail
from .lookup import Lookup, job_unreadable
from .paths import full_name, normalise_job_path
from .reading import (
    BUILD_ID,
    DESCRIBED_JOB_TREE,
    JOB_TREE,
    PLAIN_JOB_TREE,
    Job,
    artifact_path,
    is_multibranch,
    kind_words,
)
from .trigger import queued_build, trigger_error
from .verification import Verification, check_buildable, check_choices, check_parameters, job_at
from .webhook import parse


class Jenkins(CiProvider):
    """One job of one Jenkins. `job_path` in any form that `normalise_job_path` accepts; it may be
    empty if only `jobs` is called."""

    label = LABEL
    sender = "jenkins"
    address_field = "jenkins_url"
    discovered = (HAS_BRANCHES,)
    discovered_about = "jenkins_job_path"
    deadline = DEADLINE
    has_downloads = True
    parsers: ClassVar[Mapping[str, Parser]] = {"builds": parse}

    def __init__(
        self,
        *,
        url: str,
        username: str,
        api_token: str,
        job_path: str,
        parameters: Mapping[str, str] | None = None,
    ) -> None:
        self._url = url.strip().rstrip("/")
        self._username = username.strip()
        self._token = api_token.strip()
        self._entered_path = job_path
        self._parameters = parameters or {}

    @classmethod
    def from_connection(cls, connection: Any) -> Self:
        return cls(
            url=connection.server_url,
            username=connection.username,
            api_token=connection.api_token.reveal(),
            job_path=connection.job,
            parameters=connection.parameters,
        )

    @classmethod
    def counts_as(cls, connection: Any, status: BuildStatus) -> BuildStatus:
        is_unstable = status is BuildStatus.UNSTABLE
        is_good = is_unstable and connection.value_of("jenkins_unstable") == "GOOD_ENOUGH"
        return BuildStatus.SUCCESS if is_good else status

    @classmethod
    def job_of_branch(cls, connection: Any, branch: str) -> str:
        job: str = connection.job
        return branch_job(job, branch) if connection.options.get(HAS_BRANCHES) else job

    @classmethod
    def job_of_report(cls, connection: Any, reported: str) -> str:
        job: str = connection.job
        is_branch = project_of(reported).casefold() == job.casefold()
        if not (is_branch and connection.options.get(HAS_BRANCHES)):
            return job
        return job + reported[len(job) :]

    def checks(self) -> Iterator[Check]:
        check = Verification(self._client(), self._path, self._parameters)
        return try_in_order(
            self.label,
            [
                ("address", check.sign_in),
                ("account", check.account),
                ("availability", check.availability),
                ("job", check.job),
                ("permission", check.permission),
                ("parameters", check.parameters),
                *([("own_parameters", check.own_parameters)] if self._parameters else []),
                ("correlation", check.correlation),
            ],
        )

    @only_provider_errors
    def jobs(self) -> list[Option]:
        return list_jobs(self._client(), wanted=full_name(self._entered_path))

    @only_provider_errors
    def parameters(self) -> list[Parameter]:
        client, path = self._client(), self._path()
        job = job_at(client, path, (DESCRIBED_JOB_TREE, JOB_TREE, PLAIN_JOB_TREE))
        if is_multibranch(job.kind):
            named = (path for path, one in branch_jobs(client, path).items() if one.parameters)
            first = next(named, None)
            job = job_at(client, first, (DESCRIBED_JOB_TREE, JOB_TREE)) if first else job
        return [replace(one, kind=kind_words(one.kind)) for one in job.parameters.values()]

    @only_provider_errors
    def trigger(self, request: BuildRequest) -> BuildState:
        """Send one POST with the parameters that the job declares, our id among them.

        `is_shared` if Jenkins merged it into an equal queue item and the job does not declare our
        id, so the item may be someone else's.
        """
        client, path = self._client(), self._path()
        job = before_effect(self.label, lambda: self._ready_job(client, path))
        form = {
            name: value
            for name, value in {**request.parameters, BUILD_ID: request.build_id}.items()
            if name in job.parameters
        }
        check_choices(job, form)
        # Without a delay Jenkins waits for the quiet period, 5 s by default.
        action = "buildWithParameters" if job.parameters else "build"
        answer = client.post(f"{path}/{action}?delay=0sec", **form)
        if answer.status_code in (201, 303):
            return queued_build(answer, job)
        raise trigger_error(client, answer, path)

    @only_provider_errors
    def find(self, request: BuildRequest, *, since: datetime) -> BuildState | None:
        """Search for DELIVR_BUILD_ID in the queue and among the builds."""
        client, path = self._client(), self._path()
        if not self._job(client, path).carries_build_id:
            raise ProviderError.refused(
                "cannot_correlate",
                f"The job does not declare {BUILD_ID}, so its builds cannot be told apart.",
                "Check in Jenkins whether the build started, then adopt it or retry.",
            )
        return Lookup(client, path).find(request.build_id, since=since)

    @only_provider_errors
    def read(
        self, handle: BuildHandle, *, build_id: str, since: datetime | None = None
    ) -> BuildState | None:
        lookup = Lookup(self._client(), self._path())
        if handle.number is not None:
            return lookup.numbered(handle.number)
        if handle.queue_id is not None:
            return lookup.item(handle.queue_id, build_id=build_id, since=since)
        return lookup.find(build_id, since=since)

    @only_provider_errors
    def cancel(self, handle: BuildHandle) -> None:
        """Jenkins responds before the build stops: read it again to see its end."""
        lookup, number = Lookup(self._client(), self._path()), handle.number
        if number is None and handle.queue_id is not None:
            number = lookup.leave_queue(handle.queue_id)
        if number is not None:
            lookup.stop(number)

    @staticmethod
    def job_name(values: Mapping[str, Any]) -> str:
        """For example `mobile/ios`."""
        try:
            return full_name(normalise_job_path(values.get("jenkins_job_path") or ""))
        except ValueError:
            return ""

    @staticmethod
    def log_page(build_url: str) -> str:
        return f"{build_url.rstrip('/')}/console"

    @staticmethod
    def answer_page(build_url: str) -> str:
        return f"{build_url.rstrip('/')}/input/"

    @only_provider_errors
    def artifact(self, handle: BuildHandle, url: str) -> Download:
        """Only files of this job's build, whatever the address says: the part after `artifact/`
        counts."""
        name = artifact_path(url)
        if name is None or handle.number is None:
            raise ProviderError.refused("not_found", "This is not an artifact of a Jenkins build.")
        return self._client().open(f"{self._path()}/{handle.number}/artifact/{name}")

    @only_provider_errors
    def log_tail(self, handle: BuildHandle) -> LogTail:
        return read_tail(self._client(), f"{self._path()}/{handle.number}")

    @only_provider_errors
    def find_all(self, *, build_id: str, since: datetime) -> list[BuildState]:
        return Lookup(self._client(), self._path()).all_with(build_id, since=since)

    @only_provider_errors
    def retries(self, handle: BuildHandle, *, build_id: str, since: datetime) -> list[Retry]:
        if handle.number is None:  # it never left the queue
            return []
        return Lookup(self._client(), self._path()).retries(handle.number, build_id, since=since)

    @only_provider_errors
    def builds_of(self, branch: str, *, since: datetime) -> list[BuildState]:
        return Lookup(self._client(), self._path()).builds_of(branch, since=since)

    @only_provider_errors
    def stop_duplicate(self, handle: BuildHandle, *, build_id: str) -> Duplicate:
        """Stop it if a plain trigger by our user is its only cause."""
        return self._duplicates(build_id).stop(handle)

    @only_provider_errors
    def duplicate(self, handle: BuildHandle, *, build_id: str) -> Duplicate | None:
        return self._duplicates(build_id).look(handle)

    def _duplicates(self, build_id: str) -> Duplicates:
        return Duplicates(self._client(), self._path(), build_id=build_id, user=self._username)

    def _ready_job(self, client: JenkinsClient, path: str) -> Job:
        try:
            job = job_at(client, path)
        except ProviderError as error:
            if error.code != "job_not_found":
                raise
            job = None
        if job is None:
            raise missing_branch(client, path) or job_unreadable(path, self._username)
        check_buildable(job, path)
        check_first_run(client, job, path)
        check_parameters(job)
        return job

    def _job(self, client: JenkinsClient, path: str) -> Job:
        """The job. Not found is a temporary error: Jenkins hides jobs while it reloads."""
        try:
            return job_at(client, path)
        except ProviderError as error:
            if error.code != "job_not_found":
                raise
        raise job_unreadable(path, self._username)

    def _path(self) -> str:
        try:
            return normalise_job_path(self._entered_path)
        except ValueError as error:
            words = str(error)
        raise ProviderError.refused("bad_job_path", words)

    def _client(self) -> JenkinsClient:
        return JenkinsClient(
            url=self._url, username=self._username, api_token=self._token, deadline=self.deadline
        )
