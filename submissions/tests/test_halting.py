"""A halt is not held up: neither by what was asked for before, nor by looks at the same app."""

from __future__ import annotations

from typing import Any

import pytest

from delivr.effects import clock
from delivr.effects.handlers import LEASE, Postpone, handler_for
from delivr.effects.health import PER_TENANT
from delivr.effects.models import Effect, IntegrationHealth
from delivr.effects.operations import create_effect
from delivr.effects.runner import Attempt, claim, run_effect
from delivr.failures import Conflict, Outcome, ProviderError
from integrations.providers.stores import Act
from releases.models import Release
from submissions import reading
from submissions.card import store_cards
from submissions.effects import DoAct
from submissions.locks import LONGEST, ONE_CALL, locked
from submissions.models import StoreLock, Submission
from submissions.operations import act_on
from submissions.tests.app_store.provider import FakeStore
from submissions.tests.conftest import effects_of, run_all

pytestmark = pytest.mark.django_db
BROKEN = ProviderError("server_error", "The store is down.", "", outcome=Outcome.NOT_SENT)
UNANSWERED = ProviderError("timeout", "No answer.", "", outcome=Outcome.UNCERTAIN)


@pytest.fixture
def rolling(submitted: Submission, store: type[FakeStore]) -> Submission:
    run_all(submitted)
    Submission.objects.filter(pk=submitted.pk).update(state="ROLLING_OUT", percent=5, step=1)
    store.taken.clear()
    return fresh(submitted)


def fresh(row: Submission) -> Submission:
    found: Submission = Submission.objects.get(pk=row.pk)
    return found


def asked(row: Submission, act: Act) -> Effect:
    act_on(submission=row, act=act, actor=None)
    return effects_of(row)[-1]


def ends(row: Submission) -> list[tuple[str, str]]:
    acts = [effect for effect in effects_of(row) if effect.kind == "store.act"]
    return [(effect.payload["step"], effect.state) for effect in acts]


def test_a_halt_takes_the_place_of_a_step_that_was_not_sent(
    rolling: Submission, store: type[FakeStore]
) -> None:
    store.failures = [BROKEN]
    run_effect(asked(rolling, Act.ADVANCE).pk)
    run_effect(asked(rolling, Act.HALT).pk)
    run_all(rolling)
    assert store.taken == [("halt", None)]
    assert ends(rolling) == [("advance", "CANCELLED"), ("halt", "DONE")]
    assert fresh(rolling).state == "HALTED"


def test_a_step_whose_response_was_lost_is_not_sent_again_after_a_halt(
    rolling: Submission, store: type[FakeStore]
) -> None:
    store.failures = [UNANSWERED]
    advance = asked(rolling, Act.ADVANCE)
    run_effect(advance.pk)
    run_effect(asked(rolling, Act.HALT).pk)
    assert store.taken == [("halt", None)]
    past = clock.now() - LONGEST * 5
    Effect.objects.filter(pk=advance.pk).update(next_at=past, dispatched_at=past)
    run_all(rolling)
    assert store.taken == [("halt", None)]
    assert ends(rolling) == [("advance", "CANCELLED"), ("halt", "DONE")]


def test_a_halt_waits_for_a_call_that_is_on_its_way(
    rolling: Submission, store: type[FakeStore]
) -> None:
    advance, halt = asked(rolling, Act.ADVANCE), asked(rolling, Act.HALT)
    Effect.objects.filter(pk=advance.pk).update(
        state="LEASED", lease_until=clock.now() + LEASE, done_at=None
    )
    run_effect(halt.pk)
    assert store.taken == []
    Effect.objects.filter(pk=advance.pk).update(lease_until=clock.now())  # its worker died
    Effect.objects.filter(pk=halt.pk).update(next_at=clock.now())
    run_effect(halt.pk)
    assert store.taken == [("halt", None)]


def test_only_a_halt_need_not_wait_and_only_once(rolling: Submission) -> None:
    asked(rolling, Act.ADVANCE)
    for act in (Act.ADVANCE, Act.COMPLETE):
        with pytest.raises(Conflict):
            asked(rolling, act)
    asked(rolling, Act.HALT)
    with pytest.raises(Conflict) as conflict:
        asked(rolling, Act.HALT)
    assert conflict.value.code == "in_progress"


def test_the_page_offers_a_halt_while_a_step_is_on_its_way(rolling: Submission) -> None:
    assert {"advance", "halt", "complete"} <= offered(rolling)
    asked(rolling, Act.ADVANCE)
    assert offered(rolling) == {"halt"}
    asked(rolling, Act.HALT)
    assert offered(rolling) == set()


def offered(row: Submission) -> set[str]:
    release = Release.objects.with_everything().get(pk=row.release_id)
    effects = [e for e in effects_of(row) if e.is_open]
    cards = store_cards(release, effects, clock.now())
    return {act.act for card in cards if card.submission for act in card.submission.acts}


@pytest.fixture
def account(store: type[FakeStore]) -> str:
    """A store in which one at a time may work."""
    store.key = "account"
    return store.key


def test_looks_give_way_to_a_halt_that_waits(rolling: Submission, account: str) -> None:
    halt = asked(rolling, Act.HALT)
    with locked(account, longest=ONE_CALL):
        run_effect(halt.pk)
    Submission.objects.filter(pk=rolling.pk).update(read_at=clock.now())
    reading.read(rolling.pk)
    assert fresh(rolling).last_read_at is None
    with pytest.raises(Postpone), locked(account):
        pass
    Effect.objects.filter(pk=halt.pk).update(next_at=clock.now())
    run_effect(halt.pk)
    assert fresh(rolling).state == "HALTED"
    with locked(account):  # nobody has to give way any more
        pass


def test_a_look_whose_worker_died_holds_it_for_one_call_only(account: str) -> None:
    began = clock.now()
    with locked(account, longest=ONE_CALL):
        held: Any = StoreLock.objects.get(key=account).held_until
    assert held - began < LONGEST


def test_a_step_that_is_claimed_late_finds_the_halt(
    rolling: Submission, store: type[FakeStore]
) -> None:
    """A worker had the step in its hands when the halt was asked for, and goes on only then."""
    claimed = claim(asked(rolling, Act.ADVANCE).pk)
    assert claimed is not None
    asked(rolling, Act.HALT)
    Attempt(claimed, handler_for(claimed.kind)).run()
    run_all(rolling)
    assert store.taken == [("halt", None)]


def test_neither_the_breaker_nor_busy_places_hold_up_a_halt(
    rolling: Submission, store: type[FakeStore]
) -> None:
    now = clock.now()
    integration = {"tenant": rolling.tenant, "integration_id": rolling.target_id}
    IntegrationHealth.objects.update_or_create(
        **integration, defaults={"failures": 9, "open_until": now + LEASE}
    )
    for number in range(PER_TENANT):
        busy = create_effect(
            **integration, kind="store.step", dedupe_key=f"busy:{number}", payload={}
        )
        Effect.objects.filter(pk=busy.pk).update(state="LEASED", lease_until=now + LEASE)
    run_effect(asked(rolling, Act.ADVANCE).pk)
    assert store.taken == []
    run_effect(asked(rolling, Act.HALT).pk)
    assert store.taken == [("halt", None)]


def test_a_pause_that_the_store_asked_for_holds_for_a_halt_too(
    rolling: Submission, store: type[FakeStore]
) -> None:
    until = clock.now() + LEASE
    IntegrationHealth.objects.update_or_create(
        tenant=rolling.tenant,
        integration_id=rolling.target_id,
        defaults={"rate_limited_until": until},
    )
    halt = asked(rolling, Act.HALT)
    run_effect(halt.pk)
    halt.refresh_from_db()
    assert (store.taken, halt.next_at) == ([], until)


def test_a_halt_is_tried_until_it_expires(rolling: Submission, store: type[FakeStore]) -> None:
    halt = asked(rolling, Act.HALT)
    store.failures = [BROKEN] * 40
    for _attempt in range(40):
        Effect.objects.filter(pk=halt.pk).update(next_at=clock.now())
        run_effect(halt.pk)
    halt.refresh_from_db()
    assert (halt.state, store.taken) == ("PENDING", [])
    assert halt.next_at - clock.now() <= DoAct.cap
    Effect.objects.filter(pk=halt.pk).update(next_at=clock.now())
    run_effect(halt.pk)
    assert store.taken == [("halt", None)]
