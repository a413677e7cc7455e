"""People have names: their own profile, and where others see them."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from builds.triggering import trigger_builds
from delivr.tenants.models import Role, User
from delivr.tests import factories

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]
PROFILE = "/accounts/profile"


@pytest.fixture
def ada(tenant: Any, member_of: Any) -> User:
    user: User = member_of(tenant, Role.OWNER)
    User.objects.filter(pk=user.pk).update(name="Ada Example")
    user.refresh_from_db()
    return user


def test_person_changes_their_name_alone(ada: User, client_for: Any, stranger: User) -> None:
    client = client_for(ada)
    assert 'value="Ada Example"' in client.get(PROFILE).content.decode()
    assert client.post(PROFILE, {"name": "  Ada   B. "}).status_code == 302
    ada.refresh_from_db()
    stranger.refresh_from_db()
    assert (ada.name, stranger.name) == ("Ada B.", "")
    assert client.post(PROFILE, {"name": ""}).status_code == 302
    ada.refresh_from_db()
    assert ada.called == ada.email


@pytest.mark.parametrize(
    "name",
    [
        *("boss@example.com", "boss＠example.com", "boss﹫example.com"),
        *("Delivr", "ｄelivr", "Ada\u202e", "\u3164", "\u2800", "a" * 81),
    ],
)
def test_name_that_could_be_taken_for_another_is_refused(
    ada: User, client_for: Any, name: str
) -> None:
    page = client_for(ada).post(PROFILE, {"name": name})
    assert page.status_code == 200
    ada.refresh_from_db()
    assert ada.name == "Ada Example"


def test_profile_needs_an_account() -> None:
    assert Client().get(PROFILE).status_code == 302


def test_others_see_the_name_and_can_tell_the_address(
    tenant: Any, ada: User, member_of: Any, client_for: Any
) -> None:
    release = factories.ReleaseFactory(tenant=tenant, created_by=ada)
    factories.ReleasePipelineFactory(release=release)
    trigger_builds(release=release, actor=ada)
    client = client_for(member_of(tenant, Role.VIEWER))
    shown = f'<span title="{ada.email}">Ada Example</span>'
    assert shown in client.get("/releases").content.decode()
    page = client.get(f"/releases/{release.pk}").content.decode()
    assert shown in page
    assert "by Ada Example" in page
    members = client.get("/settings/").content.decode()
    assert "Ada Example" in members
    assert ada.email in members
    assert f"Ada Example ({ada.email})" in client.get("/releases").content.decode()  # the filter


def test_the_api_names_people_by_address(tenant: Any, ada: User, api_for: Any) -> None:
    api = api_for(tenant, Role.OWNER)
    emails = [row["email"] for row in api.get("/api/v1/members").json()["results"]]
    assert ada.email in emails
    assert "Ada Example" not in emails


def test_name_is_text(tenant: Any, ada: User, client_for: Any) -> None:
    User.objects.filter(pk=ada.pk).update(name="<b>Ada</b>")
    factories.ReleaseFactory(tenant=tenant, created_by=ada)
    assert "<b>Ada</b>" not in client_for(ada).get("/releases").content.decode()
