"""Every page in Chromium, in both colour schemes: axe finds nothing, the console stays silent."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from delivr.tests.every_page import PAGES, SIGNED_OUT, STAFF, found, sign_in

pytestmark = pytest.mark.browser
SCHEMES: tuple[Any, ...] = ("light", "dark")


@pytest.fixture
def product(filled: dict[str, Any]) -> Any:
    """The one with a connected workspace."""
    return filled["product"]


def faults(page: Page, address: str) -> list[str]:
    """What axe finds on a page, in both schemes."""
    wrong = []
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        answer = page.goto(address)
        assert answer is not None
        assert answer.ok, f"{address}: {answer.status}"
        found_here = Axe().run(page).response["violations"]
        wrong += [
            f"{address} ({scheme}): {v['id']} {[n['target'] for n in v['nodes']][:3]}"
            for v in found_here
        ]
    return wrong


def test_every_page_is_accessible_and_keeps_to_its_policy(
    page: Page, product: Any, filled: dict[str, Any], console: list[str]
) -> None:
    wrong = []
    for path in SIGNED_OUT.values():
        wrong += faults(page, product.url + path)
    sign_in(page, product, filled["logins"]["Sign in"])
    mine = PAGES | {"release-building": f"/releases/{filled['releaseId']}"}
    every = mine | found(page, product)
    for path in every.values():
        wrong += faults(page, product.url + path)
    page.context.clear_cookies()
    sign_in(page, product, filled["logins"]["Django admin"])
    for path in STAFF.values():
        wrong += faults(page, product.url + path)
    assert wrong == []
    assert console == []
    assert len(every) > len(PAGES) + 6, "pages of single things were not found"
