"""From the submission to the store's review, one effect for each step."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse

from delivr.effects import clock
from delivr.effects.models import Effect, EffectState
from delivr.effects.operations import retry_effect
from delivr.effects.runner import run_effect
from delivr.failures import Conflict, Outcome, ProviderError
from integrations.providers.base import Check
from integrations.providers.stores import Act, StepRefused
from releases.models import Release, ReleasePipeline
from releases.operations import recompute
from releases.tests.pages import Setup
from submissions.locks import locked
from submissions.models import Preflight, StoreLock, Submission
from submissions.operations import act_on, submit
from submissions.plans import NO_WISHES, Wishes
from submissions.tests.app_store.provider import FakeStore
from submissions.tests.conftest import effects_of, run_all

pytestmark = pytest.mark.django_db

UNCERTAIN = ProviderError("timeout", "No response.", "", outcome=Outcome.UNCERTAIN)
NOT_YET = ProviderError(
    "processing", "Still processing.", "", outcome=Outcome.NOT_YET, retry_after=60
)


def fresh(row: Submission) -> Submission:
    found: Submission = Submission.objects.get(pk=row.pk)
    return found


def test_each_step_is_taken_once_in_order(submitted: Submission, store: type[FakeStore]) -> None:
    run_all(submitted)
    assert store.taken == [("version", 5.0), ("submit", 5.0)]
    row = fresh(submitted)
    assert (row.state, row.step) == ("WAITING_FOR_REVIEW", 1)
    assert row.references == {"version": "id-1", "submit": "id-2"}
    assert row.submitted_at is not None
    assert row.read_at is not None
    assert [effect.payload["step"] for effect in effects_of(row)] == [
        "preflight",
        "version",
        "submit",
    ]
    assert Release.objects.get().status == "SUBMITTED"
    assert row.events.get().what == "Submitted to Fake Store"


def test_nothing_is_sent_while_something_stands_in_the_way(
    submitted: Submission, store: type[FakeStore]
) -> None:
    store.checks_found = [
        Check.failed("build", "build_missing", "There is no build 245.", "Upload it."),
        Check.failed("contact", "no_contact", "The review contact is missing."),
    ]
    run_all(submitted)
    row = fresh(submitted)
    assert (store.taken, row.state, row.submitted_at) == ([], "NEEDS_PERSON", None)
    assert row.message == "There is no build 245. And 1 more."
    found = Preflight.objects.get(release_target=row.release_target)
    assert (found.is_ready, len(found.checks)) == (False, 2)
    assert Release.objects.get().status == "BUILD_COMPLETE"

    store.checks_found = []
    retry_effect(effect=effects_of(row)[0], actor=None)
    run_all(row)
    assert fresh(row).state == "WAITING_FOR_REVIEW"
    assert Preflight.objects.get(release_target=row.release_target).is_ready


def test_a_step_whose_response_is_lost_is_found_and_not_repeated(
    submitted: Submission, store: type[FakeStore]
) -> None:
    store.lost = [UNCERTAIN, UNCERTAIN]
    run_all(submitted)
    assert store.taken == [("version", 5.0), ("submit", 5.0)]
    assert fresh(submitted).state == "WAITING_FOR_REVIEW"
    assert not fresh(submitted).events.filter(is_outside=True).exists()


def test_a_step_waits_while_the_store_is_not_ready(
    submitted: Submission, store: type[FakeStore]
) -> None:
    run_effect(effects_of(submitted)[0].pk)
    store.failures = [NOT_YET]
    step = effects_of(submitted)[1]
    run_effect(step.pk)
    step.refresh_from_db()
    assert (step.state, step.attempts, step.last_error) == (
        EffectState.PENDING,
        0,
        "Still processing.",
    )
    assert fresh(submitted).state == "DRAFT"
    run_all(submitted)
    assert fresh(submitted).state == "WAITING_FOR_REVIEW"


def test_what_was_done_by_hand_is_adopted(submitted: Submission, store: type[FakeStore]) -> None:
    store.done = {"version": {"version": "theirs"}, "submit": {"submit": "theirs"}}
    run_all(submitted)
    row = fresh(submitted)
    assert (store.taken, row.state) == ([], "WAITING_FOR_REVIEW")
    event = row.events.get()
    assert (event.is_outside, event.what) == (True, "Submitted in Fake Console, not by delivr")


def test_what_the_store_declines_is_shown_like_a_preflight(
    submitted: Submission, store: type[FakeStore]
) -> None:
    check = Check.failed("contact", "no_contact", "The review contact is missing.")
    run_effect(effects_of(submitted)[0].pk)
    store.failures = [StepRefused("refused", "It says: no contact.", "Mend it.", checks=[check])]
    run_all(submitted)
    row = fresh(submitted)
    assert (row.state, row.message) == ("NEEDS_PERSON", "It says: no contact.")
    assert [
        one["code"] for one in Preflight.objects.get(release_target=row.release_target).checks
    ] == ["no_contact"]


@pytest.mark.parametrize("is_in_doubt", [False, True])
def test_what_the_store_refuses_to_a_look_waits_for_a_person(
    submitted: Submission, store: type[FakeStore], is_in_doubt: bool
) -> None:
    run_effect(effects_of(submitted)[0].pk)
    if is_in_doubt:
        store.failures = [UNCERTAIN]
        run_effect(effects_of(submitted)[1].pk)
        Effect.objects.update(dispatched_at=clock.now() - timedelta(minutes=5))
    store.unseen = [ProviderError.refused("group_missing", "It has no group QA.", "Create it.")]
    run_all(submitted)
    row = fresh(submitted)
    assert (row.state, row.message, row.hint) == (
        "NEEDS_PERSON",
        "It has no group QA.",
        "Create it.",
    )
    found = Preflight.objects.get(release_target=row.release_target)
    assert [one["code"] for one in found.checks] == ["group_missing"]
    told = Effect.objects.filter(kind="message.post", release_id=row.release_id)
    assert [e for e in told if e.payload["notice"] == "submission_needs_person"]
    retry_effect(effect=effects_of(row)[1], actor=None)
    run_all(row)
    assert (store.taken, fresh(row).state) == (
        [("version", 5.0), ("submit", 5.0)],
        "WAITING_FOR_REVIEW",
    )


def test_a_look_that_is_not_answered_is_made_again(
    submitted: Submission, store: type[FakeStore]
) -> None:
    run_effect(effects_of(submitted)[0].pk)
    store.unseen = [UNCERTAIN, NOT_YET]
    run_all(submitted)
    assert fresh(submitted).state == "WAITING_FOR_REVIEW"


def test_a_step_that_fails_for_good_can_be_tried_again(
    submitted: Submission, store: type[FakeStore]
) -> None:
    run_effect(effects_of(submitted)[0].pk)
    store.failures = [ProviderError.refused("gone", "The app is gone.", "Look there.")]
    run_all(submitted)
    row = fresh(submitted)
    assert (row.state, row.message, row.hint) == ("FAILED", "The app is gone.", "Look there.")
    retry_effect(effect=effects_of(row)[1], actor=None)
    assert fresh(row).state == "DRAFT"
    run_all(row)
    assert fresh(row).state == "WAITING_FOR_REVIEW"


def test_a_step_that_cannot_be_tried_any_more_fails(
    submitted: Submission, store: type[FakeStore]
) -> None:
    step = effects_of(submitted)[0]
    Effect.objects.filter(pk=step.pk).update(expires_at=clock.now())
    run_effect(step.pk)
    assert fresh(submitted).state == "FAILED"


def test_a_failed_submission_can_be_followed_by_another(
    submitted: Submission, store: type[FakeStore], setup: Setup, release: Release
) -> None:
    run_effect(effects_of(submitted)[0].pk)
    store.failures = [ProviderError.refused("gone", "The app is gone.")]
    run_all(submitted)
    second = submit(release=release, actor=None, target_id=setup.ios.pk, wishes=NO_WISHES)
    assert (fresh(submitted).is_current, second.is_current) == (False, True)
    with pytest.raises(ValidationError):
        retry_effect(effect=effects_of(submitted)[1], actor=None)


def test_a_target_is_submitted_once_at_a_time(
    submitted: Submission, setup: Setup, release: Release
) -> None:
    with pytest.raises(Conflict) as conflict:
        submit(release=release, actor=None, target_id=setup.ios.pk, wishes=NO_WISHES)
    assert conflict.value.code == "already_submitted"


def test_only_a_built_target_is_submitted(
    store: type[FakeStore], setup: Setup, release: Release
) -> None:
    part = ReleasePipeline.objects.filter(release=release, pipeline=setup.android_job)
    part.update(build_status="FAILURE")
    recompute(release, cause="test")
    submit(release=release, actor=None, target_id=setup.ios.pk, wishes=NO_WISHES)
    with pytest.raises(Conflict) as conflict:
        submit(release=release, actor=None, target_id=setup.android.pk, wishes=NO_WISHES)
    assert conflict.value.code == "builds_not_complete"


@pytest.mark.parametrize(
    ("wishes", "name"),
    [
        (Wishes(store_build="?"), "store_build"),
        (Wishes(track="a b"), "track"),
        (Wishes(testflight_groups=["Friends"]), "testflight_groups"),
        (Wishes(uses_encryption=True), "uses_encryption"),
        (Wishes(release_type="MANUAL"), "release_type"),
        (Wishes(is_phased=True), "is_phased"),
        (Wishes(shares=[5, 1]), "shares"),
        (Wishes(shares=[0, 1]), "shares"),
        (Wishes(shares=[50, 101]), "shares"),
        (Wishes(notes={"en-US": "x" * 21}), "notes"),
        (Wishes(notes={"not a language": "x"}), "notes"),
    ],
)
def test_wishes_that_the_store_does_not_know_are_refused(
    store: type[FakeStore], setup: Setup, release: Release, wishes: Wishes, name: str
) -> None:
    with pytest.raises(ValidationError) as error:
        submit(release=release, actor=None, target_id=setup.ios.pk, wishes=wishes)
    assert set(error.value.message_dict) == {name}


def test_two_workers_do_not_change_one_app_at_once(
    submitted: Submission, store: type[FakeStore]
) -> None:
    store.key = "app"
    with locked("app"):
        run_effect(effects_of(submitted)[0].pk)
        step = effects_of(submitted)[0]
        assert (step.state, step.attempts) == (EffectState.PENDING, 0)
    run_all(submitted)
    assert fresh(submitted).state == "WAITING_FOR_REVIEW"
    assert StoreLock.objects.get().held_until is None


@pytest.mark.usefixtures("db")
def test_a_lock_of_a_worker_that_died_ends() -> None:
    held = locked("app")
    held.__enter__()
    StoreLock.objects.update(held_until=clock.now())
    with locked("app"):
        held.__exit__(None, None, None)  # it is not given up by the one before
        assert StoreLock.objects.get().held_until is not None


# --- Acts -----------------------------------------------------------------------------------------


@pytest.fixture
def rolling(submitted: Submission, store: type[FakeStore]) -> Submission:
    run_all(submitted)
    Submission.objects.filter(pk=submitted.pk).update(state="ROLLING_OUT", percent=5, step=1)
    store.taken.clear()
    return fresh(submitted)


def test_the_next_step_goes_to_the_next_share(rolling: Submission, store: type[FakeStore]) -> None:
    act_on(submission=rolling, act=Act.ADVANCE, actor=None)
    run_all(rolling)
    row = fresh(rolling)
    assert (store.taken, row.percent, row.step) == ([("advance", 20.0)], 20.0, 2)


def test_a_double_press_takes_one_step(rolling: Submission, store: type[FakeStore]) -> None:
    act_on(submission=rolling, act=Act.ADVANCE, actor=None)
    with pytest.raises(Conflict) as conflict:
        act_on(submission=rolling, act=Act.ADVANCE, actor=None)
    assert conflict.value.code == "in_progress"
    run_all(rolling)
    assert store.taken == [("advance", 20.0)]


def test_a_second_press_on_the_same_page_takes_no_step_either_once_the_first_is_done(
    rolling: Submission, store: type[FakeStore]
) -> None:
    seen = rolling.acts
    act_on(submission=rolling, act=Act.ADVANCE, actor=None, seen=seen)
    run_all(rolling)
    with pytest.raises(Conflict) as conflict:
        act_on(submission=rolling, act=Act.ADVANCE, actor=None, seen=seen)
    assert conflict.value.code == "changed_meanwhile"
    act_on(submission=rolling, act=Act.HALT, actor=None, seen=seen)  # nothing holds this one up
    run_all(rolling)
    assert store.taken == [("advance", 20.0), ("halt", None)]


def test_an_act_whose_response_is_lost_is_done_once(
    rolling: Submission, store: type[FakeStore]
) -> None:
    store.lost = [UNCERTAIN]
    act_on(submission=rolling, act=Act.HALT, actor=None)
    run_all(rolling)
    assert (store.taken, fresh(rolling).state) == ([("halt", None)], "HALTED")


def test_what_the_store_cannot_do_is_refused_with_the_reason(rolling: Submission) -> None:
    with pytest.raises(Conflict) as conflict:
        act_on(submission=rolling, act=Act.PAUSE, actor=None)
    assert (conflict.value.code, conflict.value.message) == (
        "not_possible",
        "The Fake Store cannot pause.",
    )


def test_a_submission_is_given_up_before_it_is_sent(
    submitted: Submission, store: type[FakeStore], setup: Setup, release: Release
) -> None:
    act_on(submission=submitted, act=Act.WITHDRAW, actor=None)
    assert fresh(submitted).state == "WITHDRAWN"
    assert effects_of(submitted)[0].state == EffectState.CANCELLED
    submit(release=release, actor=None, target_id=setup.ios.pk, wishes=NO_WISHES)


def test_what_passes_by_itself_is_waited_for(submitted: Submission, store: type[FakeStore]) -> None:
    busy = Check.failed("build", "processing", "The store is processing build 245.")
    store.checks_found = [replace(busy, is_temporary=True)]
    step = effects_of(submitted)[0]
    run_effect(step.pk)
    step.refresh_from_db()
    assert (step.state, step.last_error) == (EffectState.PENDING, busy.message)
    store.checks_found = []
    run_all(submitted)
    assert fresh(submitted).state == "WAITING_FOR_REVIEW"


def test_the_other_store_can_follow_when_the_first_one_has_released_it(
    rolling: Submission, setup: Setup, member: Any
) -> None:
    act_on(submission=rolling, act=Act.COMPLETE, actor=None)
    run_all(rolling)
    release = Release.objects.get(pk=rolling.release_id)
    assert release.status == "RELEASED"
    page = member.get(reverse("release", args=[release.pk])).content.decode()
    assert reverse("submission_new", args=[release.pk, setup.android.pk]) in page
    wishes = Wishes(store_build="246")
    other = submit(release=release, actor=None, target_id=setup.android.pk, wishes=wishes)
    assert other.state == "DRAFT"
    with pytest.raises(Conflict) as conflict:
        submit(release=release, actor=None, target_id=setup.ios.pk, wishes=wishes)
    assert conflict.value.code == "already_submitted"
