"""The keyboard helper notices what a user without a mouse would suffer from."""

import pytest
from playwright.sync_api import Page

from delivr.tests.keyboard import tab_to

pytestmark = pytest.mark.browser


def test_invisible_focus_is_noticed(page: Page) -> None:
    page.set_content("<style>a { outline: none }</style><a href='#'>On</a>")
    with pytest.raises(AssertionError, match="cannot be seen"):
        tab_to(page, page.get_by_role("link"))


def test_unreachable_element_is_noticed(page: Page) -> None:
    page.set_content("<a href='#'>On</a><div role='button'>Send</div>")
    with pytest.raises(AssertionError, match="do not lead to"):
        tab_to(page, page.get_by_role("button"))
    tab_to(page, page.get_by_role("link"))
