"""The steps in the repository: the workspace's defaults, and what a release asks for."""

from __future__ import annotations

from typing import Any

import pytest

from delivr.audit.models import AuditEvent
from delivr.effects.models import Effect
from delivr.tenants.models import Role
from delivr.tests import factories
from releases.models import Release, ReleaseSettings, RepositoryPart
from releases.repository.steps import change_settings, settings_of, steps_of
from releases.tests.pages import text_of

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]

API, PAGE = "/api/v1/release-settings", "/settings/releases"
OFF = {"createBranch": False, "tag": False, "draftRelease": False}


@pytest.fixture
def admin(tenant: Any, member_of: Any, client_for: Any) -> Any:
    return client_for(member_of(tenant, Role.ADMIN))


@pytest.fixture
def everything_on(tenant: Any, owner: Any) -> None:
    steps = dict.fromkeys(("creates_branch", "makes_tag", "drafts_release"), True)
    change_settings(tenant=tenant, actor=owner, steps=steps)


def body(setup: Any, **changes: Any) -> dict[str, Any]:
    return {
        "version": "1.5.0",
        "scmIntegrationId": setup.scm.pk,
        "targets": [setup.ios.pk],
        "pipelines": [setup.ios_job.pk],
        **changes,
    }


def test_everything_is_off_for_a_new_workspace(api_for: Any, tenant: Any) -> None:
    assert api_for(tenant, Role.VIEWER).get(API).json()["repository"] == OFF
    assert not ReleaseSettings.objects.exists()


def test_an_admin_switches_steps_on_and_it_is_audited(api_for: Any, tenant: Any) -> None:
    api = api_for(tenant, Role.ADMIN)
    answer = api.patch(API, {"repository": {"tag": True}})
    assert answer.json()["repository"] == {**OFF, "tag": True}
    event = AuditEvent.objects.get(action="tenant.release_settings")
    assert event.changes == {"makes_tag": [False, True]}
    api.patch(API, {"repository": {"tag": True}})
    assert AuditEvent.objects.filter(action="tenant.release_settings").count() == 1
    assert api.get(API).json()["repository"]["tag"] is True


@pytest.mark.parametrize(
    "wrong", [{"repository": {"tags": True}}, {"repository": {"tag": "perhaps"}}, {"tag": True}]
)
def test_what_is_no_step_is_refused(api_for: Any, tenant: Any, wrong: Any) -> None:
    assert api_for(tenant, Role.ADMIN).patch(API, wrong).status_code == 400
    assert not ReleaseSettings.objects.exists()


def test_members_may_not_change_them(api_for: Any, tenant: Any, member: Any) -> None:
    answer = api_for(tenant, Role.MEMBER).patch(API, {"repository": {"tag": True}})
    assert answer.status_code == 403
    assert member.post(PAGE, {"makes_tag": "on"}).status_code == 403
    assert not ReleaseSettings.objects.exists()


def test_settings_of_another_workspace_stay(api_for: Any, tenant: Any) -> None:
    other = factories.TenantFactory()
    api_for(tenant, Role.ADMIN).patch(API, {"repository": {"tag": True}})
    assert not any(steps_of(settings_of(other)).values())


def test_the_page_changes_them(admin: Any, tenant: Any) -> None:
    assert "Defaults for new releases, in the form and in the API." in text_of(admin.get(PAGE))
    answer = admin.post(PAGE, {"creates_branch": "on"}, follow=True)
    assert "Saved. New releases use these settings." in text_of(answer)
    assert steps_of(settings_of(tenant)) == {
        "creates_branch": True,
        "makes_tag": False,
        "drafts_release": False,
    }


@pytest.mark.usefixtures("everything_on")
def test_a_release_takes_the_defaults_and_overrides_them(
    api_for: Any, tenant: Any, setup: Any
) -> None:
    api = api_for(tenant, Role.MEMBER)
    made = api.post("/api/v1/releases", body(setup)).json()
    assert made["repository"] == dict.fromkeys(OFF, True)
    assert (made["baseBranch"], made["commit"], made["tag"]) == ("", "", "")
    wish = {"createBranch": False, "draftRelease": False}
    made = api.post("/api/v1/releases", body(setup, version="2", repository=wish)).json()
    assert made["repository"] == {**OFF, "tag": True}
    assert Effect.objects.filter(kind="scm.create_branch").count() == 1


def test_a_release_may_name_the_base_of_its_branch(api_for: Any, tenant: Any, setup: Any) -> None:
    wish = {"baseBranch": "develop", "repository": {"createBranch": True}}
    made = api_for(tenant, Role.MEMBER).post("/api/v1/releases", body(setup, **wish)).json()
    assert made["baseBranch"] == "develop"
    assert Release.objects.get().branch_look_at is None  # not looked for before it is there


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"baseBranch": "a..b"}, "baseBranch"),
        ({"baseBranch": "release/1.5.0", "repository": {"createBranch": True}}, "baseBranch"),
        ({"repository": {"branch": True}}, "repository"),
        ({"repository": ["tag"]}, "repository"),
    ],
)
def test_a_wish_without_sense_is_refused(
    api_for: Any, tenant: Any, setup: Any, wish: Any, field: str
) -> None:
    answer = api_for(tenant, Role.MEMBER).post("/api/v1/releases", body(setup, **wish))
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [field]
    assert not Release.objects.exists()
    assert not Effect.objects.exists()


@pytest.mark.usefixtures("everything_on")
def test_the_form_starts_with_the_defaults_and_may_switch_them_off(member: Any, setup: Any) -> None:
    html = member.get("/releases/new").content.decode()
    for name in ("creates_branch", "makes_tag", "drafts_release"):
        field = html.split(f'id="id_{name}"')[0].rsplit("<input", 1)[1]
        assert "checked" in field + html.split(f'id="id_{name}"')[1].split(">")[0]
    member.post("/releases/new", setup.form(makes_tag="on"))
    part = RepositoryPart.objects.get()
    assert steps_of(part) == {"creates_branch": False, "makes_tag": True, "drafts_release": False}


def test_the_preview_tells_the_steps(member: Any, setup: Any) -> None:
    form = setup.form(creates_branch="on", makes_tag="on", drafts_release="on")
    text = text_of(member.post("/releases/new/preview", form))
    assert "release/1.5.0 is cut from the default branch; builds wait for it." in text
    assert "the tag v1.5.0." in text
    assert "a draft of the release v1.5.0." in text
    assert not Release.objects.exists()


def test_a_release_of_an_older_version_does_nothing(
    api_for: Any, tenant: Any, setup: Any, member: Any
) -> None:
    release = setup.release()
    RepositoryPart.objects.all().delete()
    shown = api_for(tenant, Role.VIEWER).get(f"/api/v1/releases/{release.pk}").json()
    assert (shown["repository"], shown["changes"]["items"]) == (OFF, [])
    assert member.get(f"/releases/{release.pk}").status_code == 200
    assert member.get(f"/releases/{release.pk}/changes").status_code == 200
