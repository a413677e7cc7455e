"""F6, F6b, F6c, F8, F9, F9b and F9c: many requests at the same time, in any order and repeated."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from django.db import transaction
from django.utils import timezone

from builds.effects import ci_of, request_of
from builds.models import Build, WebhookDelivery
from delivr.effects.models import Effect
from delivr.tests import factories
from delivr.tests.wired import wire_actions, wire_any_ci
from faults import invariants
from faults.clients import Client, percentile, run_concurrently
from faults.outcome import SETTLE, Options, Outcome, judge
from faults.stack import Stack, until
from faults.workspaces import Workspace, click, open_work, reset, set_auto_finish, workspaces
from releases.models import Release, ReleaseStatus
from sandbox import accounts

JOB = "ios-prod"
BUILDS = 500  # two reports each


@dataclass(frozen=True)
class Report:
    build: Build
    body: dict[str, Any]
    name: str


def shuffled_webhooks(stack: Stack, options: Options) -> Outcome:
    """F6: two reports about each of 500 builds, each sent three times and in any order. For half
    of the builds the answer to the trigger is not stored yet."""
    reset(stack)
    return _shuffled(stack, options, workspaces(stack, 8), ends=f"jenkins/jobs/{JOB}/builds")


def shuffled_reports_of_receivers(stack: Stack, options: Options) -> Outcome:
    """F6b: the same with Any CI, whose receivers send no other reports. Half of the workspaces have
    no status address, so that only the reports tell what happened."""
    reset(stack)
    for name in accounts.RECEIVERS:
        stack.sandbox.ask("PATCH", f"webhook/jobs/{name}", {"silent": True})
    spaces = [
        space
        for has_status in (True, False)
        for space in workspaces(stack, 4, connect=partial(wire_any_ci, has_status=has_status))
    ]
    return _shuffled(stack, options, spaces, ends="webhook/builds")


def shuffled_reports_of_runs(stack: Stack, options: Options) -> Outcome:
    """F6c: the same with GitHub Actions, whose workflow reports by itself, too."""
    reset(stack)
    spaces = workspaces(stack, 8, connect=wire_actions)
    results = [result for result in invariants.ENDED if result != "UNSTABLE"]  # no run ends so
    ends = "github_actions/jobs/ios.yml/builds"
    return _shuffled(stack, options, spaces, ends=ends, results=results)


def _shuffled(
    stack: Stack,
    options: Options,
    spaces: Sequence[Workspace],
    *,
    ends: str,
    results: Sequence[str] = invariants.ENDED,
) -> Outcome:
    """`ends`: where the sandbox ends a build by its number; `results`: how its builds can end."""
    set_auto_finish(stack, None)
    chance = random.Random(options.seed)
    count = min(BUILDS, max(20, options.triggers * 5 // 4))
    turns = itertools.cycle(spaces)
    early = [_unanswered(next(turns).wired) for _n in range(count // 2)]
    run_concurrently(lambda build: ci_of(build).trigger(request_of(build)), early, threads=2)
    builds = early + [next(turns).wired.build("ios") for _n in range(count - len(early))]
    reports = _reports_of(stack, builds, lambda: chance.choice(results), ends=ends)
    posts = reports * 3
    chance.shuffle(posts)
    client, start = Client(stack.web_port), time.monotonic()
    run_concurrently(lambda report: _post(client, report), posts, threads=6)
    spent = time.monotonic() - start
    _make_due(early)
    until(lambda: not open_work(), seconds=SETTLE, what="everything settled", pause=1)
    outcome = judge(stack, client)
    outcome.figures |= {
        "posts": len(posts),
        "kept": WebhookDelivery.objects.count(),
        "per second": round(len(posts) / spent),
        "p99 s": round(percentile((a.seconds for a in client.answers), 0.99), 3),
    }
    outcome.expect(all(a.status == 202 for a in client.answers), "not every post got 202")
    outcome.expect(WebhookDelivery.objects.count() == len(reports), "repeats were kept")
    return outcome


@transaction.atomic
def _unanswered(wired: Any) -> Build:
    """A build whose worker was killed after sending; its effect is not due for an hour."""
    build: Build = wired.build("ios")
    Effect.objects.filter(build_id=build.pk).update(
        dispatched_at=timezone.now(), next_at=timezone.now() + timedelta(hours=1)
    )
    return build


def _make_due(builds: list[Build]) -> None:
    effects = Effect.objects.open().filter(build_id__in=[build.pk for build in builds])
    effects.update(next_at=timezone.now(), enqueued_at=None)


def _reports_of(
    stack: Stack, builds: list[Build], choose: Callable[[], str], *, ends: str
) -> list[Report]:
    """End each build on the CI server with a chosen result; the reports about them."""
    numbers = until(lambda: _numbers(stack, builds), seconds=SETTLE, what="all are built", pause=2)
    reports = []
    for build in builds:
        number, result = numbers[build.pk], choose()
        stack.sandbox.ask("POST", f"{ends}/{number}/finish", {"result": result})
        started = {"buildNumber": number, "buildId": build.pk, "status": "STARTED"}
        ended = {"buildNumber": number, "status": result}  # only the number, as in simple scripts
        reports += [Report(build, started, "started"), Report(build, ended, "ended")]
    return reports


def _numbers(stack: Stack, builds: list[Build]) -> dict[str, int]:
    """The CI server's number of each of our builds; empty until all have one."""
    started = stack.sandbox.ledger("build.started")
    found = {e["parameters"].get("DELIVR_BUILD_ID"): e["number"] for e in started}
    return found if len(found) == len(builds) else {}


def _post(client: Client, report: Report) -> None:
    pipeline = report.build.release_pipeline.pipeline
    name = f"{report.build.pk}-{report.name}"
    client.report(pipeline.pk, pipeline.webhook_secret.reveal(), name, report.body)


def many_clicks(stack: Stack, options: Options) -> Outcome:
    """F8: 50 people click at the same time, ten times: one build each time, 409 for the others."""
    reset(stack)
    set_auto_finish(stack, 4.0)
    (space,) = workspaces(stack, 1)
    client, outcome = Client(stack.web_port), Outcome()
    for round_number in range(10):
        release = space.wired.release("ios")
        barrier = threading.Barrier(50)

        def one(_n: int, release: Release = release, barrier: Any = barrier) -> int:
            barrier.wait()
            return click(client, space, release).status

        answers = sorted(run_concurrently(one, range(50), threads=50))
        outcome.expect(answers == [202] + [409] * 49, f"round {round_number}: {answers}")
    until(lambda: not open_work(), seconds=SETTLE, what="everything settled", pause=1)
    judged = judge(stack, client)
    return Outcome(judged.figures, outcome.broken + judged.broken)


def last_pairs(stack: Stack, options: Options) -> Outcome:
    """F9: the last two builds of a release end at the same moment, 300 times."""
    reset(stack)
    (space,) = workspaces(stack, 1)
    count = min(300, max(20, options.triggers))
    pairs = [_running_pair(space.wired.tenant, number) for number in range(1, count + 1)]
    client = Client(stack.web_port)
    for pair in pairs:
        reports = [
            Report(build, {"buildNumber": build.number, "status": "SUCCESS"}, "ended")
            for build in pair
        ]
        run_concurrently(lambda report: _post(client, report), reports, threads=2)
    until(lambda: not open_work(), seconds=SETTLE, what="everything settled", pause=1)
    hanging = Release.objects.exclude(status=ReleaseStatus.BUILD_COMPLETE).count()
    outcome = Outcome({"pairs": count, "hanging": hanging, "failed": len(client.failures())})
    outcome.expect(not hanging, f"{hanging} releases hang")
    outcome.expect(not client.failures(), "requests failed")
    return outcome


def last_pairs_of_runs(stack: Stack, options: Options) -> Outcome:
    """F9b: the last two runs of a release end at the same moment, 100 times; GitHub itself reports
    it, and each report only makes delivr read the run."""
    reset(stack)
    set_auto_finish(stack, None)
    (space,) = workspaces(stack, 1, connect=wire_actions)
    for name, pipeline in space.wired.pipelines.items():
        hook = {
            "url": f"http://127.0.0.1:{stack.web_port}/api/v1/webhooks/github/{pipeline.pk}",
            "secret": pipeline.webhook_secret.reveal(),
            "events": ["workflow_run"],  # a job's event of the other workflow waits for its build
        }
        stack.sandbox.ask("PATCH", f"github_actions/jobs/{name}.yml", {"webhook": hook})
    return _end_pairs(
        stack, space, options, lambda one: stack.sandbox.finish(*one, server="github_actions")
    )


def last_pairs_of_receivers(stack: Stack, options: Options) -> Outcome:
    """F9c: the same with Any CI, whose receivers report each end, with two repeats of the report on
    its heels."""
    reset(stack)
    set_auto_finish(stack, None)
    (space,) = workspaces(stack, 1, connect=wire_any_ci)
    client = Client(stack.web_port)

    def end(one: tuple[str, int]) -> None:
        _job, number = one
        stack.sandbox.ask("POST", f"webhook/builds/{number}/finish", {"result": "SUCCESS"})
        build = Build.objects.get(number=number)
        body = {"buildId": build.pk, "buildNumber": number, "status": "SUCCESS"}
        for _n in range(2):
            _post(client, Report(build, body, "ended"))

    outcome = _end_pairs(stack, space, options, end)
    outcome.expect(all(a.status == 202 for a in client.answers), "not every post got 202")
    return outcome


def _end_pairs(
    stack: Stack, space: Workspace, options: Options, end: Callable[[tuple[str, int]], None]
) -> Outcome:
    """`end` (job, number) of both builds of a release at the same moment, for one after another."""
    client = Client(stack.web_port)
    releases = [space.wired.release() for _n in range(min(100, max(10, options.triggers // 4)))]
    for release in releases:
        click(client, space, release)
    running = Build.objects.filter(status="RUNNING").exclude(number=None)
    count = 2 * len(releases)
    until(lambda: running.count() == count, seconds=SETTLE, what="all runs have started", pause=1)
    start = time.monotonic()
    for release in releases:
        builds = Build.objects.filter(release_pipeline__release=release)
        ended = builds.values_list("release_pipeline__job_path", "number")
        run_concurrently(end, ended, threads=2)
    until(lambda: not open_work(), seconds=SETTLE, what="everything settled", pause=1)
    spent = time.monotonic() - start
    hanging = Release.objects.exclude(status=ReleaseStatus.BUILD_COMPLETE).count()
    outcome = judge(stack, client)
    outcome.figures |= {
        "pairs": len(releases),
        "hanging": hanging,
        "reports": WebhookDelivery.objects.count(),
        "ended and known after s": round(spent, 1),
    }
    outcome.expect(not hanging, f"{hanging} releases hang")
    outcome.expect(WebhookDelivery.objects.exists(), "nothing was reported")
    return outcome


def _running_pair(tenant: Any, number: int) -> list[Build]:
    release = factories.ReleaseFactory(tenant=tenant, status=ReleaseStatus.BUILDING)
    pipelines = [
        factories.ReleasePipelineFactory(
            release=release, build_status="RUNNING", build_number=number, triggered=True
        )
        for _n in range(2)
    ]
    return [
        factories.BuildFactory(release_pipeline=pipeline, status="RUNNING", number=number)
        for pipeline in pipelines
    ]
