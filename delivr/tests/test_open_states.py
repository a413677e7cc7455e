"""On a phone in the dark scheme: axe finds nothing while something is open or wrong, targets are
large enough, and the focused element is not hidden."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from delivr.tests.accessibility import violations
from delivr.tests.every_page import stay_signed_in

pytestmark = pytest.mark.browser
WITH_SIZE = {"rules": {"target-size": {"enabled": True}}}  # WCAG 2.2, 2.5.8
# The focused element if no point of it is visible, because something lies above it.
HIDDEN = """() => {
    const node = document.activeElement;
    if (!node.matches("main :focus")) return "";
    const { left, top, width, height } = node.getBoundingClientRect();
    const points = [0.1, 0.5, 0.9].map((part) => [left + width / 2, top + height * part]);
    const isSeen = ([x, y]) => {
        const there = document.elementFromPoint(x, y);
        const isLabel = there?.closest("label")?.control === node;
        return there && (node.contains(there) || there.contains(node) || isLabel);
    };
    return points.some(isSeen) ? "" : node.outerHTML.slice(0, 120);
}"""


@pytest.fixture
def phone(page: Page, filled: dict[str, Any]) -> Page:
    page.set_viewport_size({"width": 390, "height": 700})
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    stay_signed_in(page, filled["product"], filled["logins"]["Sign in"])
    return page


def opened(page: Page, url: str, release_id: str) -> Iterator[str]:
    """Each state in turn, by its name."""
    page.goto(f"{url}/releases")
    for menu in page.locator("details.menu").all():
        menu.locator("summary").click()
        yield "a menu"
        page.keyboard.press("Escape")
    page.keyboard.press("?")
    yield "the shortcuts"
    page.goto(f"{url}/releases/{release_id}")
    page.locator("button[popovertarget]:visible").first.click()
    yield "a question"
    page.goto(f"{url}/setup/pipelines")
    page.get_by_role("button", name="Load").first.click()
    expect(page.locator(".picker__status").first).not_to_be_empty()
    yield "a picker"
    page.goto(f"{url}/releases/new")
    page.locator("#id_version").evaluate("node => (node.form.noValidate = true)")
    page.locator("#id_version").fill("")
    page.get_by_role("button", name="Create release").click()
    expect(page.locator(".form__errors")).to_be_visible()
    yield "errors"


def test_what_is_open_or_wrong_is_accessible(phone: Page, filled: dict[str, Any]) -> None:
    url = filled["product"].url
    wrong = []
    for what in opened(phone, url, filled["releaseId"]):
        wrong += violations(phone, what, **WITH_SIZE)
    assert wrong == []


@pytest.mark.parametrize("path", ["/releases/new", "/releases/{releaseId}"])
def test_no_bar_hides_the_focused_element(phone: Page, filled: dict[str, Any], path: str) -> None:
    phone.goto(filled["product"].url + path.format(**filled))
    if path == "/releases/new":  # what its preview adds moves the elements below it
        expect(phone.locator("#preview")).to_contain_text("can be created")
    hidden = []
    for key in ["Tab"] * 40 + ["Shift+Tab"] * 30:
        phone.keyboard.press(key)
        hidden.append(phone.evaluate(HIDDEN))
    assert [node for node in hidden if node] == []
