"""Creates a pipeline: https://docs.gitlab.com/api/pipelines/#create-a-new-pipeline

GitLab creates none where anything is wrong, and says what in `base`.
"""

from __future__ import annotations

import re
from typing import Any

from ..base import Outcome, ProviderError
from ..ci import OURS, BuildRequest
from ..gitlab.refusals import Refusal, failure_of
from .client import PipelineProject
from .inputs import inputs_for, variables_for
from .reading import Pipeline, read_pipeline
from .source import Setup

_NO_VARIABLES = re.compile(r"insufficient permissions to set pipeline variables", re.IGNORECASE)
_REASONS = (
    (
        "branch_unknown",
        re.compile(r"reference not found", re.IGNORECASE),
        "GitLab does not have this branch.",
        "Create the branch, or have the release create it.",
    ),
    (
        "branch_protected",
        re.compile(r"sufficient permission to run a pipeline", re.IGNORECASE),
        "The branch is protected: the token's user may not run a pipeline on it.",
        "Give the token the Maintainer role, or allow its user to push or merge under Settings > "
        "Repository > Protected branches.",
    ),
    (
        "no_jobs",
        re.compile(r"filtered out|will not run for the selected|no stages", re.IGNORECASE),
        "GitLab finds no job to run: the rules in the CI file leave all of them out.",
        'Allow pipelines of the API in workflow: rules, by: if: $CI_PIPELINE_SOURCE == "api"',
    ),
    (
        "ci_file_missing",
        re.compile(r"missing ci config file", re.IGNORECASE),
        "The branch has no CI file.",
        "Bring the file to this branch: a pipeline takes it from there.",
    ),
)


def payload_for(setup: Setup, request: BuildRequest) -> dict[str, Any]:
    """What is sent. Raises ProviderError (REFUSED) for what GitLab would refuse."""
    if not setup.file.takes_inputs:
        if setup.may_set_variables is False:
            raise variables_forbidden()
        ours = {**request.parameters, OURS[2]: request.build_id}
        return {"ref": request.branch, "variables": variables_for(ours)}
    inputs = inputs_for(setup.file, request.parameters, build_id=request.build_id)
    body: dict[str, Any] = {"ref": request.branch, "inputs": inputs}
    if not setup.names_build_id and setup.may_set_variables is not False:
        body["variables"] = variables_for({OURS[2]: request.build_id})
    return body


def create(project: PipelineProject, body: dict[str, Any]) -> Pipeline:
    """Raises ProviderError."""
    answer = project.post_once("/pipeline", body)
    if answer.status == 400 and "inputs" in body and _NO_VARIABLES.search(answer.text):
        # Refused as a whole for our id alone: nothing was created, so it is safe to send it again.
        body.pop("variables", None)
        answer = project.post_once("/pipeline", body)
    if answer.status not in (200, 201):
        raise _failure(project, answer)
    return read_pipeline(answer.data)


def _failure(project: PipelineProject, answer: Refusal) -> ProviderError:
    if answer.status == 400:
        if _NO_VARIABLES.search(answer.text):
            return variables_forbidden()
        for code, pattern, message, hint in _REASONS:
            if pattern.search(answer.text):
                return ProviderError.refused(code, message, hint)
    failure = failure_of(answer, project.client.words)
    return project.why_forbidden(failure) if failure.outcome is Outcome.CREDENTIALS else failure


def variables_forbidden() -> ProviderError:
    return ProviderError.refused(
        "variables_forbidden",
        "The project does not let the token's user set variables of a pipeline.",
        "Declare inputs in the CI file, or lower the role for pipeline variables in GitLab under "
        "Settings > CI/CD > Variables.",
    )
