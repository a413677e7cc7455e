"""Exact times in the reader's time zone: chosen, the browser's, or UTC; programs get UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Browser, expect

from delivr.audit.models import AuditEvent
from delivr.effects.runner import run_effect
from delivr.pages import timezones
from delivr.tenants.inviting import invite
from delivr.tenants.models import Role, Tenant, User
from delivr.tests import factories
from delivr.tests.every_page import sign_in
from delivr.tests.tampering import tampering
from releases.models import Release

NOON = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
database = pytest.mark.django_db


@pytest.fixture
def ada(client_for: Any, owner: User, tenant: Tenant) -> Client:
    """A user whose workspace has a release created at noon in winter."""
    made = factories.ReleaseFactory(tenant=tenant)
    Release.objects.filter(pk=made.pk).update(created_at=NOON)
    client: Client = client_for(owner)
    return client


def choose(client: Client, text: str) -> str:
    answer = client.post("/accounts/time-zone", {"time_zone": text}, follow=True)
    return answer.content.decode()


def releases_page(client: Client) -> str:
    return client.get("/releases").content.decode()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        (" berlin ", "Europe/Berlin"),
        ("New York", "America/New_York"),
        ("utc", "UTC"),
        ("Europe", ""),
        ("Louisville", ""),  # there are two
        ("../../etc/passwd", ""),
        ("/", ""),
        ("", ""),
    ],
)
def test_zone_is_found_by_its_place(text: str, name: str) -> None:
    assert timezones.find(text) == name


@database
def test_without_a_choice_times_are_utc(ada: Client) -> None:
    assert 'title="15 Jan 2026, 12:00:00 UTC"' in releases_page(ada)


@database
def test_chosen_zone_applies_to_times_on_pages(ada: Client, owner: User) -> None:
    page = choose(ada, "Berlin")
    assert User.objects.get(pk=owner.pk).time_zone == "Europe/Berlin"
    assert "Saved." in page
    assert 'title="15 Jan 2026, 13:00:00 CET"' in releases_page(ada)
    assert timezone.get_current_timezone_name() == "UTC", "it stayed behind for others"


@database
def test_browsers_zone_counts_until_one_is_chosen(ada: Client) -> None:
    ada.cookies[timezones.COOKIE] = "Asia/Tokyo"
    assert 'title="15 Jan 2026, 21:00:00 JST"' in releases_page(ada)
    assert "Asia/Tokyo" in ada.get("/accounts/time-zone").content.decode()
    choose(ada, "Europe/Berlin")
    assert 'title="15 Jan 2026, 13:00:00 CET"' in releases_page(ada)
    choose(ada, "")
    assert 'title="15 Jan 2026, 21:00:00 JST"' in releases_page(ada)


@database
@pytest.mark.parametrize("name", ["Mars/Olympus", "../../etc/passwd", "%00", "x" * 4000])
def test_invalid_cookie_is_ignored(ada: Client, name: str) -> None:
    ada.cookies[timezones.COOKIE] = name
    assert "12:00:00 UTC" in releases_page(ada)


@database
def test_unknown_zone_is_refused_in_words(ada: Client, owner: User) -> None:
    page = choose(ada, "Berlin, I think")
    assert "Choose one from the list" in page
    assert User.objects.get(pk=owner.pk).time_zone == ""


@database
def test_api_and_files_say_utc(ada: Client) -> None:
    choose(ada, "Berlin")
    made = ada.get("/api/v1/releases").json()["results"][0]["createdAt"]
    assert datetime.fromisoformat(made) == NOON
    assert made.endswith(("Z", "+00:00"))
    rows = b"".join(ada.get("/settings/audit/export.csv"))
    assert b"+00:00" in rows or rows.count(b"\n") == 1


@database
def test_days_are_read_in_the_readers_zone(ada: Client, tenant: Tenant) -> None:
    choose(ada, "Berlin")
    late = AuditEvent.objects.create(
        tenant=tenant, action="release.created", subject_label="LATE", at=NOON
    )
    with tampering():
        AuditEvent.objects.filter(pk=late.pk).update(at=datetime(2026, 1, 14, 23, 30, tzinfo=UTC))
    shown = {
        day: "LATE" in ada.get(f"/settings/audit?since={day}&until={day}").content.decode()
        for day in ("2026-01-14", "2026-01-15")
    }
    assert shown == {"2026-01-14": False, "2026-01-15": True}


@database
def test_mail_says_its_zone(tenant: Tenant, owner: User, mailoutbox: Any) -> None:
    invitation = invite(tenant=tenant, actor=owner, email="new@example.com", role=Role.VIEWER)
    run_effect(invitation.mail_id)
    assert " UTC, and only for new@example.com" in mailoutbox[0].body


@pytest.mark.browser
def test_browser_reports_its_zone(browser: Browser, filled: dict[str, Any]) -> None:
    context = browser.new_context(timezone_id="Asia/Tokyo")
    page = context.new_page()
    sign_in(page, filled["product"], filled["logins"]["Sign in"])
    page.goto(f"{filled['product'].url}/accounts/time-zone")
    expect(page.get_by_role("main")).to_contain_text("JST")
    expect(page.get_by_role("main")).to_contain_text("your browser's time zone, Asia/Tokyo")
    context.close()
