"""A short F2 of `make faults`: lossy providers, and a worker that is killed at random moments."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection

from builds.models import Build
from delivr.effects.models import Effect, EffectState
from delivr.tests.processes import empty_broker, environment
from delivr.tests.wired import wire, wire_actions, wire_any_ci, wire_pipelines
from faults import invariants
from faults.clients import Client
from faults.killing import LONG, lossy
from faults.stack import Product, until
from faults.workspaces import (
    age_rows,
    click,
    open_work,
    set_auto_finish,
    use_repository,
    workspaces,
)

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]

CI_SERVERS = (wire, wire_actions, wire_pipelines, wire_any_ci)
RELEASES = 3  # for each, with two triggers each
KILLS = 2  # one more follows at the end


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Product]:
    assert connection.vendor == "postgresql", "run with DATABASE_URL=postgres://…"
    empty_broker()
    with Product(tmp_path, environment(), workers=1) as product:
        set_auto_finish(product, 0.1)
        yield product
        for process in product.processes.values():
            process.kill()  # faster than an orderly stop


def kill_worker(product: Product) -> None:
    """Kill the worker, let its leases expire, and start another one."""
    product["worker1"].kill()
    age_rows(LONG)
    product["worker1"].start()
    until(product.has_idle_worker, seconds=60, what="a worker is up")


def test_kills_at_random_moments_lose_nothing_and_double_nothing(running: Product) -> None:
    seed = random.randrange(10_000)
    chance, client = random.Random(seed), Client(running.web_port)
    spaces = [space for ci in CI_SERVERS for space in workspaces(running, 1, connect=ci)]
    use_repository(spaces[0], first=0)
    releases = [(s, s.wired.release(slack=n == 0)) for n in range(RELEASES) for s in spaces]
    with lossy(running):
        for space, release in releases:
            assert click(client, space, release).status == 202
        for _n in range(KILLS):
            time.sleep(chance.uniform(0.1, 1.0))  # the moment of the kill, not a wait for anything
            kill_worker(running)
    kill_worker(running)  # ends the calls that are never answered
    until(lambda: not open_work(), seconds=90, what=f"everything settled (seed {seed})")
    builds = Build.objects.values_list("pk", flat=True)
    assert invariants.sent_builds(running.sandbox) == dict.fromkeys(builds, 1), f"seed {seed}"
    assert invariants.check(running.sandbox, settled=True) == [], f"seed {seed}"
    assert not client.failures()
    assert len(builds) == 2 * len(releases)
    assert not Effect.objects.exclude(state=EffectState.DONE).exists()
