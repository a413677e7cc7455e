"""A build's `actions`: who or what started it, its parameters and its commit.

https://javadoc.jenkins.io/hudson/model/Cause.html
"""

from __future__ import annotations

from typing import Any

from sandbox.ci_jobs import Build, Job, Parameter, QueueItem

CAUSES = "hudson.model.CauseAction"
NAMES = {"priya": "Priya Nair"}  # of users whose name differs from their id


def actions_of(job: Job, thing: Build | QueueItem) -> list[dict[str, Any]]:
    actions = _causes(job, thing)
    if thing.parameters:
        known = {p.name: p for p in job.parameters}
        values = [
            value_of(known.get(name, Parameter(name)), value)
            for name, value in thing.parameters.items()
        ]
        actions.append({"_class": "hudson.model.ParametersAction", "parameters": values})
    if isinstance(thing, Build) and thing.commit:
        actions.append(_checkout(thing))
    if isinstance(thing, Build) and thing.questions:
        actions.append(_input(job, thing))
    return actions


def input_id(build: Build) -> str:
    return f"Question{build.questions}"


def _input(job: Job, build: Build) -> dict[str, Any]:
    """The step's action, which stays when it is answered. Older versions export nothing of it:
    https://github.com/jenkinsci/pipeline-input-step-plugin"""
    if not job.exports_input:
        return {}
    step = "org.jenkinsci.plugins.workflow.support.steps.input"
    asked = {
        "_class": f"{step}.InputStep",
        "message": build.question,
        "ok": "Proceed",
        "submitter": None,
    }
    execution = {
        "_class": f"{step}.InputStepExecution",
        "id": input_id(build),
        "input": asked,
        "settled": False,
    }
    return {
        "_class": f"{step}.InputAction",
        "executions": [execution] if build.question else [],
        "waitingForInput": bool(build.question),
    }


def _causes(job: Job, thing: Build | QueueItem) -> list[dict[str, Any]]:
    """The causes; Naginator adds one of its own to those of the build that it repeats."""
    if not thing.user:
        indexing = {
            "_class": "jenkins.branch.BranchIndexingCause",
            "shortDescription": "Branch indexing",
        }
        return [{"_class": CAUSES, "causes": [indexing]}]
    causes = [
        {
            "_class": "hudson.model.Cause$UserIdCause",
            "shortDescription": f"Started by user {NAMES.get(thing.user, thing.user)}",
            "userId": thing.user,
            "userName": NAMES.get(thing.user, thing.user),
        }
    ]
    actions = [{"_class": CAUSES, "causes": causes}]
    if thing.rebuilds is None:
        return actions
    again = _cause_of_retry(job, thing.rebuilds, thing.retried_by)
    if thing.retried_by == "naginator":
        return [*actions, {"_class": CAUSES, "causes": [again]}]
    causes.append(again)
    return actions


def _cause_of_retry(job: Job, number: int, way: str) -> dict[str, Any]:
    if way == "replay":
        return {
            "_class": "org.jenkinsci.plugins.workflow.cps.replay.ReplayCause",
            "shortDescription": f"Replayed #{number}",
        }
    if way == "naginator":
        return {
            "_class": "com.chikli.hudson.plugin.naginator.NaginatorCause",
            "shortDescription": f"Started by Naginator after #{number} failure",
        }
    return {
        "_class": "com.sonyericsson.rebuild.RebuildCause",
        "shortDescription": f"Rebuilds build #{number}",
        "upstreamBuild": number,
        "upstreamProject": job.full_name,
        "upstreamUrl": f"job/{job.full_name.replace('/', '/job/')}/",
    }


def _checkout(build: Build) -> dict[str, Any]:
    """The Git plugin's action: https://plugins.jenkins.io/git/"""
    name = f"refs/remotes/origin/{build.branch}"
    revision = {"SHA1": build.commit, "branch": [{"SHA1": build.commit, "name": name}]}
    of_branch = {
        "_class": "hudson.plugins.git.util.Build",
        "buildNumber": build.number,
        "buildResult": None,
        "marked": revision,
        "revision": revision,
    }
    return {
        "_class": "hudson.plugins.git.util.BuildData",
        "buildsByBranchName": {name: of_branch},
        "lastBuiltRevision": revision,
        "remoteUrls": ["https://github.com/dream11/app.git"],
        "scmName": "",
    }


def value_of(parameter: Parameter, value: str) -> dict[str, Any]:
    kind = "String" if parameter.kind == "Choice" else parameter.kind
    facts = {"_class": f"hudson.model.{kind}ParameterValue", "name": parameter.name}
    if kind == "Password":  # exported without its value
        return facts
    return {**facts, "value": value == "true" if kind == "Boolean" else value}
