"""Connections in Chromium: pickers by keyboard, and streamed checks."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from delivr.tests.every_page import sign_in

pytestmark = pytest.mark.browser
MANY = [{"value": f"/job/app-{n}", "label": f"app-{n}"} for n in range(1000)]


def test_a_job_is_picked_by_keyboard_and_its_checks_are_followed(
    page: Page, filled: dict[str, Any], console: list[str]
) -> None:
    product = filled["product"]
    sign_in(page, product, filled["logins"]["Sign in"])
    page.goto(f"{product.url}/integrations/pipelines/new?sandbox=1")
    page.get_by_label("Builds for").select_option(index=1)
    page.route("**/options?*", lambda route: route.fulfill(json={"options": MANY}))
    page.get_by_role("button", name="Load jobs").click()
    job, status = page.get_by_label("Job", exact=True), page.locator(".picker__status")
    expect(job).to_be_focused()
    expect(status).to_have_text("1000 found.")
    job.fill("app-99")
    expect(status).to_have_text("11 found.")
    active = page.locator("[role=option].is-active")
    for key, name in (
        ("ArrowDown", "app-99"),
        ("ArrowDown", "app-990"),
        ("End", "app-999"),
        ("ArrowDown", "app-99"),
        ("ArrowUp", "app-999"),
        ("Home", "app-99"),
    ):
        page.keyboard.press(key)
        expect(active).to_have_text(re.compile(rf"^{name}/job"))
        expect(job).to_have_attribute("aria-activedescendant", str(active.get_attribute("id")))
    page.keyboard.press("Enter")
    expect(job).to_have_value("/job/app-99")
    expect(job).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("listbox")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("listbox")).to_be_hidden()

    page.get_by_role("button", name="Connect and verify").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Let Jenkins report its builds")
    expect(page.locator("#failed-checks")).to_be_visible()
    assert console == []


def test_several_channels_are_picked_by_keyboard(page: Page, filled: dict[str, Any]) -> None:
    product = filled["product"]
    sign_in(page, product, filled["logins"]["Sign in"])
    page.goto(f"{product.url}/integrations/communication/new?sandbox=1")
    channels = page.get_by_label("Channels")
    channels.fill("")
    page.get_by_role("button", name="Load channels").click()
    search = page.get_by_role("combobox", name="Search the options")
    expect(search).to_be_focused()
    for _n in range(2):
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
    assert len(channels.input_value().split()) == 2
    expect(page.locator("[role=option][aria-selected=true]")).to_have_count(2)
    page.keyboard.press("Enter")
    expect(page.locator("[role=option][aria-selected=true]")).to_have_count(1)


def test_a_refused_credential_is_reported_in_place_and_a_valid_one_on_the_next_page(
    page: Page, filled: dict[str, Any], console: list[str]
) -> None:
    product = filled["product"]
    sign_in(page, product, filled["logins"]["Sign in"])
    page.goto(f"{product.url}/integrations")
    page.locator("main a[href*='/scm_']").first.click()
    page.get_by_role("link", name="Edit", exact=True).click()
    page.get_by_label("Access token", exact=True).fill("ghp_wrong")
    save = page.get_by_role("button", name="Save and verify")
    save.click()
    expect(page.get_by_role("alert")).to_contain_text("The stored one is still in force")
    expect(page.locator("#streamed-form")).to_contain_text("GitHub refused the access token.")
    expect(page.locator("[data-checks-wait]:visible")).to_have_count(0)
    page.get_by_label("Access token", exact=True).fill("")
    save.click()
    expect(page.locator("#messages")).to_contain_text("is connected and works")
    expect(page).not_to_have_url(re.compile("verified="))
    assert console == []
