"""Every page in Chromium, in both colour schemes: axe finds nothing, the console is empty, and no
word meant for programs is shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from playwright.sync_api import Page

from delivr.tests.accessibility import violations_in_both_schemes
from delivr.tests.every_page import (
    ERRORS,
    FOUND_ON,
    PAGES,
    SIGNED_OUT,
    STAFF,
    found,
    sign_in,
)
from delivr.tests.raw_words import raw_words, visible_text

pytestmark = pytest.mark.browser


@pytest.fixture
def product(filled: dict[str, Any]) -> Any:
    """The one with a connected workspace."""
    return filled["product"]


def faults(page: Page, address: str, status: int = 200) -> list[str]:
    """What axe finds on a page, in both schemes, and raw words."""
    wrong = violations(page, address, status)
    return wrong + [f"{address}: {word}" for word in raw_words(visible_text(page))]


def violations(page: Page, address: str, status: int = 200) -> list[str]:
    """Only what axe finds: the admin may show words for programs."""
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    answer = page.goto(address)
    assert answer is not None
    assert answer.status == status, f"{address}: {answer.status}"
    return violations_in_both_schemes(page, address)


@pytest.fixture
def member(page: Page, product: Any, filled: dict[str, Any]) -> Page:
    sign_in(page, product, filled["logins"]["Sign in"])
    return page


def check(page: Page, product: Any, paths: Iterable[str], console: list[str]) -> None:
    wrong = [fault for path in paths for fault in faults(page, product.url + path)]
    assert not wrong, "\n".join(wrong)
    assert console == []


def test_public_pages_are_accessible_and_keep_to_their_policy(
    page: Page, product: Any, filled: dict[str, Any], console: list[str]
) -> None:
    check(page, product, [filled["pages"]["invitation"], *SIGNED_OUT.values()], console)
    wrong = [fault for path in ERRORS.values() for fault in faults(page, product.url + path, 404)]
    assert not wrong, "\n".join(wrong)


def test_pages_for_members_are_accessible_and_keep_to_their_policy(
    member: Page, product: Any, console: list[str]
) -> None:
    check(member, product, PAGES.values(), console)


def test_pages_of_single_objects_are_accessible_and_keep_to_their_policy(
    member: Page, product: Any, filled: dict[str, Any], console: list[str]
) -> None:
    known = {name: path for name, path in filled["pages"].items() if name != "invitation"}
    every = known | {"release-building": f"/releases/{filled['releaseId']}"}
    every |= found(member, product)
    assert every.keys() >= FOUND_ON.keys(), "pages of single things were not found"
    check(member, product, every.values(), console)


def test_pages_for_staff_are_accessible_and_keep_to_their_policy(
    page: Page, product: Any, filled: dict[str, Any], console: list[str]
) -> None:
    sign_in(page, product, filled["logins"]["Django admin"])
    wrong = [v for path in STAFF.values() for v in violations(page, product.url + path)]
    assert not wrong, "\n".join(wrong)
    assert console == []


PLANTED = {
    "<p>It is IN_PROGRESS</p>": ["IN_PROGRESS"],
    "<p>DEAD</p><p>done: SUCCESS.</p>": ["DEAD", "SUCCESS"],
    "<td>message.post</td>": ["message.post"],
    "<li>issue_type</li>": ["issue_type"],
    "<b>rel_4Jx0abc</b>": ["rel_4Jx0abc"],
    "<select><option>APP_STORE</option></select>": ["APP_STORE"],
    "<style>b { text-transform: uppercase }</style><b>Dead, done</b>": [],
    "<code>IN_PROGRESS</code><p hidden>DEAD</p>": [],
    "<p>1.5.0, iOS, API, https://x.org/a_b and ada_b@example.org</p>": [],
}


def test_raw_words_are_found(page: Page) -> None:
    for planted, words in PLANTED.items():
        page.set_content(planted)
        assert raw_words(visible_text(page)) == words, planted
