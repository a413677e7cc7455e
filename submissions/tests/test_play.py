"""Submissions through the real provider of a staged store, against that store's own rules."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from django.test import override_settings

from delivr.effects import clock
from integrations.providers.play_store.states import EDITS_APART
from integrations.providers.play_store.tests.google import Google, lost
from integrations.providers.play_store.tests.google import release as entry
from integrations.providers.stores import Act
from integrations.providers.tests.keys import pem, rsa_key
from integrations.providers.tests.wire import Wire
from releases.models import Release
from releases.tests.pages import Setup
from submissions import reading
from submissions.models import Preflight, Submission
from submissions.operations import act_on, submit
from submissions.plans import Wishes
from submissions.tests.conftest import effects_of, run_all

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite, pytest.mark.slow]

ACCOUNT = {
    "type": "service_account",
    "private_key_id": "0123456789abcdef",
    "private_key": pem(rsa_key()),
    "client_email": "delivr@example.iam.gserviceaccount.com",
}


@pytest.fixture
def google(setup: Setup) -> Iterator[Google]:
    setup.android.credentials = json.dumps(ACCOUNT)
    setup.android.app_identifier = "com.example.app"
    setup.android.save()
    with Wire() as wire:
        google: Any = Google()
        wire.routes = google
        urls = {"GOOGLE_PLAY_URL": f"{wire.url}/play", "GOOGLE_TOKEN_URL": f"{wire.url}/token"}
        with override_settings(**urls):
            yield google


@pytest.fixture
def row(google: Google, setup: Setup, release: Release) -> Submission:
    wishes = Wishes(store_build="150", shares=[5, 20, 100], notes={"en-US": "Faster."})
    return submit(release=release, actor=None, target_id=setup.android.pk, wishes=wishes)


def fresh(row: Submission) -> Submission:
    found: Submission = Submission.objects.get(pk=row.pk)
    return found


def checked(row: Submission) -> Preflight:
    found: Preflight = Preflight.objects.get(release_target=row.release_target_id)
    return found


def look(row: Submission) -> Submission:
    Submission.objects.filter(pk=row.pk).update(read_at=clock.now())
    reading.read(row.pk)
    return fresh(row)


def act(row: Submission, name: Act) -> Submission:
    act_on(submission=fresh(row), act=name, actor=None)
    run_all(row)
    return look(row)


def test_a_release_goes_through_all_its_steps(row: Submission, google: Google) -> None:
    google.reviews = True
    run_all(row)
    assert look(row).state == "IN_REVIEW"
    google.decide("PUBLISHED")
    assert (look(row).state, look(row).percent) == ("ROLLING_OUT", 5)
    assert (act(row, Act.ADVANCE).percent, fresh(row).step) == (20, 2)
    assert act(row, Act.HALT).state == "HALTED"
    assert (act(row, Act.RESUME).state, fresh(row).percent) == ("ROLLING_OUT", 20)
    assert act(row, Act.COMPLETE).state == "LIVE"
    assert act(row, Act.HALT).state == "HALTED"
    assert act(row, Act.RESUME).state == "LIVE"
    assert len(google.commits) == 7
    assert google.edits == {}
    assert not fresh(row).events.filter(is_outside=True).exists()


def test_no_step_is_taken_twice_after_lost_responses(row: Submission, google: Google) -> None:
    google.faults["POST", "commit"] = [lost()]
    run_all(row)
    assert look(row).state == "ROLLING_OUT"
    for name in (Act.ADVANCE, Act.HALT, Act.RESUME, Act.COMPLETE):
        google.faults["POST", "commit"] = [lost()]
        act(row, name)
    assert fresh(row).state == "LIVE"
    assert len(google.commits) == 5


def test_what_is_done_in_the_console_is_shown_and_adopted(row: Submission, google: Google) -> None:
    run_all(row)
    before = look(row)
    google.entry()["userFraction"] = 0.2
    assert look(row).percent == 5  # its edit would end another program's upload
    earlier = datetime.fromisoformat(before.references["read_at"]) - EDITS_APART
    references = {**before.references, "read_at": earlier.isoformat()}
    Submission.objects.filter(pk=row.pk).update(references=references)
    now = look(row)
    assert (now.percent, now.step) == (20, 2)
    event = now.events.last()
    assert event is not None
    assert (event.what, event.is_outside) == ("Rolled out to 20 % in Play Console", True)


def test_nothing_is_sent_over_what_was_done_in_the_console(row: Submission, google: Google) -> None:
    run_all(row)
    look(row)
    google.entry()["userFraction"] = 0.5
    act(row, Act.ADVANCE)
    assert google.entry()["userFraction"] == 0.5
    assert fresh(row).percent == 50
    assert len(google.commits) == 1


def test_what_google_declines_needs_a_person(row: Submission, google: Google) -> None:
    google.sends_by_hand = True
    run_all(row)
    assert fresh(row).state == "NEEDS_PERSON"
    assert "Publishing overview" in fresh(row).hint
    assert [check["code"] for check in checked(row).checks] == ["not_sent_automatically"]
    assert [effect.state for effect in effects_of(row)] == ["DONE", "DEAD"]
    assert google.commits == []


def test_every_blocker_stops_it_before_anything_is_sent(row: Submission, google: Google) -> None:
    google.tracks["beta"] = [entry(149)]
    google.decide("IN_REVIEW", track="beta", code=149)
    google.blockers = ["Release in track targeting no countries."]
    run_all(row)
    assert fresh(row).state == "NEEDS_PERSON"
    found = {check["code"]: check for check in checked(row).checks if not check["ok"]}
    assert set(found) == {"in_review", "no_countries"}
    assert all(check["url"] for check in found.values())
    assert google.commits == []


def test_managed_publishing_waits_for_a_person(row: Submission, google: Google) -> None:
    google.is_managed = True
    run_all(row)
    now = look(row)
    assert (now.state, now.store_state) == ("APPROVED", "APPROVED_NOT_PUBLISHED")
    assert "Publish it in Play Console" in now.hint
    google.decide("PUBLISHED")
    assert look(row).state == "ROLLING_OUT"
