"""Jenkins' objects as JSON, and the `tree` and `depth` queries over them.

https://www.jenkins.io/doc/book/using/remote-access-api/
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from sandbox.ci import Ci
from sandbox.ci_jobs import (
    FOLDER,
    FREESTYLE,
    MULTIBRANCH,
    PIPELINE,
    Build,
    Job,
    Parameter,
    QueueItem,
)
from sandbox.providers.jenkins_actions import actions_of, value_of

JOB_CLASSES = {
    PIPELINE: "org.jenkinsci.plugins.workflow.job.WorkflowJob",
    FREESTYLE: "hudson.model.FreeStyleProject",
    FOLDER: "com.cloudbees.hudson.plugins.folder.Folder",
    MULTIBRANCH: "org.jenkinsci.plugins.workflow.multibranch.WorkflowMultiBranchProject",
}
RUN_CLASSES = {
    PIPELINE: "org.jenkinsci.plugins.workflow.job.WorkflowRun",
    FREESTYLE: "hudson.model.FreeStyleBuild",
}
COLORS = {"SUCCESS": "blue", "UNSTABLE": "yellow", "FAILURE": "red"}
NEWEST = 100  # builds in `builds`; `allBuilds` has all of them

Tree = dict[str, "Branch"]


@dataclass
class Branch:
    """One name in a `tree` query: what to show below it, and a list's `{from,to}`."""

    below: Tree
    first: int = 0
    last: int | None = None


@dataclass
class Ref:
    """A reference to an object: shown in brief unless the query descends into it."""

    brief: dict[str, Any]
    full: Callable[[], dict[str, Any]]


def parse_tree(text: str) -> Tree:
    """Raises ValueError for what Jenkins cannot parse either."""
    tokens = re.findall(r"[^,\[\]{}\s]+|[,\[\]]|\{[^}]*\}", text)
    tree, rest = _parse(tokens)
    if rest:
        raise ValueError(f"Unexpected {rest[0]!r} in tree")
    return tree


def _parse(tokens: list[str]) -> tuple[Tree, list[str]]:
    tree: Tree = {}
    while tokens and tokens[0] != "]":
        name, tokens = tokens[0], tokens[1:]
        if name == ",":
            continue
        branch = tree[name] = Branch({})
        if tokens and tokens[0] == "[":
            branch.below, tokens = _parse(tokens[1:])
            if not tokens:
                raise ValueError("Unclosed [ in tree")
            tokens = tokens[1:]
        if tokens and tokens[0].startswith("{"):
            branch.first, branch.last = _parse_range(tokens[0])
            tokens = tokens[1:]
    return tree, tokens


def _parse_range(text: str) -> tuple[int, int | None]:
    first, comma, last = text.strip("{}").partition(",")
    begin = int(first) if first else 0
    if not comma:
        return begin, begin + 1
    return begin, int(last) if last else None


def show(value: Any, tree: Tree | None, depth: int) -> Any:
    """The object as JSON: the fields in `tree`, or else all, with references down to `depth`."""
    return _expand(value, depth) if tree is None else _select(value, tree)


def _select(value: Any, tree: Tree) -> Any:
    if callable(value):
        return _select(value(), tree)
    if isinstance(value, Ref):
        return _select(value.full(), tree)
    if isinstance(value, list):
        return [_select(item, tree) for item in value]
    if not isinstance(value, dict):
        return value
    chosen = {"_class": value["_class"]} if "_class" in value else {}
    for name in value if "*" in tree else [n for n in tree if n in value]:
        chosen[name] = _branch(value[name], tree.get(name) or tree["*"])
    return chosen


def _branch(value: Any, branch: Branch) -> Any:
    if callable(value):
        value = value()
    if isinstance(value, list):
        value = value[branch.first : branch.last]
    return _select(value, branch.below)


def _expand(value: Any, depth: int) -> Any:
    if callable(value):
        return _expand(value(), depth)
    if isinstance(value, Ref):
        return value.brief if depth < 1 else _expand(value.full(), depth - 1)
    if isinstance(value, list):
        return [_expand(item, depth) for item in value]
    if isinstance(value, dict):
        hidden = "allBuilds"  # only on demand, since it is slow on a real server
        return {name: _expand(item, depth) for name, item in value.items() if name != hidden}
    return value


class Exporter:
    """Builds the objects; `root` is Jenkins' configured URL."""

    def __init__(self, ci: Ci, root: str) -> None:
        self.ci, self.root = ci, root

    def job_url(self, full_name: str) -> str:
        parts = "/".join(f"job/{quote(part, safe='')}" for part in full_name.split("/"))
        return f"{self.root}/{parts}/"

    def build_url(self, build: Build) -> str:
        return f"{self.job_url(build.job)}{build.number}/"

    def hudson(self) -> dict[str, Any]:
        return {
            "_class": "hudson.model.Hudson",
            "mode": "NORMAL",
            "nodeDescription": "the Jenkins controller's built-in node",
            "numExecutors": 0,
            "quietDownReason": self.ci.quiet_reason or None,
            "quietingDown": self.ci.quiet_reason is not None,
            "url": f"{self.root}/",
            "useCrumbs": True,
            "useSecurity": True,
            "jobs": self._jobs(""),
        }

    def _jobs(self, parent: str) -> list[Ref]:
        return [self._job_ref(job) for job in self.ci.children(parent) if not job.hidden]

    def _job_ref(self, job: Job) -> Ref:
        brief = {
            "_class": JOB_CLASSES[job.kind],
            "name": job.name,
            "url": self.job_url(job.full_name),
        }
        if not job.is_container:
            brief["color"] = self._color(job)
        return Ref(brief, lambda: self.job(job))

    def job(self, job: Job) -> dict[str, Any]:
        head: dict[str, Any] = {
            "_class": JOB_CLASSES[job.kind],
            "actions": [],
            "description": "",
            "displayName": unquote(job.name),
            "displayNameOrNull": None,
            "fullDisplayName": unquote(job.full_name.replace("/", " » ")),
            "fullName": job.full_name,
            "name": job.name,
            "url": self.job_url(job.full_name),
        }
        if job.is_container:
            view = {"_class": "hudson.model.AllView", "name": "All", "url": head["url"]}
            jobs = {"jobs": lambda: self._jobs(job.full_name)}
            return head | jobs | {"healthReport": [], "primaryView": view, "views": [view]}
        return head | self._project(job)

    def _project(self, job: Job) -> dict[str, Any]:
        builds = self.ci.builds_of(job.full_name)
        waiting = [item for item in self.ci.queued() if item.job == job.full_name]
        return {
            "buildable": job.buildable,
            "builds": lambda: [self._build_ref(b) for b in builds[:NEWEST]],
            "allBuilds": lambda: [self._build_ref(b) for b in builds],
            "color": self._color(job),
            "concurrentBuild": job.concurrent,
            "healthReport": [],
            "inQueue": bool(waiting),
            "keepDependencies": False,
            "nextBuildNumber": job.next_number,
            "property": self._properties(job),
            "queueItem": self.queue_item(waiting[-1]) if waiting else None,
            **self._famous_builds(builds),
        }

    def _famous_builds(self, builds: list[Build]) -> dict[str, Ref | None]:
        done = [b for b in builds if not b.building]
        good = [b for b in done if b.result == "SUCCESS"]
        bad = [b for b in done if b.result not in ("SUCCESS", "UNSTABLE")]
        stable = [b for b in done if b.result in ("SUCCESS", "UNSTABLE")]
        unstable = [b for b in done if b.result == "UNSTABLE"]
        return {
            "firstBuild": self._first(builds[::-1]),
            "lastBuild": self._first(builds),
            "lastCompletedBuild": self._first(done),
            "lastFailedBuild": self._first([b for b in bad if b.result == "FAILURE"]),
            "lastStableBuild": self._first(good),
            "lastSuccessfulBuild": self._first(stable),
            "lastUnstableBuild": self._first(unstable),
            "lastUnsuccessfulBuild": self._first([b for b in done if b.result != "SUCCESS"]),
        }

    def _first(self, builds: list[Build]) -> Ref | None:
        return self._build_ref(builds[0]) if builds else None

    def _build_ref(self, build: Build) -> Ref:
        kind = self.ci.job(build.job).kind
        brief = {"_class": RUN_CLASSES[kind], "number": build.number, "url": self.build_url(build)}
        return Ref(brief, lambda: self.build(build))

    def _properties(self, job: Job) -> list[dict[str, Any]]:
        if not job.declared:
            return []
        return [
            {
                "_class": "hudson.model.ParametersDefinitionProperty",
                "parameterDefinitions": [self._definition(p) for p in job.declared],
            }
        ]

    @staticmethod
    def _definition(parameter: Parameter) -> dict[str, Any]:
        definition: dict[str, Any] = {
            "_class": f"hudson.model.{parameter.kind}ParameterDefinition",
            "defaultParameterValue": value_of(parameter, parameter.default),
            "description": parameter.description,
            "name": parameter.name,
            "type": f"{parameter.kind}ParameterDefinition",
        }
        if parameter.kind == "Choice":
            definition["choices"] = parameter.choices
        return definition

    def _color(self, job: Job) -> str:
        if not job.buildable:
            return "disabled"
        builds = self.ci.builds_of(job.full_name)
        last = next((b for b in builds if not b.building), None)
        color = COLORS.get(last.result or "", "aborted") if last else "notbuilt"
        return f"{color}_anime" if self.ci.running(job.full_name) else color

    def build(self, build: Build) -> dict[str, Any]:
        job = self.ci.job(build.job)
        ended = build.ended_at
        return {
            "_class": RUN_CLASSES[job.kind],
            "actions": actions_of(job, build),
            "artifacts": self._artifacts(build),
            "building": build.building,
            "changeSets": [],
            "culprits": [],
            "description": None,
            "displayName": f"#{build.number}",
            "duration": 0 if ended is None else int((ended - build.started_at) * 1000),
            "estimatedDuration": int((job.auto_finish_seconds or -0.001) * 1000),
            "executor": {} if build.building else None,
            "fullDisplayName": f"{build.job.replace('/', ' » ')} #{build.number}",
            "id": str(build.number),
            "inProgress": build.building,
            "keepLog": False,
            "nextBuild": self._neighbour(build, 1),
            "number": build.number,
            "previousBuild": self._neighbour(build, -1),
            "queueId": build.queue_id,
            "result": build.result,
            "timestamp": int(build.started_at * 1000),
            "url": self.build_url(build),
        }

    def _neighbour(self, build: Build, step: int) -> Ref | None:
        found = self.ci.build(build.job, build.number + step)
        if found is None:
            return None
        brief = {"number": found.number, "url": self.build_url(found)}
        return Ref(brief, lambda: self.build(found))

    @staticmethod
    def _artifacts(build: Build) -> list[dict[str, str]]:
        return [
            {"displayPath": path, "fileName": path.rpartition("/")[2], "relativePath": path}
            for path in build.files
        ]

    def queue_item(self, item: QueueItem, *, hide_executable: bool = False) -> dict[str, Any]:
        job = self.ci.job(item.job)
        blocked = self.ci.is_blocked(item) and item.is_queued
        buildable = item.ready_at is not None and item.is_queued and not blocked
        data = {
            "_class": f"hudson.model.Queue${self._item_class(item, blocked)}",
            "actions": actions_of(job, item),
            "blocked": blocked,
            "buildable": buildable,
            "id": item.id,
            "inQueueSince": int(item.since * 1000),
            "params": "".join(f"\n{k}={v}" for k, v in item.parameters.items()),
            "stuck": False,
            "task": self._job_ref(job).brief,
            "url": f"queue/item/{item.id}/",
            "why": self.ci.why(item) if item.is_queued else None,
        }
        return data | self._item_tail(item, hide_executable=hide_executable)

    @staticmethod
    def _item_class(item: QueueItem, blocked: bool) -> str:
        if not item.is_queued:
            return "LeftItem"
        if item.ready_at is None:
            return "WaitingItem"
        return "BlockedItem" if blocked else "BuildableItem"

    def _item_tail(self, item: QueueItem, *, hide_executable: bool) -> dict[str, Any]:
        """The fields that depend on the item's state."""
        if item.is_queued and item.ready_at is None:
            return {"timestamp": int(item.quiet_until * 1000)}
        if item.is_queued:
            return {"buildableStartMilliseconds": int((item.ready_at or 0) * 1000)}
        build = self.ci.build(item.job, item.number) if item.number is not None else None
        shown = build and not hide_executable
        return {
            "cancelled": item.cancelled,
            "executable": self._build_ref(build).brief if build and shown else None,
        }

    def queue(self) -> dict[str, Any]:
        items = [self.queue_item(item) for item in reversed(self.ci.queued())]
        return {"_class": "hudson.model.Queue", "discoverableItems": [], "items": items}

    def computers(self) -> dict[str, Any]:
        running = [b for job in self.ci.jobs for b in self.ci.running(job)]
        busy = [{"currentExecutable": self._build_ref(build)} for build in running]
        node = {
            "_class": "hudson.model.Hudson$MasterComputer",
            "displayName": "Built-In Node",
            "executors": [],
            "oneOffExecutors": busy,
            "offline": False,
        }
        return {
            "_class": "hudson.model.ComputerSet",
            "busyExecutors": len(busy),
            "computer": [node],
        }
