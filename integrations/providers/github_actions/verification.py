"""The checks of a GitHub Actions connection. They only read."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..base import Check, Level, Outcome, ProviderError
from ..ci import OURS
from ..github.verification import Verification as OfRepository
from ..templates import TRIED, TRIED_BUILD
from .inputs import MOST, inputs_for
from .sources import WorkflowSource
from .workflows import BUILD_ID, Workflow

_STATES = {
    "disabled_manually": "Someone disabled it.",
    "disabled_inactivity": "GitHub disabled it after 60 days without activity in the repository.",
    "disabled_fork": "GitHub disabled it because the repository is a fork.",
    "deleted": "Its file is not on the default branch.",
}


class Verification:
    """The checks after those of the repository."""

    def __init__(
        self,
        repository: OfRepository,
        source: Callable[[], WorkflowSource],
        parameters: Mapping[str, str],
    ) -> None:
        self._repository = repository
        self._make_source = source
        self._parameters = parameters
        self._most = MOST

    def workflow(self) -> list[Check]:
        """It exists, is enabled, and has a workflow_dispatch trigger."""
        self._source = self._make_source()
        state = self._source.state()
        if state != "active":
            raise ProviderError(
                "disabled",
                f"The workflow {self._source.file} is not active. {_STATES.get(state, '')}".strip(),
                "Enable it on GitHub under Actions.",
                outcome=Outcome.REFUSED,
            )
        self._workflow: Workflow = self._source.read(self._repository.default_branch)
        self._most = self._source.most_inputs
        check_startable(self._workflow, self._source.file)
        return []

    def parameters(self) -> list[Check]:
        """The inputs of each build, checked against the file on the default branch."""
        inputs_for(
            self._workflow,
            {**TRIED, **self._parameters},
            build_id=TRIED_BUILD,
            most=self._most,
        )
        if self._workflow.declared(OURS[0]) is None:
            return [_no_version()]
        return []

    def correlation(self) -> list[Check]:
        return [] if self._workflow.carries_build_id else [_no_build_id(self._workflow)]

    def concurrency(self) -> list[Check]:
        return [_constant_group(self._workflow)] if self._workflow.has_constant_group else []


def check_startable(workflow: Workflow, file: str) -> None:
    """Raises ProviderError (REFUSED)."""
    if not workflow.is_startable:
        raise ProviderError(
            "no_trigger",
            f"The workflow {file} has no workflow_dispatch trigger.",
            "Add workflow_dispatch under `on:` in the file, or choose another workflow.",
            outcome=Outcome.REFUSED,
        )


def _warning(name: str, code: str, message: str, hint: str) -> Check:
    return Check(name=name, ok=False, code=code, level=Level.WARNING, message=message, hint=hint)


def _no_version() -> Check:
    return _warning(
        "parameters",
        "no_version",
        "The workflow declares no version input: it builds the branch without knowing the version.",
        "Declare a version input under workflow_dispatch, unless the version is in a file.",
    )


def _no_build_id(workflow: Workflow) -> Check:
    what = (
        f"The workflow's run-name does not contain its input {BUILD_ID}"
        if workflow.declared(BUILD_ID)
        else f"The workflow has no input {BUILD_ID}"
    )
    return _warning(
        "correlation",
        "no_build_id",
        f"{what}. If GitHub's response to a trigger is lost, delivr may have to ask a person which "
        "run it started.",
        f"Declare the input {BUILD_ID} (not required), and set "
        f"run-name: Build ${{{{ inputs.version }}}} ${{{{ inputs.{BUILD_ID} }}}}",
    )


def _constant_group(workflow: Workflow) -> Check:
    return _warning(
        "concurrency",
        "constant_group",
        f"All runs share one concurrency group, {workflow.concurrency}. If several releases build "
        "at once, only the newest build waits, and GitHub cancels the other waiting ones.",
        "Add the branch to the group's name: ${{ github.workflow }}-${{ github.ref }}",
    )
