"""A worker killed while it creates a branch or a tag: another recovers, and creates no second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from builds.tests.test_crashes import CELERY, SENT, killed, let_time_pass, lone_sweeper
from delivr.effects.models import Effect, EffectState
from delivr.tests.processes import empty_broker, until
from delivr.tests.wired import Wired, fresh, wired_to
from releases.models import Release, RepositoryPart
from releases.operations import create_release
from releases.repository.acts import TAG, create_for_commit
from releases.repository.steps import Wishes
from releases.tests.new_release import values_of
from sandbox.repositories import fake_sha

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]

MAIN = fake_sha("dream11/app", "main")
POINTS = ["after_write_ahead", "after_send", "before_settle_commit"]


@pytest.fixture
def wired(tenant: Any, sandbox: Any) -> Wired:
    assert connection.vendor == "postgresql", "run with DATABASE_URL=postgres://…"
    empty_broker()
    return wired_to(tenant, sandbox)


def plan(wired: Wired, *, creates_branch: bool) -> Release:
    values = values_of(wired, communication_id=None, ticket_id=None)
    wishes = Wishes("main", {"creates_branch": creates_branch, "makes_tag": True})
    return create_release(**values, wishes=wishes)


def recovered(effect: Effect, sandbox: Any, tmp_path: Path, ref: str) -> None:
    let_time_pass(effect)
    with lone_sweeper(tmp_path / "sweeper.log"):
        until(lambda: fresh(effect).state == EffectState.DONE, seconds=90, what="done")
    assert len(sandbox.world.ledger.of("ref.created", ref=ref)) == 1
    assert sandbox.world.github.refs["dream11/app"][ref] == MAIN


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_worker_leaves_one_branch(
    wired: Wired, sandbox: Any, tmp_path: Path, point: str
) -> None:
    release = plan(wired, creates_branch=True)
    killed(tmp_path / "worker.log", point, *CELERY)
    ref = f"refs/heads/{release.branch}"
    assert len(sandbox.world.ledger.of("ref.created", ref=ref)) == int(point in SENT)
    effect = Effect.objects.get(kind="scm.create_branch")
    recovered(effect, sandbox, tmp_path, ref)
    assert RepositoryPart.objects.get(release=release).commit == MAIN


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_worker_leaves_one_tag(
    wired: Wired, sandbox: Any, tmp_path: Path, point: str
) -> None:
    release = plan(wired, creates_branch=False)
    Release.objects.filter(pk=release.pk).update(status="BUILD_COMPLETE", branch_look_at=None)
    create_for_commit(release, TAG, {"commit": MAIN, "reason": "", "cause": "bld_x"})
    killed(tmp_path / "worker.log", point, *CELERY)
    recovered(Effect.objects.get(kind=TAG), sandbox, tmp_path, "refs/tags/v1.5.0")
    assert RepositoryPart.objects.get(release=release).tagged_commit == MAIN
