"""GitLab CI as the server that builds: pipelines of one project."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
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
from ..gitlab.addresses import read_address
from ..gitlab.provider import GitLab
from ..http import DEADLINE, before_effect, only_provider_errors
from ..templates import tried_parameters
from ..verifying import is_fatal, try_in_order
from .client import PipelineClient, PipelineProject
from .failures import read_failure
from .pipelines import Pipelines
from .reading import LABEL, external_id, job_of_artifact, pipeline_and_attempt
from .source import Source
from .trigger import create, payload_for
from .verification import Verification


class GitLabCi(CiProvider):
    """Of the project of its SCM connection, with a token of its own or that one's. `hook_path`: see
    `Verification`."""

    label = LABEL
    scm_kinds = ("GITLAB",)
    sender = "gitlab"
    has_downloads = True
    force_cancel_after = timedelta(minutes=6)  # a runner ends what follows a job's script after 5
    deadline = DEADLINE

    def __init__(
        self,
        *,
        repository_url: str,
        access_token: str,
        server: str = "",
        parameters: Mapping[str, str] | None = None,
        has_own_token: bool = True,
        hook_path: str = "",
    ) -> None:
        self._host = GitLab(repository_url=repository_url, access_token=access_token, server=server)
        self._token = access_token.strip()
        self._parameters = parameters or {}
        self._has_own_token = has_own_token
        self._hook_path = hook_path

    @classmethod
    def from_connection(cls, connection: Any) -> Self:
        if connection.scm_id is None:
            raise ProviderError.refused(
                "no_repository",
                "The pipelines are those of a project.",
                "Choose first what the pipeline builds from.",
            )
        token = connection.api_token
        if not token and connection.disconnected_at is None:
            token = connection.scm.access_token
        return cls(
            repository_url=connection.scm.repository_url,
            access_token=token.reveal(),
            server=connection.scm.options.get("server", ""),
            parameters=tried_parameters(connection),
            has_own_token=bool(connection.api_token),
            hook_path=f"/webhooks/{cls.sender}/{connection.pk}",
        )

    @classmethod
    def home_of(cls, connection: Any) -> str:
        address = read_address(connection.scm.repository_url)
        return address.host if address else ""

    @staticmethod
    def job_name(values: Mapping[str, Any]) -> str:
        """A project has one CI file."""
        return LABEL

    @staticmethod
    def is_retry(handle: BuildHandle, *, of: BuildHandle) -> bool:
        if not handle.external_id or not of.external_id or handle.external_id == of.external_id:
            return False
        pipelines = {pipeline_and_attempt(one.external_id)[0] for one in (handle, of)}
        return len(pipelines) == 1

    def checks(self) -> Iterator[Check]:
        """Those of the project, and what pipelines need besides."""
        for one in self._host.checks():
            yield one
            if is_fatal(one):
                return
        if self._has_own_token:  # else it is the project's connection that ends
            self.expires_at = self._host.expires_at
        check = Verification(self._project, self._parameters, self._hook_path)
        yield from try_in_order(
            self.label,
            [
                ("version", check.version),
                ("ci_file", check.ci_file),
                ("parameters", check.parameters),
                ("correlation", check.correlation),
                ("webhook", check.webhook),
            ],
        )

    def jobs(self) -> list[Option]:
        return []  # a project has one CI file

    @only_provider_errors
    def parameters(self) -> list[Parameter] | None:
        file = Source(self._project()).setup().file
        if not file.takes_inputs:
            return None
        return [
            Parameter(
                name=one.name,
                kind=one.kind,
                default=one.default or "",
                choices=one.options,
                description=one.description,
                is_required=one.default is None,
            )
            for one in file.inputs.values()
        ]

    # --- Builds -----------------------------------------------------------------------------------

    @only_provider_errors
    def trigger(self, request: BuildRequest) -> BuildState:
        """Create a pipeline of the request's branch, with what its CI file there takes."""
        project, body = before_effect(self.label, lambda: self._prepared(request))
        made = create(project, body)
        return BuildState(
            status=made.state,
            external_id=external_id(made.id, 1),
            number=made.id,
            url=Pipelines(project).page_of(made.id),
        )

    def _prepared(self, request: BuildRequest) -> tuple[PipelineProject, dict[str, Any]]:
        project = self._project()
        return project, payload_for(Source(project).setup(request.branch), request)

    @only_provider_errors
    def find(self, request: BuildRequest, *, since: datetime) -> BuildState | None:
        """By our id, in a pipeline's name or variables. Where it may not be there, by what else is
        known: a single pipeline that may be ours is; of several a person has to choose."""
        project = self._project()
        pipelines = Pipelines(project)
        found = pipelines.find(request.build_id, since=since, ref=request.branch)
        if found is not None or Source(project).setup(request.branch).carries_build_id:
            return found
        candidates = pipelines.started_by_us(request.branch, since=since)
        if len(candidates) > 1:
            raise _several(len(candidates))
        return pipelines.first_attempt(candidates[0]) if candidates else None

    @only_provider_errors
    def check_absent(self, request: BuildRequest, *, since: datetime) -> None:
        """A pipeline that does not tell our id may be there and look like somebody else's: GitLab's
        clock tells its start, and the token of then its user. A person has to decide."""
        project = self._project()
        setup, pipelines = Source(project).setup(request.branch), Pipelines(project)
        if not setup.names_build_id and pipelines.may_hide_ours(
            request.branch, since=since, carries_id=setup.carries_build_id
        ):
            raise _untold()

    @only_provider_errors
    def read(
        self, handle: BuildHandle, *, build_id: str, since: datetime | None = None
    ) -> BuildState | None:
        pipelines = Pipelines(self._project())
        if handle.external_id:
            return pipelines.attempt(handle)
        if handle.number is not None:
            return pipelines.newest(handle.number)
        return pipelines.find(build_id, since=since)

    @only_provider_errors
    def cancel(self, handle: BuildHandle) -> None:
        if handle.external_id:
            Pipelines(self._project()).cancel(handle)

    @only_provider_errors
    def force_cancel(self, handle: BuildHandle) -> None:
        if handle.external_id:
            Pipelines(self._project()).force_cancel(handle)

    @only_provider_errors
    def artifact(self, handle: BuildHandle, url: str) -> Download:
        job = job_of_artifact(url)
        if job is None:
            raise ProviderError.refused("not_found", "This is not an artifact of a job in GitLab.")
        return self._project().open(f"/jobs/{job}/artifacts")

    @only_provider_errors
    def log_tail(self, handle: BuildHandle) -> LogTail:
        project = self._project()
        return read_failure(project, Pipelines(project).jobs_of(handle))

    @only_provider_errors
    def find_all(self, *, build_id: str, since: datetime) -> list[BuildState]:
        return Pipelines(self._project()).all_with(build_id, since=since)

    @only_provider_errors
    def retries(self, handle: BuildHandle, *, build_id: str, since: datetime) -> list[Retry]:
        return Pipelines(self._project()).retries(handle) if handle.external_id else []

    @only_provider_errors
    def builds_of(self, branch: str, *, since: datetime) -> list[BuildState]:
        return Pipelines(self._project()).of_branch(branch, since=since)

    @only_provider_errors
    def stop_duplicate(self, handle: BuildHandle, *, build_id: str) -> Duplicate:
        pipelines = Pipelines(self._project())
        known = pipelines.duplicate(handle, build_id=build_id)
        if known is not None:
            return Duplicate.ENDED if known is Duplicate.STOPPED else known  # by somebody else
        return Duplicate.STOPPED if pipelines.cancel(handle) else Duplicate.ENDED

    @only_provider_errors
    def duplicate(self, handle: BuildHandle, *, build_id: str) -> Duplicate | None:
        return Pipelines(self._project()).duplicate(handle, build_id=build_id)

    # --- What is asked ----------------------------------------------------------------------------

    def _project(self) -> PipelineProject:
        found = self._host.project()
        client = PipelineClient(self._token, server=found.client.server, deadline=self.deadline)
        return PipelineProject(client, found.path)


def _untold() -> ProviderError:
    return ProviderError.refused(
        "cannot_correlate",
        "A pipeline of this branch may be the build, and does not tell its id to this token.",
        "Look in GitLab whether it started, then adopt it or retry. With the input delivr_build_id "
        "in the pipeline's name, it is found by itself.",
    )


def _several(count: int) -> ProviderError:
    return ProviderError.refused(
        "cannot_correlate",
        f"{count} pipelines of this branch may be the build, and none has our id.",
        "Look in GitLab which one it is, then adopt it or retry. With the input delivr_build_id in "
        "the pipeline's name, it is found by itself.",
    )
