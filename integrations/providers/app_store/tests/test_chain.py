"""From a processed build to all users, against the stand-in over HTTP."""

import pytest

from integrations.providers.base import Outcome, ProviderError
from integrations.providers.stores import Act, StepRefused, SubmissionState
from sandbox.apple import gaps, phased, reviews

from .chain import Chain

S = SubmissionState


@pytest.fixture
def chain(sandbox):
    return Chain(sandbox)


def test_a_version_goes_from_its_build_to_all_users(sandbox):
    chain = Chain(sandbox, phased=True)
    chain.upload()
    assert chain.problems() == {}
    chain.submit()
    assert chain.made_once()
    state = chain.read()
    assert (state.state, state.build, state.is_ours) == (S.WAITING_FOR_REVIEW, "57", True)
    assert {"version_id", "submission_id", "phased_id"} <= set(state.references)
    reviews.start(chain.apple, chain.submission())
    assert chain.read().state is S.IN_REVIEW
    chain.decide("approve")
    assert chain.read().state is S.APPROVED
    assert chain.run(Act.PUBLISH)
    sandbox.state.advance(60)
    state = chain.read()
    assert (state.state, state.percent, state.day) == (S.ROLLING_OUT, 1, 1)
    assert state.next_step_at is not None


@pytest.fixture
def phasing(sandbox):
    return Chain.phasing(sandbox)


def test_each_day_gives_it_to_more_users_until_it_is_live(phasing):
    [found] = phasing.of("appStoreVersionPhasedReleases")
    shares = []
    for _day in range(7):
        shares.append(phasing.read().percent)
        phased.next_day(phasing.apple, found)
    assert shares == [1, 2, 5, 10, 20, 50, 100]
    assert phasing.read().state is S.LIVE


def test_it_is_paused_resumed_and_completed_each_once(phasing):
    assert phasing.run(Act.PAUSE)
    assert phasing.read().state is S.PAUSED
    assert not phasing.run(Act.PAUSE)
    assert phasing.run(Act.RESUME)
    assert phasing.read().state is S.ROLLING_OUT
    assert phasing.run(Act.COMPLETE)
    assert phasing.read().state is S.LIVE
    with pytest.raises(ProviderError, match="final state") as caught:
        phasing.store().take_step(Act.PAUSE, phasing.plan)
    assert caught.value.outcome is Outcome.REFUSED


def test_the_same_act_at_the_same_time_is_a_success(phasing):
    phasing.run(Act.PAUSE)
    assert phasing.store().take_step(Act.PAUSE, phasing.plan)


# --- What stands in the way ---


SWITCHES = {
    "locale": "notes_missing",
    "ageRating": "age_rating_unanswered",
    "reviewContact": "contact_missing",
    "screenshots": "screenshots_missing",
    "uploading": "screenshots_processing",
    "category": "category_missing",
    "contentRights": "content_rights_missing",
}


def switched(chain, *names):
    """The version is there, and this is missing in it."""
    chain.apple.settings.hidden_reads = 0
    chain.upload()
    chain.run("version")
    chain.sandbox.state.advance(60)
    for name in names:
        gaps.switch(chain.apple, name, True)


@pytest.mark.parametrize("name", SWITCHES)
def test_each_blocker_is_found_before_anything_is_sent(chain, name):
    switched(chain, name)
    assert set(chain.problems()) == {SWITCHES[name]}


def test_all_blockers_are_found_at_once(chain):
    switched(chain, *SWITCHES)
    found = chain.problems()
    assert set(found) == set(SWITCHES.values()) - {"screenshots_missing"}
    assert all(check.url.startswith("https://appstoreconnect") for check in found.values())


def test_a_version_that_was_just_created_is_not_ready(chain):
    chain.upload()
    chain.run("version")
    check = chain.problems()["version_not_ready"]
    assert (check.level, check.is_temporary) == ("WARNING", True)
    assert chain.problems() == {}


def test_nobody_has_answered_about_encryption(sandbox):
    chain = Chain(sandbox, uses_encryption=None)
    chain.upload()
    assert set(chain.problems()) == {"encryption_unanswered"}


def test_what_only_the_submission_tells_is_told_with_all_its_reasons(chain):
    switched(chain, "privacy", "price")
    with pytest.raises(StepRefused) as caught:
        chain.submit()
    assert len(caught.value.checks) == 2
    assert all(check.message in caught.value.message for check in caught.value.checks)
    assert chain.count("submission.submitted") == 0


def test_a_build_is_waited_for(sandbox, chain):
    assert set(chain.problems()) == {"build_missing"}
    chain.upload(is_processed=False)
    assert set(chain.problems()) == {"build_processing"}
    chain.submit()  # the sandbox's clock is advanced while it waits
    assert chain.read().state is S.WAITING_FOR_REVIEW


# --- Rejected, withdrawn ---


@pytest.mark.parametrize("verdict", ["reject", "reject_metadata", "reject_complete"])
def test_a_rejected_version_is_submitted_again(chain, verdict):
    chain.upload()
    chain.submit()
    chain.decide(verdict)
    state = chain.read()
    assert state.state is S.REJECTED
    assert "/reviewsubmissions/details/" in state.url
    assert not [c for c in chain.problems().values() if c.level == "ERROR"]
    chain.submit()
    assert chain.read().state is S.WAITING_FOR_REVIEW
    again = 2 if verdict == "reject_complete" else 1
    assert chain.count("submission.created") == again
    assert chain.count("submission.submitted") == 2


def test_a_refused_build_is_replaced_by_another(sandbox, chain):
    chain.upload()
    chain.submit()
    chain.decide("bad_binary")
    other = Chain(sandbox, build="58")
    other.upload()
    other.submit()
    state = other.read()
    assert (state.state, state.build) == (S.WAITING_FOR_REVIEW, "58")


def test_a_build_is_replaced_before_it_is_submitted(sandbox, chain):
    chain.upload()
    for step in chain.store().steps(chain.plan)[:-1]:
        chain.run(step)
    sandbox.state.advance(60)
    other = Chain(sandbox, build="58", notes={"en-US": "Faster still."})
    other.upload()
    other.submit()
    assert other.read().build == "58"
    assert chain.count("submission.created") == 1


def test_a_submission_is_withdrawn_and_submitted_again(chain):
    chain.upload()
    chain.submit()
    assert chain.run(Act.WITHDRAW)
    assert not chain.run(Act.WITHDRAW)
    assert chain.read().word == "CANCELING"
    chain.sandbox.state.advance(60)
    assert chain.read().state is S.WITHDRAWN
    chain.submit()
    assert chain.read().state is S.WAITING_FOR_REVIEW


def test_an_approved_version_is_withdrawn(chain):
    chain.upload()
    chain.submit()
    chain.decide("approve")
    assert chain.run(Act.WITHDRAW)
    assert chain.read().state is S.WITHDRAWN
