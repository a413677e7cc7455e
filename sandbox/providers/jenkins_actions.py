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
    return actions


def _causes(job: Job, thing: Build | QueueItem) -> list[dict[str, Any]]:
    """The causes; Naginator adds one of its own to those of the build that it repeats."""
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
    shown = value == "true" if parameter.kind == "Boolean" else value
    kind = "Boolean" if parameter.kind == "Boolean" else "String"
    return {"_class": f"hudson.model.{kind}ParameterValue", "name": parameter.name, "value": shown}
