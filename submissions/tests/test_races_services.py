"""Workers that meet at the same row, on PostgreSQL."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from builds.tests.test_locks import closing
from delivr.effects import clock
from delivr.effects.handlers import Postpone
from delivr.effects.models import Effect
from delivr.effects.runner import run_effect
from delivr.failures import Conflict
from delivr.tests import factories
from integrations.providers.stores import Act
from releases.models import Release
from releases.tests.pages import Setup
from submissions import preflight, reading
from submissions.locks import locked
from submissions.models import Preflight, StoreLock, Submission, SubmissionEvent
from submissions.operations import act_on
from submissions.tests.app_store.provider import FakeStore
from submissions.tests.conftest import effects_of, run_all

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]
WORKERS = 8
ROUNDS = 10


@pytest.fixture(autouse=True)
def on_postgresql(db: None) -> None:
    assert connection.vendor == "postgresql", "run with DATABASE_URL=postgres://…"


def at_once(work: Callable[[], Any]) -> list[Any]:
    """Do it in all workers at the same moment; what they return."""
    barrier, found = threading.Barrier(WORKERS), []

    def one() -> None:
        barrier.wait()
        found.append(work())

    threads = [threading.Thread(target=closing(one)) for _n in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return found


@pytest.mark.parametrize("table", ["submissions", "submission_events", "preflights"])
def test_a_row_of_another_tenant_is_refused_by_the_database(
    table: str, submitted: Submission
) -> None:
    preflight.ask(submitted.release)
    other: Any = Setup(factories.TenantFactory())
    strange = other.release()
    SubmissionEvent.objects.create(tenant=submitted.tenant, submission=submitted, what="Seen")
    changes: dict[str, tuple[Any, dict[str, Any]]] = {
        "submissions": (Submission, {"release": strange}),
        "submission_events": (SubmissionEvent, {"tenant": other.tenant}),
        "preflights": (Preflight, {"release_target": strange.targets.first()}),
    }
    model, values = changes[table]
    row = model.objects.filter(tenant=submitted.tenant).first()
    with pytest.raises(IntegrityError, match="same_tenant"), transaction.atomic():
        model.objects.filter(pk=row.pk).update(**values)


def test_one_worker_gets_the_lock_of_a_store() -> None:
    for _round in range(ROUNDS):
        hold = functools.partial(holds, threading.Barrier(WORKERS))
        assert sorted(at_once(hold)) == [False] * (WORKERS - 1) + [True]
    assert StoreLock.objects.get().token == ROUNDS


def holds(everybody_tried: threading.Barrier) -> bool:
    """Whether it got the lock, which is kept until all others have tried."""
    try:
        with locked("account"):
            everybody_tried.wait(20)
            return True
    except Postpone:
        everybody_tried.wait(20)
        return False


def test_workers_that_race_for_a_step_take_it_once(
    submitted: Submission, store: type[FakeStore]
) -> None:
    store.key = "account"
    for _step in ("preflight", "version", "submit"):
        [effect] = [one for one in effects_of(submitted) if one.is_open]
        at_once(lambda pk=effect.pk: run_effect(pk))
    assert [step for step, _share in store.taken] == ["version", "submit"]


def test_workers_that_race_for_two_steps_of_an_account_take_each_once(
    setup: Setup, submitted: Submission, store: type[FakeStore]
) -> None:
    """Two effects and one lock: who does not get it comes again."""
    run_all(submitted)
    store.key = "account"
    Submission.objects.update(state="ROLLING_OUT", percent=5, step=1)
    store.taken.clear()
    act_on(submission=fresh(submitted), act=Act.ADVANCE, actor=None)
    act_on(submission=fresh(submitted), act=Act.HALT, actor=None)
    while waiting := list(Effect.objects.open().filter(kind="store.act")):
        Effect.objects.open().filter(kind="store.act").update(next_at=clock.now())
        at_once(lambda: [run_effect(effect.pk) for effect in waiting])
    assert store.taken[-1] == ("halt", None)
    assert len(store.taken) == len(set(store.taken))
    assert fresh(submitted).state == "HALTED"


def test_clicks_at_once_ask_for_one_act(submitted: Submission, store: type[FakeStore]) -> None:
    run_all(submitted)
    Submission.objects.update(state="ROLLING_OUT", percent=5, step=1)
    for act in (Act.ADVANCE, Act.HALT):
        before = len(effects_of(submitted))
        at_once(lambda act=act: pressed(submitted, act))
        assert len(effects_of(submitted)) == before + 1
        Effect.objects.open().filter(kind="store.act").update(state="DONE")


def pressed(row: Submission, act: Act) -> None:
    with contextlib.suppress(Conflict):
        act_on(submission=row, act=act, actor=None)


def test_each_due_look_is_claimed_once_and_nobody_waits(
    setup: Setup, submitted: Submission, release: Release
) -> None:
    """`select_for_update(skip_locked)`: rows that another worker has in hand are left out."""
    preflight.ask(release)
    count = Preflight.objects.update(look_at=clock.now())
    Submission.objects.update(read_at=clock.now(), submitted_at=clock.now())
    for due, there in ((reading.due, 1), (preflight.due, count)):
        claimed = [pk for found in at_once(due) for pk in found]
        assert len(claimed) == len(set(claimed)) == there


def test_a_row_that_is_locked_holds_up_no_look(submitted: Submission) -> None:
    Submission.objects.update(read_at=clock.now(), submitted_at=clock.now())
    with transaction.atomic():
        Submission.objects.select_for_update().get(pk=submitted.pk)
        assert at_once(reading.due) == [[]] * WORKERS
    assert reading.due() == [submitted.pk]


def fresh(row: Submission) -> Submission:
    found: Submission = Submission.objects.get(pk=row.pk)
    return found
