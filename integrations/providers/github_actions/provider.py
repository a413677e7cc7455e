"""GitHub Actions as a CI server: one workflow of one repository."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Self
from urllib.parse import quote

from ..base import Check, Option, Outcome, ProviderError
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
from ..github.addresses import Repository, api_url, read_repository
from ..github.provider import credential_of
from ..github.sessions import Session
from ..github.verification import NEEDED, verification_of
from ..http import DEADLINE, before_effect, only_provider_errors
from ..templates import tried_parameters
from ..verifying import first_contact, try_in_order
from .failures import read_failure
from .inputs import inputs_for
from .paths import normalise_workflow
from .reading import LABEL
from .repository import Pages
from .runs import Runs
from .sources import WorkflowSource
from .trigger import dispatch, started_run
from .verification import Verification, check_startable
from .webhook import parse
from .workflows import BUILD_ID, Workflow

if TYPE_CHECKING:
    from .client import ActionsClient


class GitHubActions(CiProvider):
    """`workflow`: a file name; it may be empty if only `jobs` is called."""

    label = LABEL
    scm_kinds = ("GITHUB",)
    sender = "github"
    parsers: ClassVar[Mapping[str, Parser]] = {"github": parse}
    force_cancel_after = timedelta(minutes=6)  # GitHub itself ends every job after 5
    deadline = DEADLINE

    def __init__(
        self,
        *,
        repository_url: str,
        access_token: str | Session,
        workflow: str,
        parameters: Mapping[str, str] | None = None,
        has_own_token: bool = True,
    ) -> None:
        self._repository = _repository(repository_url)
        self._credential = access_token
        self._entered_workflow = workflow
        self._parameters = parameters or {}
        self._has_own_token = has_own_token

    @classmethod
    def from_connection(cls, connection: Any) -> Self:
        if connection.scm_id is None:
            raise ProviderError(
                "no_repository",
                "The pipeline has no repository.",
                "First choose the repository that the pipeline builds from.",
                outcome=Outcome.REFUSED,
            )
        token, scm = connection.api_token, connection.scm
        is_borrowed = not token and connection.disconnected_at is None
        return cls(
            repository_url=scm.repository_url,
            access_token=credential_of(scm) if is_borrowed else token.reveal().strip(),
            workflow=connection.job,
            parameters=tried_parameters(connection),
            has_own_token=bool(connection.api_token),
        )

    @classmethod
    def home_of(cls, connection: Any) -> str:
        return Pages(_repository(connection.scm.repository_url)).server

    @staticmethod
    def job_name(values: Mapping[str, Any]) -> str:
        try:
            return normalise_workflow(values.get("workflow") or "")
        except ValueError:
            return ""

    @staticmethod
    def is_retry(handle: BuildHandle, *, of: BuildHandle) -> bool:
        runs = {one.external_id.partition("/")[0] for one in (handle, of)}
        return len(runs) == 1 and "" not in runs and handle.external_id != of.external_id

    def checks(self) -> Iterator[Check]:
        client = functools.cache(self._client)
        of_repository = verification_of(self._credential)(
            client, lambda: self._name, needed={**NEEDED, "actions": "write"}
        )
        check = Verification(of_repository, lambda: self._source(client()), self._parameters)
        yield from try_in_order(
            self.label,
            [
                ("credentials", lambda: first_contact(self.label, of_repository.sign_in)),
                ("account", of_repository.account),
                ("repository", of_repository.repository),
                ("permission", of_repository.permission),
                ("workflow", check.workflow),
                ("parameters", check.parameters),
                ("correlation", check.correlation),
                ("concurrency", check.concurrency),
                ("expiry", of_repository.expiry),
            ],
        )
        if self._has_own_token:  # otherwise the repository's connection has the expiry
            self.expires_at = of_repository.expires

    @only_provider_errors
    def jobs(self) -> list[Option]:
        client = self._client()
        data = client.get(f"/repos/{self._name}").data
        branch = data.get("default_branch") if isinstance(data, dict) else ""
        return WorkflowSource(client, self._name).startable(str(branch))

    @only_provider_errors
    def parameters(self) -> list[Parameter]:
        client = self._client()
        data = client.get(f"/repos/{self._name}").data
        workflow = self._source(client).read(str(data.get("default_branch")))
        return [
            Parameter(
                name=one.name,
                kind=one.kind,
                default=one.default,
                choices=one.options,
                description=one.description,
                is_required=one.is_required,
            )
            for one in workflow.inputs.values()
        ]

    # --- Builds -----------------------------------------------------------------------------------

    @only_provider_errors
    def trigger(self, request: BuildRequest) -> BuildState:
        """Dispatch the workflow as it is on the request's branch, with the inputs that it declares
        there."""
        client = self._client()
        source = self._source(client)
        workflow, inputs = before_effect(self.label, lambda: self._prepared(source, request))
        path = f"/repos/{self._name}/actions/workflows/{quote(source.file)}/dispatches"
        answer = dispatch(client, path, request, inputs)
        if (state := started_run(answer, self._pages)) is not None:
            return state
        return _unnamed(workflow)

    def _prepared(
        self, source: WorkflowSource, request: BuildRequest
    ) -> tuple[Workflow, dict[str, str]]:
        workflow = source.read(request.branch)
        check_startable(workflow, source.file)
        return workflow, inputs_for(
            workflow, request.parameters, build_id=request.build_id, most=source.most_inputs
        )

    @only_provider_errors
    def find(self, request: BuildRequest, *, since: datetime) -> BuildState | None:
        """By our id in the run's name. If the workflow does not put it there, a single run that may
        be ours is taken; if there are several, a person has to choose."""
        client = self._client()
        runs = self._runs(client)
        if (found := runs.find(request.build_id, since=since)) is not None:
            return found
        if self._source(client).read(request.branch).carries_build_id:
            return None
        candidates = runs.started_by_us(request.branch, since=since)
        if len(candidates) > 1:
            words = (
                f"{len(candidates)} runs of this workflow may be the build; none has delivr's id."
            )
            raise _uncertain(words)
        return runs.first_attempt(candidates[0]) if candidates else None

    @only_provider_errors
    def check_absent(self, request: BuildRequest, *, since: datetime) -> None:
        """A run without our id in its name may be there and look like somebody else's: its start
        is told by GitHub's clock, its actor by the token of then. A person has to decide."""
        client = self._client()
        is_named = self._source(client).read(request.branch).carries_build_id
        if not is_named or self._runs(client).started_by_us(request.branch, since=since):
            raise _uncertain(
                "GitHub may have started this build without delivr's id in the run's name."
            )

    @only_provider_errors
    def read(
        self, handle: BuildHandle, *, build_id: str, since: datetime | None = None
    ) -> BuildState | None:
        runs = self._runs(self._client())
        if handle.external_id:
            return runs.attempt(handle)
        if handle.number is not None:
            return runs.numbered(handle.number)
        return runs.find(build_id, since=since)

    @only_provider_errors
    def cancel(self, handle: BuildHandle) -> None:
        if handle.external_id:
            self._runs(self._client()).cancel(handle)

    @only_provider_errors
    def force_cancel(self, handle: BuildHandle) -> None:
        if handle.external_id:
            self._runs(self._client()).cancel(handle, force=True)

    @only_provider_errors
    def log_tail(self, handle: BuildHandle) -> LogTail:
        return read_failure(self._client(), self._name, handle)

    @only_provider_errors
    def artifact_address(self, key: str) -> str:
        return self._client().address_of(f"/repos/{self._name}/actions/artifacts/{int(key)}/zip")

    @only_provider_errors
    def find_all(self, *, build_id: str, since: datetime) -> list[BuildState]:
        return self._runs(self._client()).all_with(build_id, since=since)

    @only_provider_errors
    def retries(self, handle: BuildHandle, *, build_id: str, since: datetime) -> list[Retry]:
        return self._runs(self._client()).retries(handle) if handle.external_id else []

    @only_provider_errors
    def builds_of(self, branch: str, *, since: datetime) -> list[BuildState]:
        return self._runs(self._client()).of_branch(branch, since=since)

    @only_provider_errors
    def stop_duplicate(self, handle: BuildHandle, *, build_id: str) -> Duplicate:
        runs = self._runs(self._client())
        known = runs.duplicate(handle, build_id=build_id)
        if known is not None:
            return Duplicate.ENDED if known is Duplicate.STOPPED else known  # by someone else
        return Duplicate.STOPPED if runs.cancel(handle) else Duplicate.ENDED

    @only_provider_errors
    def duplicate(self, handle: BuildHandle, *, build_id: str) -> Duplicate | None:
        return self._runs(self._client()).duplicate(handle, build_id=build_id)

    # --- Requests ---------------------------------------------------------------------------------

    @property
    def _name(self) -> str:
        return self._repository.full_name

    @property
    def _pages(self) -> Pages:
        return Pages(self._repository)

    def _runs(self, client: ActionsClient) -> Runs:
        return Runs(client, self._pages, self._file())

    def _source(self, client: ActionsClient) -> WorkflowSource:
        return WorkflowSource(client, self._name, self._file())

    def _file(self) -> str:
        try:
            return normalise_workflow(self._entered_workflow)
        except ValueError as error:
            words = str(error)
        raise ProviderError("bad_workflow", words, outcome=Outcome.REFUSED)

    def _client(self) -> ActionsClient:
        from .client import ActionsClient  # PyGithub costs 0.7 s to import

        return ActionsClient(
            self._credential, api_url=api_url(self._repository.server), deadline=self.deadline
        )


def _repository(url: str) -> Repository:
    found = read_repository(url)
    if found is None:
        raise ProviderError(
            "bad_repository",
            "The address of the pipeline's repository is not on a GitHub server.",
            "Choose another repository for the pipeline.",
            outcome=Outcome.REFUSED,
        )
    return found


def _uncertain(message: str) -> ProviderError:
    return ProviderError(
        "cannot_correlate",
        message,
        f"Look for its run on GitHub, then adopt it or retry. If the run-name contains the input "
        f"{BUILD_ID}, delivr finds runs automatically.",
        outcome=Outcome.REFUSED,
    )


def _unnamed(workflow: Workflow) -> BuildState:
    """Accepted by a server that does not say which run it started. Polling finds a run with our id;
    without one, `find` looks among the runs that were started since then."""
    if workflow.carries_build_id:
        return BuildState(status=BuildStatus.QUEUED)
    raise ProviderError(
        "no_run_id",
        "GitHub accepted the run, but did not say which one it is.",
        "delivr looks for it among the branch's runs.",
        outcome=Outcome.UNCERTAIN,
    )
