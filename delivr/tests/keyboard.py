"""A user who only has a keyboard, in Chromium."""

from __future__ import annotations

from playwright.sync_api import Locator, Page

MOST = 80  # presses of Tab: nobody would search further
# The target has the focus, and the focus is visible.
LOOK = """target => {
    const node = document.activeElement;
    const style = getComputedStyle(node);
    const drawn = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
    const isSeen = node === document.body || (node.matches(":focus-visible") && drawn);
    return { isThere: node === target, isSeen, at: node.outerHTML.slice(0, 120) };
}"""


def tab_to(page: Page, target: Locator) -> None:
    """Press Tab until the target has the focus, which must be visible after each press."""
    target.wait_for()
    for _press in range(MOST):
        page.keyboard.press("Tab")
        look = target.evaluate(LOOK)
        assert look["isSeen"], f"The focus cannot be seen at {look['at']}"
        if look["isThere"]:
            return
    raise AssertionError(f"{MOST} times Tab do not lead to {target}")


def enter(page: Page, target: Locator) -> None:
    """Go to it and press Enter, which follows a link or presses a button: the next page."""
    tab_to(page, target)
    with page.expect_navigation():
        page.keyboard.press("Enter")


def write(page: Page, target: Locator, text: str) -> None:
    """Go to a field and type; Tab selects the old text, so it is replaced."""
    tab_to(page, target)
    page.keyboard.type(text)
