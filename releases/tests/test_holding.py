"""Which release holds a version of an app, when it is free again, and how lists show the app."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.test import Client

from builds.cancelling import cancel_release
from delivr.effects.models import Effect
from delivr.tests import factories
from integrations import operations as integrations
from releases.models import Release, ReleaseTarget
from releases.operations import create_release
from releases.tests.pages import Setup, text_of
from releases.tickets.effects import CreateEpic

pytestmark = [pytest.mark.django_db, pytest.mark.on_both]
TAKEN = "Release 1.5.0 of com.dream11.app already exists."


@pytest.fixture
def second(setup: Setup) -> Setup:
    """The same workspace with the targets and jobs of another app."""
    other = Setup.__new__(Setup)
    other.__dict__ |= setup.__dict__
    tenant, name = setup.tenant, "com.dream11.fan"
    other.ios = factories.AppStoreFactory(tenant=tenant, app_identifier=name)
    other.android = factories.PlayStoreFactory(tenant=tenant, app_identifier=name)
    other.ios_job = factories.PipelineFactory(tenant=tenant, scm=setup.scm, target=other.ios)
    other.android_job = factories.PipelineFactory(
        tenant=tenant, scm=setup.scm, target=other.android
    )
    return other


def of(setup: Setup, *platforms: str, version: str = "1.5.0") -> Release:
    return create_release(
        tenant=setup.tenant,
        actor=None,
        version=version,
        scm_id=setup.scm.pk,
        target_ids=[getattr(setup, name).pk for name in platforms],
        pipeline_ids=[getattr(setup, f"{name}_job").pk for name in platforms],
        ticket_id=setup.jira.pk,
    )


def refused(setup: Setup, *platforms: str) -> list[str]:
    before = Release.objects.count(), ReleaseTarget.objects.count(), Effect.objects.count()
    with pytest.raises(ValidationError) as error:
        of(setup, *platforms)
    after = Release.objects.count(), ReleaseTarget.objects.count(), Effect.objects.count()
    assert after == before
    assert set(error.value.message_dict) == {"version"}
    words: list[str] = error.value.message_dict["version"]
    return words


def test_two_apps_may_be_at_one_version(setup: Setup, second: Setup) -> None:
    assert of(setup, "ios", "android").version == of(second, "ios", "android").version


@pytest.mark.parametrize("platforms", [("ios",), ("android",), ("ios", "android")])
def test_live_releases_of_one_version_share_no_app(
    setup: Setup, platforms: tuple[str, ...]
) -> None:
    of(setup, "ios", "android")
    assert refused(setup, *platforms) == [TAKEN]


def test_one_platform_after_the_other_may_have_one_version(setup: Setup) -> None:
    of(setup, "ios")
    of(setup, "android")
    assert refused(setup, "ios", "android") == [TAKEN, TAKEN]


def test_a_cancelled_releases_version_can_be_used_again(setup: Setup) -> None:
    first = of(setup, "ios", "android")
    cancel_release(release=first, actor=None)
    again = of(setup, "ios", "android")
    assert (again.version, again.branch) == (first.version, first.branch)
    assert refused(setup, "ios") == [TAKEN]


@pytest.mark.parametrize("status", ["BUILDING", "BUILD_FAILED", "BUILD_COMPLETE"])
def test_a_release_keeps_its_version_as_long_as_it_is_not_cancelled(
    setup: Setup, status: str
) -> None:
    Release.objects.filter(pk=of(setup, "ios").pk).update(status=status)
    assert refused(setup, "ios") == [TAKEN]


def test_the_database_holds_it(setup: Setup) -> None:
    of(setup, "ios")
    with pytest.raises(IntegrityError), transaction.atomic():
        factories.ReleaseTargetFactory(
            release__tenant=setup.tenant, target=setup.ios, held_version="1.5.0"
        )


def test_two_connections_to_one_app_are_one_app(setup: Setup) -> None:
    twin = factories.AppStoreFactory(tenant=setup.tenant)
    release = create_release(
        tenant=setup.tenant,
        actor=None,
        version="1.5.0",
        scm_id=setup.scm.pk,
        target_ids=[setup.ios.pk, twin.pk],
        pipeline_ids=[setup.ios_job.pk],
    )
    assert [t.held_version for t in release.targets.all()] == ["1.5.0", None]
    assert refused(setup, "ios") == [TAKEN]


def test_a_release_keeps_the_app_that_it_was_made_for(setup: Setup, member: Client) -> None:
    release = of(setup, "ios")
    integrations.edit(setup.ios, actor=None, values={"app_identifier": "com.dream11.next"})
    type(setup.ios).objects.update(verification_status="VALID")
    assert "com.dream11.app" in text_of(member.get(f"/releases/{release.pk}"))
    epic = Effect.objects.get(kind="ticket.create_epic", release_id=release.pk)
    assert "com.dream11.app" in CreateEpic()._epic(epic).description
    other = of(setup, "ios")
    assert (release.apps, other.apps) == ("com.dream11.app", "com.dream11.next")


def test_epics_of_a_version_used_again_are_its_own(setup: Setup) -> None:
    first = of(setup, "ios")
    cancel_release(release=first, actor=None)
    of(setup, "ios")
    epics = Effect.objects.filter(kind="ticket.create_epic").order_by("created_at")
    assert len({epic.dedupe_key for epic in epics}) == len({epic.pk for epic in epics}) == 2


def test_other_tenants_hold_nothing_here(setup: Setup) -> None:
    factories.ReleaseTargetFactory(release__version="1.5.0", held_version="1.5.0")
    of(setup, "ios")


def test_lists_show_which_app_a_release_is_of(setup: Setup, second: Setup, member: Client) -> None:
    of(setup, "ios", "android")
    of(second, "ios")
    text = text_of(member.get("/releases?q=1.5.0"))
    assert text.count("com.dream11.app") == text.count("com.dream11.fan") == 1
    answer = member.get("/api/v1/releases?version=1.5.0").json()
    shown = [release["appIdentifiers"] for release in answer["results"]]
    assert shown == [["com.dream11.fan"], ["com.dream11.app"]]


def test_the_form_suggests_what_comes_next_for_the_chosen_app(
    setup: Setup, second: Setup, member: Client
) -> None:
    of(setup, "ios")
    of(second, "ios", version="3.1.0")
    live = {"HTTP_HX_REQUEST": "true"}
    for targets, newest, following in (
        ([setup.ios.pk], "1.5.0", "1.6.0"),
        ([second.ios.pk, second.android.pk], "3.1.0", "3.2.0"),
        ([second.android.pk], "", "1.0.0"),
    ):
        page = member.post("/releases/new/preview", setup.form(targets=targets), **live)
        html = page.content.decode()
        assert f'data-value="{following}"' in html
        assert html.count("data-fill=") == (3 if newest else 1)
        assert f"The newest release is {newest}." in html or not newest


def test_a_cancelled_version_is_suggested_again(setup: Setup, member: Client) -> None:
    of(setup, "ios", version="1.4.0")
    cancel_release(release=of(setup, "ios"), actor=None)
    assert member.get("/releases/new").context["form"]["version"].value() == "1.5.0"


def test_an_error_links_the_release_that_has_the_version(setup: Setup, member: Client) -> None:
    holder = of(setup, "ios")
    Release.objects.update(created_at="2026-01-01T00:00:00Z")
    for path in ("/releases/new", "/releases/new/preview"):
        page = member.post(path, setup.form())
        assert TAKEN in text_of(page)
        assert f'href="/releases/{holder.pk}"' in page.content.decode()


def test_a_dry_run_says_the_same(setup: Setup, member: Client) -> None:
    of(setup, "ios")
    body = {
        "version": "1.5.0",
        "scmIntegrationId": setup.scm.pk,
        "targets": [setup.ios.pk],
        "pipelines": [setup.ios_job.pk],
    }
    for path in ("/api/v1/releases?dryRun=true", "/api/v1/releases"):
        answer = member.post(path, body, content_type="application/json")
        assert (answer.status_code, answer.json()["errors"]) == (400, {"version": [TAKEN]})
