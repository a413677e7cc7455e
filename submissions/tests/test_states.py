"""What the store says of a submission, and what follows for the release."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from delivr.effects import clock
from delivr.effects.models import Effect
from delivr.failures import Outcome, ProviderError
from integrations.providers.stores import Act, StoreState, SubmissionState
from releases.marks import mark_changes
from releases.models import Release
from releases.operations import derive_status_in_stores
from releases.tests.pages import Setup
from submissions import reading
from submissions.models import Submission
from submissions.operations import act_on, submit
from submissions.plans import Wishes
from submissions.states import lock_submission, set_state
from submissions.tests.app_store.provider import FakeStore
from submissions.tests.conftest import run_all

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("states", "status"),
    [
        ([], None),
        (["WITHDRAWN"], None),
        (["WAITING_FOR_REVIEW"], "SUBMITTED"),
        (["REJECTED"], "SUBMITTED"),
        (["APPROVED", "IN_REVIEW"], "SUBMITTED"),
        (["ROLLING_OUT", "IN_REVIEW"], "ROLLING_OUT"),
        (["HALTED"], "ROLLING_OUT"),
        (["LIVE", "REJECTED"], "ROLLING_OUT"),
        (["LIVE", "REPLACED"], "RELEASED"),
        (["LIVE", "WITHDRAWN"], "RELEASED"),
    ],
)
def test_the_status_of_the_release_follows(states: list[str], status: str | None) -> None:
    assert derive_status_in_stores(states) == status


@pytest.fixture
def row(submitted: Submission) -> Submission:
    """One that the store reviews."""
    run_all(submitted)
    found: Submission = Submission.objects.get(pk=submitted.pk)
    return found


def says(store: type[FakeStore], state: str, **values: object) -> None:
    known = StoreState(state=SubmissionState(state), word=state)
    store.state = replace(known, **values)  # type: ignore[arg-type]


def look(row: Submission) -> Submission:
    Submission.objects.filter(pk=row.pk).update(read_at=clock.now())
    assert reading.due() == [row.pk]
    reading.read(row.pk)
    found: Submission = Submission.objects.get(pk=row.pk)
    return found


def outside(row: Submission) -> list[tuple[str, str]]:
    events = row.events.filter(is_outside=True)
    return [(event.what, event.by) for event in events]


def test_the_review_is_followed_to_the_users(row: Submission, store: type[FakeStore]) -> None:
    release = Release.objects.filter(pk=row.release_id)
    for state, percent, status in (
        ("IN_REVIEW", None, "SUBMITTED"),
        ("APPROVED", None, "SUBMITTED"),
        ("ROLLING_OUT", 5.0, "ROLLING_OUT"),
        ("LIVE", 100.0, "RELEASED"),
    ):
        says(store, state, percent=percent)
        if state == "LIVE":
            act_on(submission=row, act=Act.COMPLETE, actor=None)
            run_all(row)
        found = look(row)
        assert (found.state, found.percent) == (state, percent)
        assert release.get().status == status
    assert outside(row) == []
    assert release.get().released_at is not None
    notices = Effect.objects.filter(kind="message.post", build_id="").values_list(
        "payload__notice", flat=True
    )
    assert {"release_submitted", "release_rolling_out", "release_released"} <= set(notices)


def test_a_rejection_keeps_the_release_submitted(row: Submission, store: type[FakeStore]) -> None:
    says(store, "REJECTED", message="Apple rejected it.", hint="Open the Resolution Centre.")
    found = look(row)
    assert (found.state, found.message) == ("REJECTED", "Apple rejected it.")
    assert Release.objects.get(pk=row.release_id).status == "SUBMITTED"


@pytest.mark.parametrize(
    ("before", "after", "percent", "words"),
    [
        ("ROLLING_OUT", "ROLLING_OUT", 20.0, "Rolled out to 20 % in Fake Console"),
        ("ROLLING_OUT", "HALTED", 5.0, "Halted: changed in Fake Console, not by delivr"),
        ("ROLLING_OUT", "PAUSED", 5.0, "Paused: changed in Fake Console, not by delivr"),
        ("HALTED", "ROLLING_OUT", 5.0, "Rolled out to 5 % in Fake Console"),
        ("IN_REVIEW", "WITHDRAWN", None, "Withdrawn: changed in Fake Console, not by delivr"),
        (
            "REJECTED",
            "IN_REVIEW",
            None,
            "In review: changed in Fake Console, not by delivr",
        ),
    ],
)
def test_what_is_done_by_hand_is_noticed(
    row: Submission,
    store: type[FakeStore],
    before: str,
    after: str,
    percent: float | None,
    words: str,
) -> None:
    Submission.objects.filter(pk=row.pk).update(state=before, percent=5.0)
    says(store, after, percent=percent, by="someone@example.com")
    found = look(row)
    assert (found.state, outside(found)) == (after, [(words, "someone@example.com")])


def test_a_share_set_by_hand_counts_as_taken(row: Submission, store: type[FakeStore]) -> None:
    Submission.objects.filter(pk=row.pk).update(state="ROLLING_OUT", percent=5.0)
    says(store, "ROLLING_OUT", percent=20.0)
    assert look(row).step == 2


def test_what_delivr_did_is_not_called_done_by_hand(
    row: Submission, store: type[FakeStore]
) -> None:
    Submission.objects.filter(pk=row.pk).update(state="ROLLING_OUT", percent=5.0)
    act_on(submission=row, act=Act.HALT, actor=None)  # its effect was not settled yet
    says(store, "HALTED", percent=5.0)
    assert outside(look(row)) == []


def test_a_response_that_is_older_than_an_act_is_not_applied(
    row: Submission, store: type[FakeStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    Submission.objects.filter(pk=row.pk).update(state="ROLLING_OUT", percent=5.0)

    def read(self: FakeStore, plan: object) -> StoreState:
        act_on(submission=row, act=Act.HALT, actor=None)
        run_all(row)
        return StoreState(state=SubmissionState.ROLLING_OUT, word="OLD", percent=5.0)

    monkeypatch.setattr(store, "read_submission", read)
    assert look(row).state == "HALTED"


def test_a_store_that_does_not_respond_is_asked_again(
    row: Submission, store: type[FakeStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(self: FakeStore, plan: object) -> StoreState:
        raise ProviderError("timeout", "No response.", outcome=Outcome.UNCERTAIN)

    monkeypatch.setattr(store, "read_submission", read)
    found = look(row)
    assert (found.state, found.read_error) == ("WAITING_FOR_REVIEW", "No response.")
    assert found.read_at is not None
    assert found.read_at > clock.now()


def test_what_ended_is_not_asked_about_again(row: Submission, store: type[FakeStore]) -> None:
    says(store, "WITHDRAWN")
    found = look(row)
    assert found.read_at is None
    assert found.ended_at is not None
    assert Release.objects.get(pk=row.release_id).status == "BUILD_COMPLETE"
    assert Release.objects.get(pk=row.release_id).submitted_at is None


def test_a_live_release_is_watched_for_a_month(row: Submission, store: type[FakeStore]) -> None:
    says(store, "LIVE", percent=100.0)
    assert look(row).read_at is not None
    long_ago = clock.now() - timedelta(days=31)
    Submission.objects.filter(pk=row.pk).update(changed_at=long_ago)
    assert look(row).read_at is None


def test_a_store_that_follows_a_release_takes_nothing_back_and_each_thing_is_told_once(
    row: Submission, store: type[FakeStore], setup: Setup, api_for: Any
) -> None:
    said = Effect.objects.filter(kind="message.post", payload__channel=setup.slack.channels[0])
    says(store, "LIVE", percent=100.0)
    look(row)
    release = Release.objects.get(pk=row.release_id)
    comments = Effect.objects.filter(kind="ticket.comment", release_id=release.pk).count()
    follower = submit(
        release=release, actor=None, target_id=setup.android.pk, wishes=Wishes(store_build="246")
    )
    for state in ("WAITING_FOR_REVIEW", "ROLLING_OUT", "LIVE"):
        with transaction.atomic():
            locked = lock_submission(follower.pk)
            locked.submitted_at = clock.now()
            set_state(locked, SubmissionState(state), cause=state)
    notices = [
        (e.payload["notice"], e.payload["words"].get("stores", ""))
        for e in said.order_by("created_at", "pk")
        if e.payload["notice"] in ("release_released", "release_submitted", "release_rolling_out")
    ]
    assert notices == [
        ("release_submitted", ""),
        ("release_released", ""),
        ("release_submitted", "Play Store"),
        ("release_released", "Play Store"),
    ]
    assert Effect.objects.filter(kind="ticket.comment", release_id=release.pk).count() == comments
    timeline = api_for(setup.tenant).get(f"/api/v1/releases/{release.pk}").json()["timeline"]
    titles = [item["title"] for item in timeline]
    assert [t for t in titles if "users" in t or "ubmitted" in t] == [
        "Submitted to the stores",
        "Released to all users: Fake Store",
        "Also submitted to Play Store",
        "Released to all users: Fake Store, Play Store",
    ]


def test_a_halt_of_what_all_users_have_takes_it_back(
    row: Submission, store: type[FakeStore]
) -> None:
    says(store, "LIVE", percent=100.0)
    look(row)
    says(store, "HALTED", percent=100.0)
    look(row)
    release = Release.objects.get(pk=row.release_id)
    found = [change for change in mark_changes(release) if change.mark == "released"]
    assert [(c.is_set, c.stores) for c in found] == [(True, "Fake Store"), (False, "")]
