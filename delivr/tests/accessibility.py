"""axe on a page in Chromium: what it finds, as lines for a failed assertion."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

# What depends on the colour scheme: the same page in other colours needs no other rule again.
COLOURS = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
# axe stays on a page that is looked at twice; what it has no complaint about is not sent.
RUN = """async (options) => {
    const { violations } = await axe.run({ resultTypes: ["violations"], ...options });
    return violations.map(({ id, nodes }) => [id, nodes.slice(0, 3).map((node) => node.target)]);
}"""
# A colour that is inherited by an element with a transition of its own arrives late, one transition
# after the other, so there are none. The page's policy forbids styles in the document, not these.
NO_TRANSITIONS = """() => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync("*, *::before, *::after { transition: none !important }");
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
}"""
# The new scheme is applied with a later frame. The first run may have scrolled text below a bar.
COLOURS_HAVE_CHANGED = """async (scheme) => {
    const frame = () => new Promise(requestAnimationFrame);
    while (!matchMedia(`(prefers-color-scheme: ${scheme})`).matches) await frame();
    await frame();
    await frame();
    scrollTo(0, 0);
    await frame();
}"""


def violations(page: Page, what: str = "", **options: Any) -> list[str]:
    """What axe finds on the page as it is, each with up to three places."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    return [f"{what}: {rule} {places}" for rule, places in page.evaluate(RUN, options)]


def violations_in_both_schemes(page: Page, what: str) -> list[str]:
    """With all rules in the light scheme, and in the dark one what depends on colours."""
    wrong = []
    page.evaluate(NO_TRANSITIONS)
    schemes: dict[Any, dict[str, Any]] = {"light": {}, "dark": COLOURS}
    for scheme, options in schemes.items():
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.evaluate(COLOURS_HAVE_CHANGED, scheme)
        wrong += violations(page, f"{what} ({scheme})", **options)
    return wrong
