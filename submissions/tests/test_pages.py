"""The stores on a release's page, and the form with which a target is submitted."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from delivr.effects import clock
from integrations.providers.base import Check
from releases.models import Release
from releases.tests.pages import Setup, message_of, text_of
from submissions.models import Preflight, Submission
from submissions.tests.app_store.provider import FakeStore
from submissions.tests.conftest import run_all

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]


def page(client: Any, release: Release) -> str:
    return text_of(client.get(reverse("release", args=[release.pk])))


def test_a_release_that_still_builds_shows_no_store(member: Any, setup: Setup) -> None:
    assert "Submit to" not in page(member, setup.release())


def test_blockers_are_shown_with_the_way_to_mend_them(
    member: Any, store: type[FakeStore], setup: Setup, release: Release
) -> None:
    part = release.targets.get(target=setup.ios)
    check = Check.failed("build", "missing", "There is no <build>.", "Upload it.")
    row = {**vars(check), "label": "Build", "url": "https://console.example.com/app"}
    Preflight.objects.filter(release_target=part).update(checks=[row], checked_at=clock.now())
    response = member.get(reverse("release", args=[release.pk]))
    html = response.content.decode()
    assert "One thing stands in the way of Fake Store" in html
    assert "There is no &lt;build&gt;." in html
    assert 'href="https://console.example.com/app"' in html


def test_the_form_shows_only_what_the_store_knows(
    member: Any, store: type[FakeStore], setup: Setup, release: Release
) -> None:
    response = member.get(reverse("submission_new", args=[release.pk, setup.ios.pk]))
    form = response.context["form"]
    assert set(form.fields) == {"store_build", "track", "shares", "notes"}
    assert form["store_build"].value() == "245"


def test_a_submission_is_made_by_the_form_and_acted_on(
    member: Any, store: type[FakeStore], setup: Setup, release: Release
) -> None:
    form = {
        "store_build": "246",
        "track": "beta",
        "shares": "5 %, 20, 100",
        "notes": "[en-US]\nFaster.\n[de-DE]\nSchneller.\n",
    }
    address = reverse("submission_new", args=[release.pk, setup.ios.pk])
    assert member.post(address, form).status_code == 302
    row = Submission.objects.get()
    assert (row.store_build, row.track, row.shares) == ("246", "beta", [5.0, 20.0, 100.0])
    assert row.notes == {"en-US": "Faster.", "de-DE": "Schneller."}
    run_all(row)
    Submission.objects.update(state="ROLLING_OUT", percent=5.0)
    shown = page(member, release)
    assert "Rolling out" in shown
    assert "5 % of the users" in shown
    assert "halt: to all users." in shown
    assert "advance: to 20 %." in shown
    act = reverse("submission_act", args=[row.pk])
    assert member.post(act, {"act": "halt"}).status_code == 302
    run_all(row)
    assert Submission.objects.get().state == "HALTED"
    refused = member.post(act, {"act": "pause"}, follow=True)
    assert message_of(refused) == "The Fake Store cannot pause."
    assert member.post(act, {"act": "explode"}).status_code == 400
    stale = {"act": "resume", "seen": 0}
    assert "since this page was shown" in message_of(member.post(act, stale, follow=True))
    assert member.post(act, {**stale, "seen": "x"}).status_code == 400


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("shares", "a lot", "Enter percentages, like 1, 5, 20, 100."),
        ("shares", "20, 5", "Enter rising percentages"),
        ("notes", "Faster.", "Begin with the code of the language in brackets"),
        ("notes", "[en-US]\n" + "x" * 21, "en-US: 21 characters; Fake Store allows 20."),
        ("store_build", "?", "This is not a build number"),
    ],
)
def test_wrong_input_is_kept_and_explained(
    member: Any,
    store: type[FakeStore],
    setup: Setup,
    release: Release,
    name: str,
    value: str,
    words: str,
) -> None:
    form = {"store_build": "245", "track": "production", "shares": "", "notes": "", name: value}
    address = reverse("submission_new", args=[release.pk, setup.ios.pk])
    response = member.post(address, form)
    assert response.status_code == 200
    assert words in text_of(response)
    assert response.context["form"][name].value() == value
    assert not Submission.objects.exists()


@pytest.mark.usefixtures("store")
def test_all_that_is_wrong_is_told_at_once(member: Any, setup: Setup, release: Release) -> None:
    form = {
        "store_build": "?",
        "shares": "20, 5",
        "notes": "Faster.",
        "rules-0-action": "HALT",
        "rules-0-margin": "lots",
    }
    response = member.post(reverse("submission_new", args=[release.pk, setup.ios.pk]), form)
    for words in (
        "This is not a build number",
        "Enter rising percentages",
        "Begin with the code of the language",
        "Rule 1 has an error.",
        "Enter a number.",
    ):
        assert words in text_of(response)


def test_a_viewer_sees_the_submission_without_its_buttons(
    submitted: Submission, tenant: Any, member_of: Any, client_for: Any
) -> None:
    viewer = client_for(member_of(tenant, "VIEWER"))
    run_all(submitted)
    html = viewer.get(reverse("release", args=[submitted.release_id])).content.decode()
    assert "Waiting for review" in html
    assert reverse("submission_act", args=[submitted.pk]) not in html
