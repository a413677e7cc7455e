"""Jenkins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Self

from delivr.outbound import Download

from ..base import Check, Option, ProviderError
from ..ci import (
    BuildHandle,
    BuildRequest,
    BuildState,
    CiProvider,
    Duplicate,
    LogTail,
    Parameter,
    Retry,
)
from ..http import DEADLINE, before_effect, only_provider_errors
from ..verifying import try_in_order
from .client import LABEL, JenkinsClient
from .duplicates import Duplicates
from .jobs import list_jobs
from .log import read_tail
from .lookup import Lookup, job_unreadable
from .paths import full_name, normalise_job_path
from .reading import BUILD_ID, Job, artifact_path
from .trigger import queued_build, trigger_error
from .verification import Verification, check_buildable, check_choices, check_parameters, job_at


class Jenkins(CiProvider):
    """One job of one Jenkins. `job_path` in any form that `normalise_job_path` accepts; it may be
    empty if only `jobs` is called."""

    label = LABEL
    sender = "jenkins"
    address_field = "jenkins_url"
    deadline = DEADLINE
    has_downloads = True

    def __init__(self, *, url: str, username: str, api_token: str, job_path: str) -> None:
        self._url = url.strip().rstrip("/")
        self._username = username.strip()
        self._token = api_token.strip()
        self._entered_path = job_path

    @classmethod
    def from_connection(cls, connection: Any) -> Self:
        return cls(
            url=connection.server_url,
            username=connection.username,
            api_token=connection.api_token.reveal(),
            job_path=connection.job,
        )

    def checks(self) -> Iterator[Check]:
        check = Verification(self._client(), self._path)
        return try_in_order(
            self.label,
            [
                ("address", check.sign_in),
                ("account", check.account),
                ("job", check.job),
                ("permission", check.permission),
                ("parameters", check.parameters),
                ("correlation", check.correlation),
            ],
        )

    @only_provider_errors
    def jobs(self) -> list[Option]:
        return list_jobs(self._client())

    @only_provider_errors
    def parameters(self) -> list[Parameter]:
        return list(self._job(self._client(), self._path()).parameters.values())

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
        job = self._job(client, path)
        check_buildable(job, path)
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
