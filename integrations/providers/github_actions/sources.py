"""Workflows in a repository: their list, and the file on a branch.

https://docs.github.com/en/rest/actions/workflows
https://docs.github.com/en/rest/repos/contents#get-repository-content
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ..base import Option, Outcome, ProviderError
from ..github.refusals import LABEL as GITHUB
from ..http import dicts, garbage, objects
from .inputs import MOST, MOST_BEFORE
from .paths import FOLDER, file_of
from .workflows import MAX_FILE, Workflow, parse_workflow

if TYPE_CHECKING:
    from .client import ActionsClient

PAGE = 100
MAX_READ = 40  # files that are read for the picker
FEWER_UNTIL = (3, 19)  # Enterprise Server's last version with the lower number of inputs
NO_COMMIT = "No commit found for the ref"
_VERSION = re.compile(r"(\d{1,3})\.(\d{1,3})")


class WorkflowSource:
    def __init__(self, client: ActionsClient, repository: str, file: str = "") -> None:
        self._client = client
        self._path = f"/repos/{repository}"
        self.repository = repository
        self.file = file
        self.most_inputs = MOST

    def state(self) -> str:
        """`active`, or one of GitHub's reasons why it does not run."""
        data = self._client.or_none(f"{self._path}/actions/workflows/{quote(self.file)}")
        if data is None:
            raise ProviderError(
                "workflow_not_found",
                f"{self.repository} has no workflow {self.file} that GitHub can run, or this token "
                "may not see it.",
                "The file has to be in .github/workflows on the default branch, and the token "
                "needs the Actions permission.",
                outcome=Outcome.REFUSED,
            )
        if not isinstance(data, dict) or not isinstance(data.get("state"), str):
            raise garbage(GITHUB)
        return str(data["state"])

    def read(self, branch: str) -> Workflow:
        """The file as it is on the branch, which is what a run uses. Raises ProviderError."""
        return self._with_environments(self._read(branch))

    def _read(self, branch: str) -> Workflow:
        answer = self._get(branch)
        content = answer.data.get("content") if isinstance(answer.data, dict) else None
        self.most_inputs = _most(answer.headers.get("x-github-enterprise-version", ""))
        size = answer.data.get("size") if isinstance(answer.data, dict) else None
        if isinstance(size, int) and size > MAX_FILE:
            raise self._unusable(branch, f"It is larger than {MAX_FILE // 1024} KiB.")
        try:
            return parse_workflow(base64.b64decode(str(content or "")))
        except (binascii.Error, ValueError) as error:
            words = str(error) if not isinstance(error, binascii.Error) else "It cannot be read."
        raise self._unusable(branch, words)

    def _with_environments(self, workflow: Workflow) -> Workflow:
        """An input may be an environment of the repository: the file does not list them."""
        inputs = workflow.inputs
        wanted = [name for name, one in inputs.items() if one.kind == "environment"]
        if not wanted:
            return workflow
        names = self._environments()
        filled = {name: replace(inputs[name], options=names) for name in wanted}
        return replace(workflow, inputs={**inputs, **filled})

    def _environments(self) -> tuple[str, ...]:
        """Their names; () if the token may not list them, or there are more than are read.

        https://docs.github.com/en/rest/deployments/environments#list-environments
        """
        try:
            data = self._client.or_none(f"{self._path}/environments", per_page=PAGE)
        except ProviderError as error:
            if error.outcome is not Outcome.CREDENTIALS:
                raise
            data = None
        listed = dicts(data.get("environments")) if isinstance(data, dict) else []
        names = tuple(str(one["name"]) for one in listed if isinstance(one.get("name"), str))
        return names if len(names) < PAGE else ()

    def _get(self, branch: str) -> Any:
        path = f"{self._path}/contents/{FOLDER}{quote(self.file)}"
        try:
            return self._client.get(path, ref=branch)
        except ProviderError as error:
            failure = error
        if failure.code != "not_found":
            raise failure
        if NO_COMMIT in failure.message:
            raise branch_unknown(branch)
        raise ProviderError(
            "workflow_missing",
            f"The branch {branch} has no {FOLDER}{self.file}, or the token may not read it.",
            "Add the file to this branch: a run uses the branch's version. The token needs the "
            "Contents permission.",
            outcome=Outcome.REFUSED,
        )

    def _unusable(self, branch: str, words: str) -> ProviderError:
        return ProviderError(
            "workflow_unreadable",
            f"{self.file} on {branch} cannot be used. {words}",
            "Fix the file on this branch.",
            outcome=Outcome.REFUSED,
        )

    def startable(self, branch: str) -> list[Option]:
        """The active workflows that can be started from outside, by name."""
        data = self._client.get(f"{self._path}/actions/workflows", per_page=PAGE).data
        listed = objects(data.get("workflows") if isinstance(data, dict) else None, GITHUB)
        found = []
        for item in [item for item in listed if item.get("state") == "active"][:MAX_READ]:
            file = file_of(item.get("path"))
            if file and self._is_startable(file, branch):
                found.append(Option(value=file, label=_label(item.get("name"), file)))
        return sorted(found, key=lambda option: option.label.casefold())

    def _is_startable(self, file: str, branch: str) -> bool:
        source = WorkflowSource(self._client, self.repository, file)
        try:
            return source._read(branch).is_startable
        except ProviderError as error:
            if error.outcome is not Outcome.REFUSED:
                raise
        return False


def branch_unknown(branch: str) -> ProviderError:
    """It takes some seconds until all of GitHub knows a new branch."""
    return ProviderError(
        "branch_unknown",
        f"GitHub Actions does not know the branch {branch} yet.",
        "delivr tries again automatically.",
        outcome=Outcome.NOT_SENT,
    )


def _label(name: object, file: str) -> str:
    is_name = isinstance(name, str) and name and not name.startswith(FOLDER)
    return f"{name} ({file})" if is_name else file


def _most(version: str) -> int:
    """How many inputs this server allows; github.com sends no version."""
    found = _VERSION.match(version)
    is_older = found is not None and (int(found[1]), int(found[2])) <= FEWER_UNTIL
    return MOST_BEFORE if is_older else MOST
