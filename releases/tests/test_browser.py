"""A new release in Chromium: suggestion, dry run while typing, keys."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from delivr.tests.every_page import sign_in

pytestmark = pytest.mark.browser


@pytest.fixture
def member(page: Page, product: Any, filled: dict[str, Any]) -> Page:
    sign_in(page, product, filled["logins"]["Sign in"])
    return page


def test_dry_run_follows_the_form(member: Page, product: Any, console: list[str]) -> None:
    page = member
    page.goto(f"{product.url}/releases/new")
    version, preview = page.get_by_label("Version"), page.locator("#preview")
    suggested = version.input_value()
    expect(preview).to_contain_text(f"Release {suggested} from release/{suggested} can be created")
    version.fill("1.3.0")
    expect(preview).to_contain_text("Not possible yet")
    beside = page.locator("#id_version_error")
    expect(beside).to_contain_text("1.3.0")
    expect(version).to_be_focused()
    version.fill("7.0.0")
    expect(preview).to_contain_text("Release 7.0.0 from release/7.0.0 can be created")
    expect(beside).to_be_hidden()
    page.get_by_role("checkbox", name="Play Store").uncheck()
    expect(preview).to_contain_text("builds for a target that this release does not have")
    assert console == []


def test_keys_lead_around_and_can_be_turned_off(
    member: Page, product: Any, console: list[str]
) -> None:
    page = member
    page.goto(f"{product.url}/activity")
    page.keyboard.press("/")
    page.wait_for_url("**/releases")
    page.keyboard.press("/")
    search = page.get_by_role("searchbox")
    expect(search).to_be_focused()
    page.keyboard.type("n?")
    expect(search).to_have_value("n?")
    page.get_by_role("heading", level=1).click()
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(dialog).to_be_visible()
    dialog.get_by_role("checkbox").uncheck()
    dialog.get_by_role("button", name="Close").click()
    page.keyboard.press("n")
    page.keyboard.press("?")
    expect(dialog).to_be_hidden()
    expect(page).to_have_url(f"{product.url}/releases")
    page.locator("summary", has_text="demo@example.com").click()
    page.get_by_role("button", name="Keyboard shortcuts").click()
    dialog.get_by_role("checkbox").check()
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    page.wait_for_url("**/releases/new")
    assert console == []
