"""A halt is not held up: neither by what was asked for before, nor by looks at the same app."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from delivr.effects import clock
from delivr.effects.handlers import LEASE, Postpone, handler_for
from delivr.effects.health import PER_TENANT, URGENT_PLACES
from delivr.effects.models import Effect, IntegrationHealth
from delivr.effects.operations import create_effect
from delivr.effects.runner import Attempt, claim, run_effect
from delivr.failures import Conflict, Outcome, ProviderError
from integrations.providers.stores import Act
from releases.models import Release
from submissions import reading
from submissions.card import store_cards
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


# --- Neither by other calls ---------------------------------------------------------------------


def opened(row: Submission, **changes: Any) -> IntegrationHealth:
    """The store's breaker is open after many failures."""
    until = {"open_until": clock.now() + timedelta(minutes=10), **changes}
    IntegrationHealth.objects.filter(integration_id=row.target_id).update(failures=9, **until)
    return health_of(row)


def health_of(row: Submission) -> IntegrationHealth:
    found: IntegrationHealth = IntegrationHealth.objects.get(integration_id=row.target_id)
    return found


def test_an_open_breaker_does_not_delay_a_halt_but_a_step(
    rolling: Submission, store: type[FakeStore]
) -> None:
    opened(rolling)
    run_effect(asked(rolling, Act.ADVANCE).pk)
    assert store.taken == []
    run_effect(asked(rolling, Act.HALT).pk)
    assert (store.taken, fresh(rolling).state) == ([("halt", None)], "HALTED")
    assert health_of(rolling).open_until is None  # it answered: all may go on


def test_a_halt_that_fails_in_an_open_breaker_is_tried_each_minute_and_does_not_prolong_it(
    rolling: Submission, store: type[FakeStore]
) -> None:
    before = opened(rolling)
    halt = asked(rolling, Act.HALT)
    for attempt in range(1, 12):
        store.failures = [BROKEN]
        Effect.objects.filter(pk=halt.pk).update(next_at=clock.now())
        run_effect(halt.pk)
        halt.refresh_from_db()
        assert (halt.state, halt.attempts) == ("PENDING", attempt)
        assert halt.next_at <= clock.now() + timedelta(minutes=1)
    after = health_of(rolling)
    assert (after.failures, after.open_until) == (before.failures, before.open_until)


def test_a_halt_goes_beside_a_probe_and_waits_where_the_store_asked_for_it(
    rolling: Submission, store: type[FakeStore]
) -> None:
    soon = clock.now() + timedelta(seconds=20)
    health = opened(rolling, open_until=None, probe_until=soon, rate_limited_until=soon)
    halt = asked(rolling, Act.HALT)
    run_effect(halt.pk)
    halt.refresh_from_db()
    assert (store.taken, halt.next_at) == ([], soon)
    IntegrationHealth.objects.filter(pk=health.pk).update(rate_limited_until=None)
    Effect.objects.filter(pk=halt.pk).update(next_at=clock.now())
    run_effect(halt.pk)
    assert store.taken == [("halt", None)]


def slow_calls(row: Submission, count: int) -> None:
    """So many calls of the tenant are on their way, as many as possible to the same store."""
    for number in range(count):
        slow = create_effect(
            tenant=row.tenant,
            kind="store.step",
            integration_id=row.target_id if number < 4 else f"target_{number}",
            dedupe_key=f"slow-{number}",
            payload={"submission": "sub_other", "step": "version"},
        )
        Effect.objects.filter(pk=slow.pk).update(state="LEASED", lease_until=clock.now() + LEASE)


def test_slow_calls_of_the_same_tenant_do_not_delay_a_halt(
    rolling: Submission, store: type[FakeStore]
) -> None:
    slow_calls(rolling, PER_TENANT)
    run_effect(asked(rolling, Act.ADVANCE).pk)
    assert store.taken == []
    run_effect(asked(rolling, Act.HALT).pk)
    assert store.taken == [("halt", None)]


def test_halts_have_few_places_of_their_own(rolling: Submission, store: type[FakeStore]) -> None:
    slow_calls(rolling, PER_TENANT + URGENT_PLACES)
    halt = asked(rolling, Act.HALT)
    run_effect(halt.pk)
    halt.refresh_from_db()
    assert (store.taken, halt.state) == ([], "PENDING")
    assert halt.next_at <= clock.now() + timedelta(seconds=1)
