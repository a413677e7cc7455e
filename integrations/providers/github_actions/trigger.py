"""Starts a run: https://docs.github.com/en/rest/actions/workflows#create-a-workflow-dispatch-event

The response names the run if `return_run_details` is set (since February 2026), and is an empty 204
if the server does not know this key. Enterprise Server up to 3.20 refuses the unknown key.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ..base import Outcome, ProviderError
from ..ci import BuildRequest, BuildState, BuildStatus
from ..github.refusals import Refusal
from ..http import garbage
from .reading import LABEL, external_id
from .repository import Pages
from .sources import branch_unknown

KEY = "return_run_details"
_NO_REF = re.compile(r"no ref found", re.IGNORECASE)
_REASONS = (
    (
        "no_trigger",
        re.compile(r"does not have 'workflow_dispatch' trigger", re.IGNORECASE),
        "The workflow has no workflow_dispatch trigger on this branch.",
        "Add workflow_dispatch under `on:` on this branch and on the default branch.",
    ),
    (
        "disabled",
        re.compile(r"disabled workflow|workflow is disabled", re.IGNORECASE),
        "The workflow is disabled.",
        "Enable it on GitHub under Actions.",
    ),
)

if TYPE_CHECKING:
    from .client import ActionsClient


def dispatch(
    client: ActionsClient, path: str, request: BuildRequest, inputs: dict[str, str]
) -> Refusal:
    """Start one run, and return the response that accepted it. Raises ProviderError."""
    body = {"ref": request.branch, "inputs": inputs, KEY: True}
    answer = client.post_once(path, body)
    if answer.status in (400, 422) and KEY in answer.text:
        # The whole request was refused because of this key: nothing was started, so it is safe
        # to send it again.
        del body[KEY]
        answer = client.post_once(path, body)
    if answer.status not in (200, 204):
        raise _failure(client, answer, request.branch)
    return answer


def started_run(answer: Refusal, pages: Pages) -> BuildState | None:
    """The run that the response names; None for a 204, which names none. Raises ProviderError
    (UNCERTAIN) for a response that is not GitHub's."""
    if answer.status == 204:
        return None
    data: dict[str, Any] = answer.data if isinstance(answer.data, dict) else {}
    run = data.get("workflow_run_id")
    if not isinstance(run, int) or isinstance(run, bool) or run < 1:
        raise garbage(LABEL)
    return BuildState(
        status=BuildStatus.QUEUED, external_id=external_id(run, 1), url=pages.run(run)
    )


def _failure(client: ActionsClient, answer: Refusal, branch: str) -> ProviderError:
    if answer.status < 400:
        return garbage(LABEL)
    if answer.status == 422 and _NO_REF.search(answer.text):
        return branch_unknown(branch)
    for code, pattern, message, hint in _REASONS:
        if answer.status in (403, 404, 422) and pattern.search(answer.text):
            return ProviderError(code, message, hint, outcome=Outcome.REFUSED)
    return client.failure(answer)
