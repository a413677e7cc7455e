"""The workflow files of the GitHub stand-in, and how GitHub reads them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

FOLDER = ".github/workflows/"
STATES = ("active", "disabled_manually", "disabled_inactivity")
_INPUT = re.compile(r"\$\{\{\s*(?:github\.event\.)?inputs\.([\w-]+)\s*\}\}")
_CONTEXT = {"github.ref_name": "branch", "github.workflow": "name"}


@dataclass
class Workflow:
    """`text` is the file on every branch that `texts` does not name; None there: it is missing."""

    id: int
    file: str
    text: str
    next_number: int = 1
    state: str = "active"
    texts: dict[str, str | None] = field(default_factory=dict)
    auto_finish_seconds: float | None = None  # None: a person ends the run
    auto_finish_result: str = "success"
    artifact: str = ""

    @property
    def path(self) -> str:
        return FOLDER + self.file

    @property
    def name(self) -> str:
        return str(self.parsed(None).get("name") or self.path)

    def text_on(self, branch: str | None) -> str | None:
        return self.texts.get(branch or "", self.text)

    def parsed(self, branch: str | None) -> dict[Any, Any]:
        """YAML 1.1: the key `on` is read as True."""
        found = yaml.safe_load(self.text_on(branch) or "")
        return found if isinstance(found, dict) else {}

    def dispatch(self, branch: str) -> dict[str, dict[str, Any]] | None:
        """The inputs of `workflow_dispatch` by name; None without this trigger."""
        events = self.parsed(branch).get(True) or {}
        if isinstance(events, str):
            events = [events]
        if isinstance(events, list):
            events = dict.fromkeys(events)
        if "workflow_dispatch" not in events:
            return None
        declared = (events["workflow_dispatch"] or {}).get("inputs") or {}
        return {name: about or {} for name, about in declared.items()}

    def run_name(self, branch: str, inputs: dict[str, str]) -> str:
        text = str(self.parsed(branch).get("run-name") or "")
        named = _INPUT.sub(lambda found: inputs.get(found[1], ""), text).strip()
        return named or self.name

    def group(self, branch: str) -> str:
        """The concurrency group of the whole workflow; "" without one."""
        group = self.parsed(branch).get("concurrency") or ""
        text = str(group.get("group") if isinstance(group, dict) else group)
        for context, value in (("github.workflow", self.name), ("github.ref", branch)):
            text = re.sub(r"\$\{\{\s*" + re.escape(context) + r"\s*\}\}", value, text)
        return text

    def environment(self, branch: str) -> str:
        """The environment of its first job that has one."""
        jobs = self.parsed(branch).get("jobs") or {}
        named = (job.get("environment") for job in jobs.values() if isinstance(job, dict))
        return str(next(filter(None, named), ""))

    def job(self, branch: str) -> str:
        return str(next(iter(self.parsed(branch).get("jobs") or {"build": {}})))


_INPUTS = """\
      version: {description: Version to build, required: true, type: string}
      delivr_build_id: {description: Set by delivr to find this run again, required: false}
"""


def _file(name: str, job: str, *, inputs: str = "", more: str = "", run_name: str = "") -> str:
    declared = f"    inputs:\n{_INPUTS}{inputs}" if inputs is not None else ""
    return (
        f"name: {name}\n"
        f"run-name: {run_name or name + ' ${{ inputs.version }} ${{ inputs.delivr_build_id }}'}\n"
        f"on:\n  workflow_dispatch:\n{declared}{more}"
        f"jobs:\n  {job}:\n    runs-on: macos-latest\n    steps:\n      - run: make release\n"
    )


_TRACK = "      track: {type: choice, options: [internal, production], default: internal}\n"
_GROUP = "concurrency: release\n"
_PUSHED = """\
name: Checks
on: [push, pull_request]
jobs:
  test:
    runs-on: ubuntu-latest
    steps:
      - run: make test
"""
_PLAIN = """\
name: Nightly
on: workflow_dispatch
jobs:
  build:
    runs-on: ubuntu-latest
    steps:
      - run: make nightly
"""
_GUARDED = _file("Store release", "release").replace(
    "    runs-on", "    environment: production\n    runs-on"
)


def first_workflows(auto_finish: float | None) -> dict[str, Workflow]:
    """Workflows by file name. Each unusual one stands for a peculiarity of real ones."""
    files = [
        ("ios.yml", _file("iOS", "build-ios"), 57, "ios-app"),
        ("android.yml", _file("Android", "build-android"), 112, "android-app"),
        ("beta.yml", _file("Beta", "beta", inputs=_TRACK), 9, "beta-app"),
        ("release.yml", _GUARDED, 4, "release-app"),
        ("queued.yml", _file("One at a time", "build", more=_GROUP), 21, "app"),
        ("nightly.yml", _PLAIN, 300, ""),
        ("checks.yml", _PUSHED, 1200, ""),
    ]
    made = [
        Workflow(9_000_001 + n, file, text, number, artifact=artifact)
        for n, (file, text, number, artifact) in enumerate(files)
    ]
    for workflow in made:
        workflow.auto_finish_seconds = auto_finish
    return {workflow.file: workflow for workflow in made}
