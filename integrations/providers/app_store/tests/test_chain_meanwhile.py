"""What people and lost responses do meanwhile, and testers, against the stand-in over HTTP."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from integrations.providers.base import Outcome, ProviderError
from integrations.providers.stores import (
    Act,
    ReleaseType,
    StepHeldUp,
    StepRefused,
    SubmissionState,
)
from sandbox import accounts
from sandbox.apple import gaps, reviews, testflight

from .chain import Chain

S = SubmissionState


@pytest.fixture
def chain(sandbox):
    return Chain(sandbox)


@pytest.fixture
def phasing(sandbox):
    return Chain.phasing(sandbox)


# --- By hand, and lost responses ---


def test_what_a_person_submitted_is_adopted(chain):
    chain.upload()
    for step in chain.store().steps(chain.plan)[:-1]:
        chain.run(step)
    chain.sandbox.state.advance(60)
    chain.apple.settle()
    reviews.submit(chain.apple, chain.submission(), chain.by_hand())
    assert not any(chain.run(step) for step in chain.store().steps(chain.plan))
    state = chain.read()
    assert (state.state, state.by, state.is_ours) == (S.WAITING_FOR_REVIEW, "Jane Doe", False)
    assert set(chain.problems()) == {"already_submitted"}


POST, PATCH = "POST", "PATCH"
REQUESTS = [
    ("encryption", PATCH, "/v1/builds/*"),
    ("version", POST, "/v1/appStoreVersions"),
    ("attach", PATCH, "/v1/appStoreVersions/*/relationships/build"),
    ("notes", PATCH, "/v1/appStoreVersionLocalizations/*"),
    ("phased", POST, "/v1/appStoreVersionPhasedReleases"),
    ("review", POST, "/v1/reviewSubmissions"),
    ("item", POST, "/v1/reviewSubmissionItems"),
    ("submit", PATCH, "/v1/reviewSubmissions/*"),
]


@pytest.mark.parametrize(("step", "method", "path"), REQUESTS, ids=lambda value: str(value))
@pytest.mark.parametrize("fault", ["drop_before", "drop_after"])
def test_a_lost_response_does_nothing_twice(sandbox, step, method, path, fault):
    chain = Chain(sandbox, phased=True)
    chain.upload()
    lost = sandbox.state.faults.add(fault, provider="app_store", method=method, path=path, count=1)
    chain.submit()
    assert lost.struck == 1
    assert chain.made_once()
    assert len(chain.of("appStoreVersionPhasedReleases")) == 1
    assert chain.read().state is S.WAITING_FOR_REVIEW


@pytest.mark.parametrize(
    ("act", "method", "path"),
    [
        (Act.PAUSE, PATCH, "/v1/appStoreVersionPhasedReleases/*"),
        (Act.COMPLETE, PATCH, "/v1/appStoreVersionPhasedReleases/*"),
    ],
)
def test_a_lost_response_of_an_act_does_nothing_twice(phasing, act, method, path):
    phasing.sandbox.state.faults.add(
        "drop_after", provider="app_store", method=method, path=path, count=1
    )
    before = phasing.count("phased.state")
    assert phasing.run(act)
    assert phasing.count("phased.state") == before + 1


def test_a_lost_response_of_publishing_publishes_once(chain):
    chain.upload()
    chain.submit()
    chain.decide("approve")
    path = "/v1/appStoreVersionReleaseRequests"
    chain.sandbox.state.faults.add("drop_after", provider="app_store", path=path, count=1)
    assert chain.run(Act.PUBLISH)
    assert chain.count("version.state", state="PROCESSING_FOR_DISTRIBUTION") == 1


# --- TestFlight ---


def test_testers_get_the_build_first(sandbox):
    chain = Chain(sandbox, groups=["Team", "QA", "Public beta"])
    build = chain.upload()
    assert chain.problems() == {}
    chain.submit()
    assert chain.count("beta.group_added", number="57") == 2
    assert chain.count("beta.submitted", number="57") == 1
    assert len(build.many["betaGroups"]) == 3
    assert chain.read().state is S.WAITING_FOR_REVIEW
    assert not any(chain.run(step) for step in ("groups", "test_notes", "beta_review"))


def test_the_beta_review_of_another_build_is_waited_for(sandbox):
    chain, other = (Chain(sandbox, build=n, groups=["Public beta"]) for n in ("57", "56"))
    for one in (other, chain):
        one.upload()
    for step in ("encryption", "groups", "beta_review"):
        other.run(step)
    assert set(chain.problems()) == {"another_build_in_review"}
    chain.run("encryption")
    chain.run("groups")
    with pytest.raises(ProviderError) as caught:
        chain.store().take_step("beta_review", chain.plan)
    assert caught.value.outcome is Outcome.NOT_YET


# --- Apple's own ways ---


def test_a_key_that_may_only_read_is_told_so_at_the_first_change(chain):
    chain.upload()
    store = chain.store(accounts.APPLE_DEVELOPER_KEY_ID)
    assert [check for check in store.preflight(chain.plan) if not check.ok] == []
    with pytest.raises(ProviderError) as caught:
        store.take_step("version", chain.plan)
    assert caught.value.outcome is Outcome.CREDENTIALS
    assert "App Manager" in caught.value.hint


def test_a_missing_agreement_is_the_only_thing_told(chain):
    gaps.switch(chain.apple, "agreement", True)
    assert set(chain.problems()) == {"agreement_missing"}


def test_a_first_version_goes_without_texts_and_phases(sandbox):
    chain = Chain(sandbox, phased=True)
    chain.apple.forget_history()
    chain.upload()
    assert set(chain.problems()) == {"phased_first_version"}
    first = Chain(sandbox)
    first.run("version")
    sandbox.state.advance(60)
    assert set(first.problems()) == {"version_not_ready", "copyright_missing"}
    [version] = first.of("appStoreVersions")
    version.attributes["copyright"] = "2026 Example"
    assert set(first.problems()) == {"first_version"}
    first.submit()
    assert first.read().state is S.WAITING_FOR_REVIEW


def test_a_scheduled_version_is_published_by_time(sandbox):
    at = datetime.fromtimestamp(sandbox.state.clock(), UTC) + timedelta(hours=30)
    chain = Chain(sandbox, release_type=ReleaseType.SCHEDULED, release_at=at)
    chain.upload()
    chain.submit()
    chain.decide("approve")
    state = chain.read()
    assert state.state is S.APPROVED
    assert timedelta() <= state.next_step_at - at < timedelta(hours=1)
    sandbox.state.advance(32 * 3600)
    assert chain.read().word == "PROCESSING_FOR_DISTRIBUTION"
    sandbox.state.advance(60)
    assert chain.read().state is S.LIVE


def test_things_of_the_app_are_reviewed_beside_a_version(chain):
    chain.upload()
    events = reviews.create(chain.apple, "IOS")
    event = chain.apple.records.add("appEvents")
    reviews.add_item(chain.apple, events, "appEvent", event.key)
    assert set(chain.problems()) == {"other_items"}
    reviews.submit(chain.apple, events, chain.by_hand())
    assert chain.problems() == {}
    chain.submit()
    assert chain.read().state is S.WAITING_FOR_REVIEW
    assert chain.count("submission.created") == 2


def test_a_rejected_companion_has_to_be_resolved_by_a_person(chain):
    chain.upload()
    chain.run("review")
    event = chain.apple.records.add("appEvents")
    reviews.add_item(chain.apple, chain.submission(), "appEvent", event.key)
    chain.submit()
    chain.decide("reject_other")
    assert chain.read().state is S.REJECTED
    assert "other_item_rejected" in chain.problems()


def test_apple_may_not_find_a_new_submission_at_once(chain):
    chain.apple.settings.hidden_writes = 2
    chain.apple.settings.hidden_reads = 3
    chain.upload()
    chain.submit()
    assert chain.made_once()


def test_apple_may_refuse_as_soon_as_the_version_is_added(chain):
    chain.apple.settings.checks_at_item = True
    gaps.switch(chain.apple, "price", True)
    chain.upload()
    with pytest.raises(StepRefused, match="price"):
        chain.submit()
    gaps.switch(chain.apple, "price", False)
    chain.submit()
    assert chain.read().state is S.WAITING_FOR_REVIEW


def test_another_version_in_review_is_in_the_way(sandbox, chain):
    chain.upload()
    chain.submit()
    later = Chain(sandbox, version="1.6.0", build="60")
    later.upload()
    assert set(later.problems()) == {"other_version_submitted", "other_submission"}
    with pytest.raises(ProviderError, match="cannot create a new version"):
        later.submit()


def in_beta_review(sandbox):
    """Two builds; 56 is in beta review, which 57 waits for."""
    chain, other = (Chain(sandbox, build=n, groups=["Public beta"]) for n in ("57", "56"))
    for one in (other, chain):
        one.upload()
        one.run("encryption")
        one.run("groups")
    other.run("beta_review")
    return chain, other


def test_the_build_in_the_way_of_a_beta_review_is_expired_once(sandbox):
    chain, _other = in_beta_review(sandbox)
    found = chain.problems()["another_build_in_review"]
    assert found.subject == "56"
    assert "Build 56 of this version is in beta review for " in found.message
    assert "Public beta" in found.message
    with pytest.raises(StepHeldUp) as held_up:
        chain.store().take_step("beta_review", chain.plan)
    assert [check.subject for check in held_up.value.checks] == ["56"]
    chain.plan = replace(chain.plan, other_build="56")
    given = {"provider": "app_store", "method": "PATCH", "path": "/v1/builds/*", "count": 1}
    sandbox.state.faults.add("drop_after", **given)
    assert chain.run("expire")
    assert not chain.run("expire")
    assert "another_build_in_review" not in chain.problems()
    assert chain.run("beta_review")


def test_only_a_build_that_is_in_review_is_expired(sandbox):
    chain, other = in_beta_review(sandbox)
    for number in ("57", "56"):
        if number == "56":
            review = other.apple.records.all("betaAppReviewSubmissions")[0]
            testflight.rule(other.apple, review, "APPROVED")
        chain.plan = replace(chain.plan, other_build=number)
        with pytest.raises(ProviderError) as refused:
            chain.store().take_step("expire", chain.plan)
        assert refused.value.code == "not_in_review"
    assert not any(build["expired"] for build in other.apple.records.all("builds"))


def test_testers_are_told_when_they_can_get_the_build(sandbox):
    chain, first = in_beta_review(sandbox)
    with pytest.raises(ProviderError) as early:
        first.store().find_step("tell_testers", first.plan)
    assert (early.value.code, early.value.outcome) == ("not_in_testing", Outcome.NOT_YET)
    review = first.apple.records.all("betaAppReviewSubmissions")[0]
    testflight.rule(first.apple, review, "APPROVED")
    assert first.run("tell_testers")
    assert first.count("beta.notified", number="56") == 1
    for detail in chain.apple.records.all("buildBetaDetails"):
        detail.attributes["autoNotifyEnabled"] = True
    assert not first.run("tell_testers")
    assert first.store().take_step("tell_testers", first.plan) == {}
    assert first.count("beta.notified", number="56") == 1
