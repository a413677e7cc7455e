"""The way of a release through the strict stand-in, with all that may go wrong on it."""

import dataclasses
import json

import pytest

from integrations.providers.base import Outcome, ProviderError
from integrations.providers.play_store.provider import PlayStore
from integrations.providers.stores import Act, StepRefused, SubmissionPlan, SubmissionState
from integrations.providers.tests.sandbox import failed
from sandbox import accounts
from sandbox.play.acts import ACTS

pytestmark = pytest.mark.slow

S = SubmissionState
PLAN = SubmissionPlan(version="1.5.0", build="245", shares=(5, 20), notes={"en-US": "Faster."})


class Play:
    """What people do in Play Console and Google in its reviews."""

    def __init__(self, sandbox):
        self.sandbox = sandbox
        self.store = PlayStore(
            service_account=json.dumps(sandbox.accounts.google_service_account),
            app_identifier=accounts.APP_IDENTIFIER,
        )
        self.references = {}

    def act(self, act, /, **facts):
        ACTS[act](self.sandbox.state.stores.play, facts)

    def take(self, step, share=None):
        done = self.store.take_step(step, self.plan(share))
        self.references |= done
        return done

    def find(self, step, share=None):
        return self.store.find_step(step, self.plan(share))

    def read(self):
        """With a fresh look at the share."""
        return self.store.read_submission(self.plan(references={**self.references, "read_at": ""}))

    def plan(self, share=None, **changes):
        return dataclasses.replace(
            PLAN, **{"share": share, "references": self.references} | changes
        )

    def count(self, kind):
        return len(self.sandbox.state.ledger.of(kind))

    def codes(self, **changes):
        return {c.code for c in failed(self.store.preflight(self.plan(**changes))).values()}


@pytest.fixture
def play(sandbox):
    """Version code 245 is on the internal track, from CI."""
    play = Play(sandbox)
    play.act("upload", version="1.5.0", number=245)
    return play


@pytest.fixture
def rolling(play):
    play.take("promote")
    play.act("approve")
    return play


def refused(call, *arguments):
    with pytest.raises(ProviderError) as caught:
        call(*arguments)
    return caught.value


def test_from_ready_to_released(play):
    assert play.codes() == set()
    play.take("promote")
    assert play.read().state is S.IN_REVIEW
    play.act("approve")
    assert (play.read().state, play.read().percent) == (S.ROLLING_OUT, 5)
    play.take(Act.ADVANCE, 20)
    assert (play.read().percent, play.read().is_ours) == (20, True)
    play.take(Act.HALT)
    assert play.read().state is S.HALTED
    play.take(Act.RESUME)
    assert (play.read().state, play.read().percent) == (S.ROLLING_OUT, 20)
    play.take(Act.COMPLETE)
    assert (play.read().state, play.read().percent) == (S.LIVE, 100)
    play.take(Act.HALT)
    assert play.read().state is S.HALTED
    play.take(Act.RESUME, 50)
    assert (play.read().state, play.read().percent) == (S.ROLLING_OUT, 50)
    assert play.count("edit.committed") == 7
    assert play.count("review.cancelled") == 0


def test_it_is_rejected_and_sent_again_by_a_person(play):
    play.take("promote")
    play.act("reject")
    assert play.read().state is S.REJECTED
    assert isinstance(refused(play.take, "promote"), StepRefused)
    assert play.count("edit.committed") == 1
    play.act("send")
    assert play.read().state is S.IN_REVIEW


def test_managed_publishing(play):
    play.act("switch", name="managed")
    play.take("promote")
    play.act("approve")
    assert play.read().state is S.APPROVED
    play.act("publish")
    assert play.read().state is S.ROLLING_OUT


@pytest.mark.parametrize(
    ("switch", "code"),
    [
        ("draft", "draft_app"),
        ("countries", "no_countries"),
        ("ad_id", "declaration"),
        ("exact_alarm", "declaration"),
        ("foreground_service", "declaration"),
        ("summaries", "releases_unknown"),
    ],
)
def test_each_blocker_is_found_before_anything_is_sent(play, switch, code):
    play.act("switch", name=switch)
    assert play.codes() == {code}
    assert play.count("edit.committed") == 0
    assert refused(play.take, "promote").code == code


def test_preflight_without_the_build_or_the_right(play):
    assert play.codes(build="999") == {"version_code_unknown"}
    play.act("rights", user=accounts.GOOGLE_CLIENT_EMAIL, rights=["CAN_VIEW_NON_FINANCIAL_DATA"])
    assert play.codes() == {"missing_right"}
    assert refused(play.take, "promote").code == "missing_right"


def test_a_first_release_in_stages(play):
    assert play.codes(track="beta") == {"first_release"}
    assert play.codes(track="beta", shares=()) == set()


def test_what_was_changed_but_not_sent_is_not_sent_past_a_person(play):
    play.act("switch", name="unsent")
    assert refused(play.take, "promote").code == "not_sent_automatically"
    assert play.count("edit.committed") == 0


def test_nobodys_review_is_cancelled(play):
    play.store.take_step("promote", play.plan(track="beta", shares=()))
    assert play.codes() == {"in_review"}
    assert refused(play.take, "promote").code == "in_review"
    assert play.count("review.cancelled") == 0


@pytest.mark.parametrize("step", ["promote", Act.HALT])
def test_a_lost_answer_is_found_and_not_done_twice(rolling, step):
    if step == "promote":
        rolling.act("upload", version="1.6.0", number=300)
        rolling.take(Act.COMPLETE)
    before = rolling.count("edit.committed")
    changes = {"build": "300"} if step == "promote" else {}
    wanted = rolling.plan(**changes)
    assert rolling.store.find_step(step, wanted) is None
    rolling.sandbox.state.faults.add("drop_after", path="*:commit", count=1)
    assert refused(rolling.store.take_step, step, wanted).outcome is Outcome.UNCERTAIN
    assert rolling.store.find_step(step, wanted) is not None
    rolling.store.take_step(step, wanted)
    assert rolling.count("edit.committed") == before + 1


def test_a_spent_quota_is_waited_for(rolling):
    rolling.act("settings", queries_per_minute=1)
    error = refused(rolling.take, Act.ADVANCE, 20)
    assert error.outcome is Outcome.RATE_LIMITED
    assert rolling.count("edit.committed") == 1


def test_what_is_done_by_hand_is_adopted(rolling):
    rolling.act("fraction", fraction=0.5)
    assert (rolling.read().percent, rolling.read().is_ours) == (50, False)
    rolling.take(Act.ADVANCE, 20)
    assert rolling.read().percent == 50
    rolling.act("halt")
    assert rolling.read().state is S.HALTED
    assert refused(rolling.take, Act.ADVANCE, 80).code == "halted"
    rolling.act("fraction", fraction=1)
    assert rolling.read().state is S.LIVE
    rolling.take(Act.COMPLETE)
    assert rolling.count("edit.committed") == 1


def test_the_list_of_releases_spares_edits(play):
    play.take("promote")
    before = play.count("edit.inserted")
    assert play.read().state is S.IN_REVIEW
    assert play.find("promote") is not None
    assert play.count("edit.inserted") == before


@pytest.mark.parametrize("kind", ["edit", "console"])
def test_an_edit_that_others_end_is_made_anew(rolling, kind, monkeypatch):
    """Another client with the same key, or a person, between our validation and our commit."""
    edits = rolling.sandbox.state.stores.play.edits
    validate = edits.validate

    def disturb(edit):
        validate(edit)
        monkeypatch.setattr(edits, "validate", validate)
        if kind == "edit":
            edits.insert(edit.package, edit.user)
        else:
            rolling.act("change")

    monkeypatch.setattr(edits, "validate", disturb)
    rolling.take(Act.ADVANCE, 20)
    assert rolling.read().percent == 20
    assert rolling.count("edit.committed") == 2
