"""F16 and F17: what befalls a Jenkins while it builds for us: it restarts; it comes back from a
backup, and a job is made again, so that old numbers belong to other people's builds."""

from __future__ import annotations

import time
from typing import Any

from builds.models import Build
from delivr.effects.models import Effect, EffectState
from faults.clients import Client
from faults.outcome import SETTLE, Options, Outcome, judge
from faults.stack import Stack, until
from faults.world import Workspace, begin, click, ends_by_itself, open_work, workspaces
from integrations.providers.base import BuildStatus

PAUSE = 8.0  # seconds that each state of a restart lasts
EACH = 8  # builds of each job


def restarts(stack: Stack, options: Options) -> Outcome:
    """F16: Jenkins restarts twice under load. Its start page is seen for 8 s, then no job for 8 s;
    builds go on, what had left the queue is forgotten."""
    begin(stack)
    ends_by_itself(stack, 20.0)
    client, spaces = Client(stack.web_port), workspaces(stack, 4)
    states: list[dict[str, Any]] = [
        {"kind": "starting"},
        {"kind": "status", "status": 404, "path": "/job/*"},
    ]
    for _n in range(2):
        _click_each(client, spaces, "ios")
        stack.sandbox.ask("POST", "jenkins/forget-queue")
        for state in states:
            stack.sandbox.fault(provider="jenkins", **state)
            _click_each(client, spaces, "android")
            time.sleep(PAUSE)
            stack.sandbox.no_faults()
    until(lambda: not open_work(), seconds=SETTLE, what="everything settled", pause=1)
    outcome = judge(stack, client)
    met = [entry for entry in stack.sandbox.requests("jenkins") if entry["fault"]]
    lost = Build.objects.filter(status=BuildStatus.LOST).count()
    dead = Effect.objects.filter(state=EffectState.DEAD).count()
    outcome.figures |= {"met the restart": len(met), "lost builds": lost}
    outcome.want(met, "nobody met the restart")
    outcome.want(not lost, f"{lost} builds count as lost")
    outcome.want(not dead, f"{dead} promises were given up")
    return outcome


def _click_each(client: Client, spaces: list[Workspace], platform: str) -> list[Build]:
    """A new release of each workspace, built."""
    releases = [(space, space.wired.release(platform)) for space in spaces]
    answers = [click(client, space, release) for space, release in releases]
    return list(Build.objects.filter(pk__in=[a.body["builds"][0]["id"] for a in answers]))


def numbers_of_others(stack: Stack, options: Options) -> Outcome:
    """F17: android-prod comes back from a backup, ios-prod is made again, both while they build for
    us. Others get our numbers, after the backup also our places in the queue, and end well or
    badly; of every second a signed report names nothing but the number."""
    begin(stack)
    ends_by_itself(stack, None)
    client, spaces = Client(stack.web_port), workspaces(stack, EACH)
    stack.sandbox.ask("POST", "jenkins/backup")
    ours = _running(client, spaces, "android")
    stack.sandbox.ask("POST", "jenkins/restore")
    _others(stack, "android-prod")
    ours += _running(client, spaces, "ios")
    first = min(build.number or 0 for build in ours if build.job_path.endswith("ios-prod"))
    stack.sandbox.ask("POST", "jenkins/jobs/ios-prod/make-again")
    stack.sandbox.ask("PATCH", "jenkins/jobs/ios-prod", {"nextNumber": first})
    _others(stack, "ios-prod")
    for build in ours[::2]:
        _report(client, build)
    rows = Build.objects.filter(pk__in=[build.pk for build in ours])
    lost = rows.filter(status=BuildStatus.LOST)
    until(lambda: lost.count() == len(ours), seconds=SETTLE, what="ours count as lost", pause=2)
    judged = judge(stack, client)
    taken = rows.exclude(artifact_url="").count()
    judged.figures |= {"lost builds": lost.count(), "with a file of others": taken}
    # Jenkins did build ours, and has forgotten it: here that is no fault.
    broken = [words for words in judged.broken if "is lost here and was built there" not in words]
    outcome = Outcome(judged.figures, broken)
    outcome.want(not taken, f"{taken} builds show somebody else's file")
    return outcome


def _running(client: Client, spaces: list[Workspace], platform: str) -> list[Build]:
    """Builds of ours that are seen to run."""
    keys = [build.pk for build in _click_each(client, spaces, platform)]
    rows = Build.objects.filter(pk__in=keys, status=BuildStatus.RUNNING).exclude(number=None)
    until(lambda: rows.count() == len(keys), seconds=SETTLE, what="ours run", pause=0.5)
    return list(rows.select_related("release_pipeline__pipeline"))


def _others(stack: Stack, job: str) -> None:
    """As many builds of somebody else, a while later: every second one fails."""
    time.sleep(3)
    for number in range(EACH):
        item = stack.sandbox.ask("POST", f"jenkins/jobs/{job}/builds", {})
        stack.sandbox.finish(job, item["number"], "FAILURE" if number % 2 else "SUCCESS")


def _report(client: Client, build: Build) -> None:
    """What the job's own step says of the build that has the number now."""
    secret = build.pipeline.webhook_secret.reveal()
    body = {"buildNumber": build.number, "status": "SUCCESS", "artifactUrl": "s3://b/foreign.ipa"}
    client.report(build.pipeline.pk, secret, f"of-{build.pk}", body)
