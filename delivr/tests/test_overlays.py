"""Dialogs and toasts in Chromium, on the page that shows every component."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from delivr.tests.every_page import stay_signed_in

pytestmark = pytest.mark.browser
IN_DIALOG = "document.activeElement.closest('dialog')?.id ?? document.activeElement.tagName"


@pytest.fixture
def design(page: Page, filled: dict[str, Any], console: list[str]) -> Any:
    product = filled["product"]
    stay_signed_in(page, product, filled["logins"]["Django admin"])
    page.goto(f"{product.url}/design")
    yield page
    assert console == []


def test_dialog_takes_the_focus_and_gives_it_back(design: Page) -> None:
    page, opener = design, design.get_by_role("button", name="Confirmed…")
    dialog = page.locator("#sample-confirm")
    opener.focus()
    page.keyboard.press("Enter")
    expect(dialog).to_be_visible()
    assert dialog.evaluate("node => node.matches(':modal')")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    for _press in range(6):
        page.keyboard.press("Tab")
        assert page.evaluate(IN_DIALOG) in ("sample-confirm", "BODY"), (
            "the page behind is not inert"
        )
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(opener).to_be_focused()


def test_dialog_fits_a_phone_and_closes_on_a_click_outside(design: Page) -> None:
    page, dialog = design, design.locator("#sample-confirm")
    page.set_viewport_size({"width": 390, "height": 700})
    page.get_by_role("button", name="Confirmed…").click()
    box = dialog.bounding_box()
    assert box
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    page.mouse.click(5, 5)
    expect(dialog).to_be_hidden()


def test_dialog_works_without_scripts(browser: Browser, design: Page) -> None:
    state = design.context.storage_state()
    with browser.new_context(java_script_enabled=False, storage_state=state) as context:
        page = context.new_page()
        page.goto(design.url)
        dialog, opener = page.locator("#sample-confirm"), page.get_by_text("Confirmed…")
        opener.click()
        expect(dialog).to_be_visible()
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        opener.click()
        dialog.get_by_role("button", name="Cancel").click()
        expect(dialog).to_be_hidden()


def save_time_zone(page: Page, filled: dict[str, Any]) -> Any:
    """What is saved says so: the toast."""
    product = filled["product"]
    stay_signed_in(page, product, filled["logins"]["Sign in"])
    page.goto(f"{product.url}/accounts/time-zone")
    page.add_init_script("""addEventListener("DOMContentLoaded", () => {
        window.said = [];
        new MutationObserver((changes) => {
            const text = changes[0].target.textContent;
            if (text) window.said.push(text);
        }).observe(document.getElementById("announcer"), { childList: true });
    });""")
    page.get_by_role("main").get_by_role("button", name="Save").click()
    toast = page.get_by_role("status").locator(".toast")
    expect(toast).to_have_count(1)
    return toast


def test_message_is_announced_once_covers_nothing_and_can_be_dismissed(
    page: Page, filled: dict[str, Any]
) -> None:
    toast = save_time_zone(page, filled)
    words = toast.locator(".alert__body").inner_text().strip()
    expect(page.locator("#announcer")).to_have_text(words)
    assert page.evaluate("window.said") == [words]
    toast.hover()  # it stays meanwhile
    box, head = toast.bounding_box(), page.get_by_role("heading", level=1).bounding_box()
    assert box
    assert head
    assert box["y"] + box["height"] <= head["y"]
    page.evaluate("document.querySelector('.page').style.minHeight = '300vh'; scrollTo(0, 600)")
    expect(toast).not_to_be_in_viewport()
    toast.get_by_role("button", name="Dismiss").click()
    expect(toast).to_have_count(0)


def test_message_leaves_by_itself_but_not_while_somebody_is_at_it(
    page: Page, filled: dict[str, Any]
) -> None:
    page.clock.install()
    toast = save_time_zone(page, filled)
    page.clock.run_for(7_000)
    toast.hover()
    page.clock.run_for(20_000)
    expect(toast).to_be_visible()
    close = toast.get_by_role("button", name="Dismiss")
    close.focus()
    page.mouse.move(0, 0)
    page.clock.run_for(20_000)
    expect(toast).to_be_visible()
    close.evaluate("node => node.blur()")
    page.clock.run_for(7_000)
    expect(toast).to_be_visible()
    page.evaluate("document.querySelector('.page').style.minHeight = '300vh'")
    head = page.get_by_role("heading", level=1)
    before = head.bounding_box()
    page.clock.run_for(2_000)
    expect(toast).to_be_hidden()
    assert head.bounding_box() == before  # nothing moves under the pointer
    page.mouse.wheel(0, 600)
    expect(toast).to_have_count(0)
