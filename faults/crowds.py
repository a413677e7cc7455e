"""F6, F8 and F9: many at once, in any order, again and again."""

from __future__ import annotations

import base64
import itertools
import random
import threading
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from builds.models import Build, WebhookDelivery
from delivr.effects.models import Effect
from delivr.tests import factories
from faults import invariants
from faults.clients import Client, at_once, percentile
from faults.outcome import SETTLE, Options, Outcome, judge
from faults.stack import Stack, until
from faults.world import begin, click, ends_by_itself, open_work, workspaces
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
    """F6: two reports of each of 500 builds, all of them three times and in any order; half of
    the builds have not stored the answer of their trigger yet."""
    begin(stack)
    ends_by_itself(stack, None)
    chance = random.Random(options.seed)
    count = min(BUILDS, max(20, options.triggers * 5 // 4))
    early = _new_builds(stack, count // 2, is_early=True)
    builds = early + _new_builds(stack, count - len(early), is_early=False)
    reports = _reports_of(stack, builds, chance)
    posts = reports * 3
    chance.shuffle(posts)
    client, start = Client(stack.web_port), time.monotonic()
    at_once(lambda report: _post(client, report), posts, threads=6)
    spent = time.monotonic() - start
    _time_to_look(early)
    until(lambda: not open_work(), seconds=SETTLE, what="everything settled", pause=1)
    outcome = judge(stack, client)
    outcome.figures |= {
        "posts": len(posts),
        "kept": WebhookDelivery.objects.count(),
        "per second": round(len(posts) / spent),
        "p99 s": round(percentile((a.seconds for a in client.answers), 0.99), 3),
    }
    outcome.want(all(a.status == 202 for a in client.answers), "not every post got 202")
    outcome.want(WebhookDelivery.objects.count() == len(reports), "repeats were kept")
    return outcome


def _new_builds(stack: Stack, count: int, *, is_early: bool) -> list[Build]:
    spaces = itertools.cycle(workspaces(stack, 8))
    if not is_early:
        return [next(spaces).wired.build("ios") for _n in range(count)]
    builds = [_unanswered(next(spaces).wired) for _n in range(count)]
    at_once(lambda build: _send(stack, build), builds, threads=2)
    return builds


@transaction.atomic
def _unanswered(wired: Any) -> Build:
    """As a worker leaves it that is killed after sending; nobody looks for the build for now."""
    build: Build = wired.build("ios")
    Effect.objects.filter(build_id=build.pk).update(
        dispatched_at=timezone.now(), next_at=timezone.now() + timedelta(hours=1)
    )
    return build


def _send(stack: Stack, build: Build) -> None:
    """What the worker did before it was killed."""
    words = f"{accounts.JENKINS_USER}:{accounts.JENKINS_API_TOKEN}".encode()
    request = urllib.request.Request(
        f"{stack.sandbox.url}/jenkins/job/{JOB}/buildWithParameters?delay=0sec",
        data=urllib.parse.urlencode(build.parameters).encode(),
        headers={"Authorization": f"Basic {base64.b64encode(words).decode()}"},
    )
    urllib.request.urlopen(request, timeout=30).close()


def _time_to_look(builds: list[Build]) -> None:
    promises = Effect.objects.open().filter(build_id__in=[build.pk for build in builds])
    promises.update(next_at=timezone.now(), enqueued_at=None)


def _reports_of(stack: Stack, builds: list[Build], chance: random.Random) -> list[Report]:
    """Jenkins ends each build somehow; what it will say of them."""
    numbers = until(lambda: _numbers(stack, builds), seconds=SETTLE, what="all are built", pause=2)
    reports = []
    for build in builds:
        number, result = numbers[build.pk], chance.choice(invariants.ENDED)
        stack.sandbox.ask("POST", f"jenkins/jobs/{JOB}/builds/{number}/finish", {"result": result})
        started = {"buildNumber": number, "buildId": build.pk, "status": "STARTED"}
        ended = {"buildNumber": number, "status": result}  # the number alone, as in plain scripts
        reports += [Report(build, started, "started"), Report(build, ended, "ended")]
    return reports


def _numbers(stack: Stack, builds: list[Build]) -> dict[str, int]:
    """Jenkins' number of each of our builds; empty until all are there."""
    started = stack.sandbox.ledger("build.started")
    found = {e["parameters"].get("DELIVR_BUILD_ID"): e["number"] for e in started}
    return found if len(found) == len(builds) else {}


def _post(client: Client, report: Report) -> None:
    pipeline = report.build.release_pipeline.pipeline
    name = f"{report.build.pk}-{report.name}"
    client.report(pipeline.pk, pipeline.webhook_secret.reveal(), name, report.body)


def many_clicks(stack: Stack, options: Options) -> Outcome:
    """F8: 50 people click at once, ten times: one build each time, 409 for the others."""
    begin(stack)
    ends_by_itself(stack, 4.0)
    (space,) = workspaces(stack, 1)
    client, outcome = Client(stack.web_port), Outcome()
    for round_number in range(10):
        release = space.wired.release("ios")
        barrier = threading.Barrier(50)

        def one(_n: int, release: Release = release, barrier: Any = barrier) -> int:
            barrier.wait()
            return click(client, space, release).status

        answers = sorted(at_once(one, range(50), threads=50))
        outcome.want(answers == [202] + [409] * 49, f"round {round_number}: {answers}")
    until(lambda: not open_work(), seconds=SETTLE, what="everything settled", pause=1)
    judged = judge(stack, client)
    return Outcome(judged.figures, outcome.broken + judged.broken)


def last_pairs(stack: Stack, options: Options) -> Outcome:
    """F9: the last two builds of a release end in the same moment, 300 times."""
    begin(stack)
    (space,) = workspaces(stack, 1)
    count = min(300, max(20, options.triggers))
    pairs = [_running_pair(space.wired.tenant, number) for number in range(1, count + 1)]
    client = Client(stack.web_port)
    for pair in pairs:
        reports = [
            Report(build, {"buildNumber": build.number, "status": "SUCCESS"}, "ended")
            for build in pair
        ]
        at_once(lambda report: _post(client, report), reports, threads=2)
    until(lambda: not open_work(), seconds=SETTLE, what="everything settled", pause=1)
    hanging = Release.objects.exclude(status=ReleaseStatus.BUILD_COMPLETE).count()
    outcome = Outcome({"pairs": count, "hanging": hanging, "failed": len(client.failures())})
    outcome.want(not hanging, f"{hanging} releases hang")
    outcome.want(not client.failures(), "requests failed")
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
