"""Addresses as people type them lead to the page; what is not there is told within the menu."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from delivr.tests import factories

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("/settings", "/settings/"),
        ("/releases/", "/releases"),
        ("/api/v1/docs/", "/api/v1/docs"),
        ("/api/v1/docs/guide/", "/api/v1/docs/guide"),
        ("/releases/?tab=cancelled", "/releases?tab=cancelled"),
        ("/integrations/", "/integrations"),
        ("/activity/", "/activity"),
        ("/activity/received/", "/activity/received"),
        ("/insights/", "/insights"),
        ("/setup/", "/setup"),
        ("/releases/rel_unknown/", "/releases/rel_unknown"),
    ],
)
def test_a_slash_more_or_less_leads_to_the_page(typed: str, meant: str) -> None:
    answer = Client().get(typed)
    assert answer.status_code in (301, 302)
    assert answer["Location"] == meant


@pytest.mark.parametrize(
    "typed", ["/nothing/", "/nothing//", "//evil.example/", "//evil.example//", "/\\evil.example/"]
)
def test_no_address_leads_elsewhere(typed: str) -> None:
    answer = Client().get("/", PATH_INFO=typed)  # the client itself would read a host in it
    assert answer.status_code == 404, answer.get("Location")


def test_nothing_is_posted_to_an_address_that_is_almost_right(client_for: Any, owner: Any) -> None:
    assert client_for(owner).post("/releases/new/", {"version": "1.0.0"}).status_code == 405


def test_members_see_the_menu_beside_what_is_not_there(client_for: Any, owner: Any) -> None:
    page = client_for(owner).get("/nothing-here")
    assert page.status_code == 404
    text = page.content.decode()
    assert 'href="/integrations"' in text
    assert text.count("<h1>") == 1


def test_a_stranger_release_is_the_same_as_none(client_for: Any, owner: Any) -> None:
    client = client_for(owner)
    strange = factories.ReleaseFactory(version="9.9.9")
    unknown = client.get("/releases/rel_unknown")
    found = client.get(f"/releases/{strange.pk}")
    assert found.status_code == unknown.status_code == 404
    assert bare(found) == bare(unknown)


def bare(page: Any) -> str:
    """The page without what differs each time."""
    return re.sub(
        r'"X-CSRFToken": "\w+"|name="csrfmiddlewaretoken" value="\w+"', "", page.content.decode()
    )


def test_who_is_not_signed_in_sees_no_menu(db: None) -> None:
    page = Client().get("/nothing-here")
    assert page.status_code == 404
    assert b'href="/integrations"' not in page.content
