"""The upload of a build's file as a step of a submission."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import override_settings
from django.urls import reverse

from builds.models import Build
from delivr.effects import clock
from delivr.effects.handlers import LEASE
from delivr.effects.models import Effect
from delivr.effects.runner import run_effect
from delivr.tenants.models import Tenant
from releases.models import Release, ReleasePipeline
from releases.tests.pages import Setup, text_of
from submissions.locks import WANTED
from submissions.models import StoreLock, Submission
from submissions.operations import submit
from submissions.plans import Wishes
from submissions.tests.app_store.provider import FakeStore
from submissions.tests.conftest import effects_of, run_all

pytestmark = pytest.mark.django_db
ARTIFACTS = [
    {"name": "app.app", "url": "https://jenkins.example.com/job/ios/245/artifact/app.app"},
    {"name": "log.txt", "url": "https://jenkins.example.com/job/ios/245/artifact/log.txt"},
]


class Opened:
    """What is opened in place of a CI server's file; `before` is called with each part's number."""

    asked: Any = None
    before: Callable[[int], None] = staticmethod(lambda number: None)


def fake_open(**asked: Any) -> Iterator[bytes]:
    Opened.asked = asked
    for number in range(3):
        Opened.before(number)
        yield b"part"


@pytest.fixture
def built(setup: Setup, release: Release) -> Iterator[Build]:
    pipeline = ReleasePipeline.objects.get(release=release, pipeline=setup.ios_job)
    build = Build.objects.create(
        tenant=setup.tenant,
        release_pipeline=pipeline,
        number=245,
        status="SUCCESS",
        artifacts=ARTIFACTS,
    )
    Opened.asked, Opened.before = None, staticmethod(lambda number: None)
    with override_settings(OPEN_ARTIFACT=f"{__name__}.fake_open"):
        yield build


@pytest.fixture
def row(store: type[FakeStore], setup: Setup, release: Release, built: Build) -> Submission:
    wishes = Wishes(artifact="app.app")
    return submit(release=release, actor=None, target_id=setup.ios.pk, wishes=wishes)


def upload_of(row: Submission) -> Effect:
    """The effect of the upload, due now."""
    run_effect(effects_of(row)[0].pk)
    return effects_of(row)[1]


def test_the_file_is_uploaded_first(row: Submission, built: Build, store: type[FakeStore]) -> None:
    run_all(row)
    assert [name for name, _ in store.taken] == ["upload", "version", "submit"]
    assert Opened.asked == {"tenant_id": row.tenant_id, "build_id": built.pk, "place": "0"}
    assert Submission.objects.get(pk=row.pk).references["uploaded"] == "app.app"


def test_what_was_uploaded_is_not_uploaded_again(row: Submission, store: type[FakeStore]) -> None:
    store.done["upload"] = {"uploaded": "theirs"}
    run_all(row)
    assert [name for name, _ in store.taken] == ["version", "submit"]
    assert Opened.asked is None


def test_an_upload_holds_its_lease_and_its_lock(row: Submission, store: type[FakeStore]) -> None:
    store.key = "account"
    effect = upload_of(row)
    found = []

    def look(number: int) -> None:
        soon = clock.now() + LEASE / 2
        if number == 1:  # both would end now
            Effect.objects.filter(pk=effect.pk).update(lease_until=clock.now() + LEASE / 9)
            StoreLock.objects.update(held_until=clock.now() + LEASE / 9)
        if number == 2:
            lease = Effect.objects.get(pk=effect.pk).lease_until
            lock = StoreLock.objects.get().held_until
            found.append(lease is not None and lease > soon and lock > soon)

    Opened.before = staticmethod(look)
    run_effect(effect.pk)
    assert found == [True]
    assert store.taken == [("upload", None)]


def test_an_upload_gives_way_to_a_halt(row: Submission, store: type[FakeStore]) -> None:
    store.key = "account"
    effect = upload_of(row)
    Opened.before = staticmethod(
        lambda number: StoreLock.objects.update(wanted_until=clock.now() + WANTED) and None
    )
    run_effect(effect.pk)
    effect.refresh_from_db()
    assert (store.taken, effect.state) == ([], "PENDING")
    assert (effect.dispatched_at, StoreLock.objects.get().held_until) == (None, None)


def test_a_worker_that_lost_its_lease_uploads_nothing_more(
    row: Submission, store: type[FakeStore]
) -> None:
    effect = upload_of(row)
    mine = Effect.objects.filter(pk=effect.pk)
    Opened.before = staticmethod(lambda number: mine.update(lease_token=99) and None)
    run_effect(effect.pk)
    effect.refresh_from_db()
    assert (store.taken, effect.state, effect.lease_token) == ([], "LEASED", 99)


@pytest.fixture
def api(api_for: Callable[..., Any], tenant: Tenant) -> Any:
    return api_for(tenant)


@pytest.mark.usefixtures("store", "built")
def test_the_api_takes_the_name_of_a_file(api: Any, setup: Setup, release: Release) -> None:
    address = f"/api/v1/releases/{release.pk}/submissions"
    wrong = api.post(address, {"targetId": setup.ios.pk, "artifact": "log.txt"})
    assert wrong.status_code == 400
    (problem,) = wrong.json()["errors"]["artifact"]
    assert "app.app" in problem
    done = api.post(address, {"targetId": setup.ios.pk, "artifact": "app.app"})
    assert (done.status_code, done.json()["artifact"]) == (202, "app.app")


@pytest.mark.usefixtures("built")
def test_a_store_without_uploads_says_so(api: Any, setup: Setup, release: Release) -> None:
    address = f"/api/v1/releases/{release.pk}/submissions"
    answer = api.post(address, {"targetId": setup.ios.pk, "artifact": "app.app"})
    assert answer.status_code == 400
    assert "App Store" in answer.json()["errors"]["artifact"][0]


@pytest.mark.usefixtures("store")
def test_the_form_offers_files_that_the_store_takes(
    member: Any, setup: Setup, release: Release, built: Build
) -> None:
    page = reverse("submission_new", args=[release.pk, setup.ios.pk])
    text = text_of(member.get(page))
    assert "Upload app.app of build #245" in text
    assert "log.txt" not in text
    posted = {"store_build": "245", "artifact": "app.app", "track": "production", "shares": "100"}
    assert member.post(page, posted).status_code == 302
    assert Submission.objects.get().file == {"name": "app.app", "build": built.pk, "place": "0"}


@pytest.mark.usefixtures("store")
def test_without_such_a_file_nothing_is_asked(member: Any, setup: Setup, release: Release) -> None:
    page = reverse("submission_new", args=[release.pk, setup.ios.pk])
    assert "Bundle" not in text_of(member.get(page))
