"""Submissions through the real provider of a reviewed store, against the stand-in."""

from __future__ import annotations

from typing import Any

import pytest

from delivr.effects import clock
from integrations.providers.stores import Act
from releases.models import Release
from releases.tests.pages import Setup
from sandbox import accounts
from sandbox.apple import builds, drafts, gaps, phased, reviews
from sandbox.server import SandboxServer
from submissions import reading
from submissions.models import Preflight, Submission
from submissions.operations import act_on, submit
from submissions.plans import Wishes
from submissions.tests.conftest import effects_of, run_all

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite, pytest.mark.slow]
BUILD = "57"
MADE = (
    "version.created",
    "version.build",
    "submission.created",
    "submission.item",
    "submission.submitted",
)


@pytest.fixture
def apple(sandbox: SandboxServer, setup: Setup, release: Release) -> Any:
    """Apple with the release's build, and the connection to it."""
    setup.ios.issuer_id, setup.ios.key_id = accounts.APPLE_ISSUER_ID, accounts.APPLE_KEY_ID
    setup.ios.credentials = sandbox.accounts.apple_api_key
    setup.ios.app_identifier = accounts.APP_IDENTIFIER
    setup.ios.save()
    apple = sandbox.state.stores.apple
    apple.settings.item_ready_seconds = 0
    builds.finish(apple, builds.upload(apple, release.version, BUILD))
    return apple


@pytest.fixture
def row(apple: Any, setup: Setup, release: Release) -> Submission:
    wishes = Wishes(
        store_build=BUILD, is_phased=True, notes={"en-US": "Faster."}, uses_encryption=False
    )
    return submit(release=release, actor=None, target_id=setup.ios.pk, wishes=wishes)


def fresh(row: Submission) -> Submission:
    found: Submission = Submission.objects.get(pk=row.pk)
    return found


def look(row: Submission) -> Submission:
    Submission.objects.filter(pk=row.pk).update(read_at=clock.now())
    reading.read(row.pk)
    return fresh(row)


def act(row: Submission, name: Act) -> Submission:
    act_on(submission=fresh(row), act=name, actor=None)
    run_all(row)
    return look(row)


def made(sandbox: SandboxServer) -> list[int]:
    return [len(sandbox.state.ledger.of(kind)) for kind in MADE]


def decide(sandbox: SandboxServer, apple: Any, verdict: str) -> None:
    reviews.decide(apple, apple.records.all("reviewSubmissions")[-1], verdict)
    sandbox.state.advance(60)


def test_a_release_goes_to_all_users(row: Submission, sandbox: SandboxServer, apple: Any) -> None:
    run_all(row)
    assert (look(row).state, made(sandbox)) == ("WAITING_FOR_REVIEW", [1] * len(MADE))
    reviews.start(apple, apple.records.all("reviewSubmissions")[-1])
    assert look(row).state == "IN_REVIEW"
    decide(sandbox, apple, "approve")
    assert look(row).state == "APPROVED"
    act(row, Act.PUBLISH)
    sandbox.state.advance(60)
    assert (look(row).state, look(row).percent) == ("ROLLING_OUT", 1)
    assert act(row, Act.PAUSE).state == "PAUSED"
    assert act(row, Act.RESUME).state == "ROLLING_OUT"
    phased.next_day(apple, apple.records.all("appStoreVersionPhasedReleases")[0])
    assert look(row).percent == 2
    assert act(row, Act.COMPLETE).state == "LIVE"
    assert not fresh(row).events.filter(is_outside=True).exists()


REQUESTS = (
    ("POST", "/v1/appStoreVersions"),
    ("PATCH", "/v1/appStoreVersions/*/relationships/build"),
    ("POST", "/v1/appStoreVersionPhasedReleases"),
    ("POST", "/v1/reviewSubmissions"),
    ("POST", "/v1/reviewSubmissionItems"),
    ("PATCH", "/v1/reviewSubmissions/*"),
)


def test_no_step_is_taken_twice_after_lost_responses(
    row: Submission, sandbox: SandboxServer
) -> None:
    for method, path in REQUESTS:
        given = {"provider": "app_store", "method": method, "path": path, "count": 1}
        sandbox.state.faults.add("drop_after", **given)
    run_all(row)
    assert (look(row).state, made(sandbox)) == ("WAITING_FOR_REVIEW", [1] * len(MADE))
    assert [lost["struck"] for lost in sandbox.state.faults.active()] == [1] * len(REQUESTS)


def test_every_blocker_stops_it_before_anything_is_sent(
    row: Submission, sandbox: SandboxServer, apple: Any
) -> None:
    for name in ("ageRating", "contentRights", "category"):
        gaps.switch(apple, name, True)
    run_all(row)
    assert fresh(row).state == "NEEDS_PERSON"
    checks = Preflight.objects.get(release_target=row.release_target_id).checks
    found = {check["code"]: check for check in checks if not check["ok"]}
    assert set(found) == {"age_rating_unanswered", "content_rights_missing", "category_missing"}
    assert all(check["url"] for check in found.values())
    assert made(sandbox) == [0] * len(MADE)


def test_what_only_apple_knows_is_told_with_all_its_reasons(
    row: Submission, sandbox: SandboxServer, apple: Any
) -> None:
    for name in ("privacy", "price"):
        gaps.switch(apple, name, True)
    run_all(row)
    assert fresh(row).state == "NEEDS_PERSON"
    checks = Preflight.objects.get(release_target=row.release_target_id).checks
    assert [check["code"] for check in checks] == ["not_submittable"] * 2
    assert effects_of(row)[-1].state == "DEAD"
    assert len(sandbox.state.ledger.of("submission.submitted")) == 0


def test_a_rejection_leads_to_the_reasons(
    row: Submission, sandbox: SandboxServer, apple: Any
) -> None:
    run_all(row)
    decide(sandbox, apple, "reject")
    now = look(row)
    assert now.state == "REJECTED"
    assert "Resolution Center" in now.hint
    assert "/reviewsubmissions/details/" in now.store_url


def test_what_a_person_submitted_is_shown_and_adopted(
    row: Submission, sandbox: SandboxServer, apple: Any
) -> None:
    records = apple.records
    chosen = {"platform": "IOS", "versionString": row.release.version, "releaseType": "MANUAL"}
    made_by_hand = drafts.create(apple, chosen, records.all("builds")[-1])
    records.all("builds")[-1].attributes["usesNonExemptEncryption"] = False
    for words in records.related(made_by_hand, "appStoreVersionLocalizations"):
        words.attributes["whatsNew"] = "By hand."
    submission = reviews.create(apple, "IOS")
    reviews.add_item(apple, submission, "appStoreVersion", made_by_hand.key)
    reviews.submit(apple, submission, apple.actor("jane.doe@example.com"))
    run_all(row)
    assert look(row).state == "WAITING_FOR_REVIEW"
    assert len(sandbox.state.ledger.of("submission.submitted")) == 1
    assert fresh(row).events.filter(is_outside=True).exists()
