"""F16 and F17: a Jenkins server restarts while it builds for us; it is restored from a backup and a
job is created again, so that old numbers belong to other people's builds."""

from __future__ import annotations

import time
from typing import Any

from builds.models import Build
from delivr.effects.models import Effect, EffectState
from faults.clients import Client
from faults.outcome import SETTLE, Options, Outcome, judge
from faults.stack import Stack, until
from faults.workspaces import Workspace, click, open_work, reset, set_auto_finish, workspaces
from integrations.providers.ci import BuildStatus

PAUSE = 8.0  # seconds that each state of a restart lasts
BUILDS_PER_JOB = 8


def restarts(stack: Stack, options: Options) -> Outcome:
    """F16: Jenkins restarts twice under load. It shows its start page for 8 s, then no jobs for
    8 s. Builds go on; items that have left the queue are forgotten."""
    reset(stack)
    set_auto_finish(stack, 20.0)
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
    affected = [entry for entry in stack.sandbox.requests("jenkins") if entry["fault"]]
    lost = Build.objects.filter(status=BuildStatus.LOST).count()
    dead = Effect.objects.filter(state=EffectState.DEAD).count()
    outcome.figures |= {"requests during restarts": len(affected), "lost builds": lost}
    outcome.expect(affected, "no request fell into a restart")
    outcome.expect(not lost, f"{lost} builds count as lost")
    outcome.expect(not dead, f"{dead} effects were given up")
    return outcome


def _click_each(client: Client, spaces: list[Workspace], platform: str) -> list[Build]:
    """Create a release in each workspace and trigger its build."""
    releases = [(space, space.wired.release(platform)) for space in spaces]
    answers = [click(client, space, release) for space, release in releases]
    return list(Build.objects.filter(pk__in=[a.body["builds"][0]["id"] for a in answers]))


def numbers_of_others(stack: Stack, options: Options) -> Outcome:
    """F17: Jenkins is restored from a backup while android-prod builds for us, and ios-prod is
    created again. Other builds get our numbers (after the restore also our queue ids) and succeed
    or fail; for every second one a signed report names only the number."""
    reset(stack)
    set_auto_finish(stack, None)
    client, spaces = Client(stack.web_port), workspaces(stack, BUILDS_PER_JOB)
    stack.sandbox.ask("POST", "jenkins/backup")
    ours = _running(client, spaces, "android")
    stack.sandbox.ask("POST", "jenkins/restore")
    _build_others(stack, "android-prod")
    ours += _running(client, spaces, "ios")
    first = min(build.number or 0 for build in ours if build.job_path.endswith("ios-prod"))
    stack.sandbox.ask("POST", "jenkins/jobs/ios-prod/make-again")
    stack.sandbox.ask("PATCH", "jenkins/jobs/ios-prod", {"nextNumber": first})
    _build_others(stack, "ios-prod")
    for build in ours[::2]:
        _report(client, build)
    rows = Build.objects.filter(pk__in=[build.pk for build in ours])
    lost = rows.filter(status=BuildStatus.LOST)
    until(lambda: lost.count() == len(ours), seconds=SETTLE, what="ours count as lost", pause=2)
    judged = judge(stack, client)
    taken = rows.exclude(artifact_url="").count()
    judged.figures |= {"lost builds": lost.count(), "with a file of others": taken}
    # Jenkins built ours and has forgotten them: that is expected here.
    broken = [words for words in judged.broken if "is lost here and was built there" not in words]
    outcome = Outcome(judged.figures, broken)
    outcome.expect(not taken, f"{taken} builds show somebody else's file")
    return outcome


def _running(client: Client, spaces: list[Workspace], platform: str) -> list[Build]:
    """Trigger builds and wait until delivr sees them running."""
    keys = [build.pk for build in _click_each(client, spaces, platform)]
    rows = Build.objects.filter(pk__in=keys, status=BuildStatus.RUNNING).exclude(number=None)
    until(lambda: rows.count() == len(keys), seconds=SETTLE, what="ours run", pause=0.5)
    return list(rows.select_related("release_pipeline__pipeline"))


def _build_others(stack: Stack, job: str) -> None:
    """After 3 s, as many builds by somebody else; every second one fails."""
    time.sleep(3)
    for number in range(BUILDS_PER_JOB):
        item = stack.sandbox.ask("POST", f"jenkins/jobs/{job}/builds", {})
        stack.sandbox.finish(job, item["number"], "FAILURE" if number % 2 else "SUCCESS")


def _report(client: Client, build: Build) -> None:
    """The report of the job's own step about the build that now has the number."""
    secret = build.pipeline.webhook_secret.reveal()
    body = {"buildNumber": build.number, "status": "SUCCESS", "artifactUrl": "s3://b/foreign.ipa"}
    client.report(build.pipeline.pk, secret, f"of-{build.pk}", body)
