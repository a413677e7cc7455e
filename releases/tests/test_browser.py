"""A new release in Chromium: suggestion, dry run while typing, keyboard shortcuts."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from delivr.tests.every_page import stay_signed_in

pytestmark = pytest.mark.browser

LIVE = re.compile(r"/releases/\w+/live")


@pytest.fixture
def product(filled: dict[str, Any]) -> Any:
    """The running product with a connected workspace."""
    return filled["product"]


@pytest.fixture
def member(page: Page, product: Any, filled: dict[str, Any]) -> Page:
    stay_signed_in(page, product, filled["logins"]["Sign in"])
    return page


def test_dry_run_follows_the_form(member: Page, product: Any, console: list[str]) -> None:
    page = member
    page.goto(f"{product.url}/releases/new")
    version, preview = page.get_by_label("Version", exact=True), page.locator("#preview")
    suggested = version.input_value()
    expect(preview).to_contain_text(f"Release {suggested} from release/{suggested} can be created")
    patch = page.get_by_role("button", name="patch")
    expect(patch).to_have_attribute("aria-pressed", "false")
    patch.press("Enter")
    expect(patch).to_have_attribute("aria-pressed", "true")
    expect(preview).to_contain_text(f"Release {version.input_value()} from")
    assert version.input_value() != suggested
    version.focus()
    version.fill("1.3.0")
    expect(preview).to_contain_text("Not possible yet")
    beside = page.locator("#id_version_error")
    expect(beside).to_contain_text("1.3.0")
    expect(version).to_be_focused()
    expect(version).to_have_attribute("aria-invalid", "true")
    version.fill("7.0.0")
    expect(preview).to_contain_text("Release 7.0.0 from release/7.0.0 can be created")
    expect(beside).to_be_hidden()
    expect(version).to_have_attribute("aria-invalid", "false")
    play_store = page.get_by_role("checkbox", name="Play Store")
    job = page.get_by_role("checkbox", name="Android production")
    play_store.uncheck()
    expect(job).not_to_be_checked()
    expect(preview).not_to_contain_text("/job/android-prod")
    expect(preview).to_contain_text("can be created")
    play_store.check()
    expect(job).to_be_checked()
    expect(preview).to_contain_text("/job/android-prod")
    assert console == []


def test_what_is_unfolded_in_the_dry_run_stays_so(
    member: Page, product: Any, console: list[str]
) -> None:
    page = member
    page.goto(f"{product.url}/releases/new")
    version, preview = page.get_by_label("Version", exact=True), page.locator("#preview")
    last = preview.get_by_text("all builds complete, ready for submission").first
    expect(preview).to_contain_text("can be created")
    preview.get_by_text("All messages").click()
    expect(last).to_be_visible()
    version.fill("7.0.0")
    expect(last).to_contain_text("7.0.0")
    expect(last).to_be_visible()
    assert console == []


def test_the_button_is_in_sight_beside_the_dry_run_and_after_it_on_a_phone(
    member: Page, product: Any
) -> None:
    page = member
    page.set_viewport_size({"width": 1440, "height": 900})
    page.goto(f"{product.url}/releases/new")
    create = page.get_by_role("button", name="Create release")
    expect(page.locator("#preview")).to_contain_text("can be created")
    expect(create).to_be_in_viewport(ratio=1)
    page.set_viewport_size({"width": 390, "height": 844})
    dry_run, button = page.locator("#preview").bounding_box(), create.bounding_box()
    assert dry_run
    assert button
    assert button["y"] >= dry_run["y"] + dry_run["height"]


def test_a_dry_run_on_its_way_ends_quietly_where_the_form_is_sent(
    member: Page, product: Any, console: list[str]
) -> None:
    page = member
    page.goto(f"{product.url}/releases/new")
    expect(page.locator("#preview")).to_contain_text("can be created")
    page.route("**/releases/new/preview", lambda route: None)  # it never responds
    with page.expect_request("**/releases/new/preview"):
        page.get_by_label("Version", exact=True).fill("1.3.0")
    page.get_by_role("button", name="Create release").click()
    expect(page.get_by_role("main").get_by_role("alert")).to_contain_text("1.3.0")
    assert console == []


def test_keys_lead_around_and_can_be_turned_off(
    member: Page, product: Any, console: list[str]
) -> None:
    page = member
    page.goto(f"{product.url}/insights")  # a page without a search of its own
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
    expect(page).to_have_url(f"{product.url}/releases?tab=needs-you&q=n%3F")  # what was typed
    page.locator("summary", has_text="demo@example.com").click()
    page.get_by_role("button", name="Keyboard shortcuts").click()
    dialog.get_by_role("checkbox").check()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.keyboard.press("n")
    page.wait_for_url("**/releases/new")
    assert console == []


def test_page_rests_while_hidden_and_catches_up_when_seen(
    member: Page, product: Any, filled: dict[str, Any], console: list[str]
) -> None:
    page, asked = member, []
    page.goto(f"{product.url}/releases?q=1.4.4")
    page.locator("a.version").click()
    page.wait_for_url("**/releases/rel_*")  # until its scripts are there
    expect(page.get_by_text("Build failed").first).to_be_visible()
    page.on("request", lambda request: asked.append(request.url))
    hide(page, hidden=True)
    page.evaluate("htmx.trigger(document.getElementById('live'), 'wake')")
    page.evaluate("htmx.trigger(document.body, 'wake')")
    triggered_elsewhere(page, product)
    status = page.get_by_role("region", name="Status")
    expect(status).not_to_contain_text("Running")
    assert not [url for url in asked if "/live" in url]
    hide(page, hidden=False)
    expect(status).to_contain_text("Running", timeout=10_000)
    assert console == []


def hide(page: Page, *, hidden: bool) -> None:
    """As if another tab came to the front, or this one again."""
    page.evaluate(
        """hidden => {
            Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


def triggered_elsewhere(page: Page, product: Any) -> None:
    """The same person triggers a build in another tab."""
    other = page.context.new_page()
    other.goto(page.url)
    other.get_by_role("button", name="Trigger again").click()
    status = other.get_by_role("region", name="Status")
    expect(status).to_contain_text("Running", timeout=15_000)
    other.close()


def test_filters_are_folded_on_a_phone_alone(member: Page, product: Any) -> None:
    page = member
    page.goto(f"{product.url}/releases")
    platform, filters = page.get_by_label("Platform"), page.get_by_text("Filters")
    expect(platform).to_be_visible()
    expect(filters).to_be_hidden()
    page.set_viewport_size({"width": 390, "height": 800})
    expect(platform).to_be_hidden()
    filters.click()
    expect(platform).to_be_visible()


def test_filters_work_at_once_and_keep_the_focus(
    member: Page, product: Any, console: list[str]
) -> None:
    page = member
    page.goto(f"{product.url}/releases?tab=ready")
    state, found = page.get_by_label("Builds", exact=True), page.locator("#found")
    state.focus()
    state.select_option("failed")
    expect(found).to_contain_text("No release matches these filters")
    expect(state).to_be_focused()
    expect(page).to_have_url(f"{product.url}/releases?tab=ready&build=failed")
    expect(page.locator("#announcer")).to_have_text("Releases shown: 0")
    found.get_by_role("link", name="Remove filter: Builds: Did not succeed").click()
    page.get_by_role("searchbox").press_sequentially("1.4.3")
    expect(found.locator("a.version")).to_have_text(["1.4.3"])
    found.locator("a.version").click()
    page.go_back()
    expect(found.locator("a.version")).to_have_text(["1.4.3"])
    # The next user of this computer must not find our pages in the browser's storage.
    assert page.evaluate("sessionStorage.getItem('htmx-history-cache')") is None
    assert console == []


def test_a_row_is_as_good_as_its_link(member: Page, product: Any) -> None:
    page = member
    page.goto(f"{product.url}/releases?tab=ready&q=1.4.3")
    row, link = page.locator("tbody tr"), page.locator("a.version").get_attribute("href")
    with page.context.expect_page() as opened:
        row.locator("td").last.click(modifiers=["ControlOrMeta"], position={"x": 150, "y": 3})
    opened.value.wait_for_url(f"**{link}")
    row.locator("td").last.click(position={"x": 150, "y": 3})
    page.wait_for_url(f"**{link}")


def test_escape_closes_the_dialog_of_a_menu_and_then_the_menu(
    member: Page, product: Any, filled: dict[str, Any], console: list[str]
) -> None:
    page = member
    page.goto(f"{product.url}/releases/{filled['releaseId']}")
    menu = page.locator("#release-menu > summary")
    menu.click()
    item = page.get_by_role("button", name="Mute messages")
    item.click()
    dialog = page.get_by_role("dialog", name="Mute release")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(item).to_be_visible()
    page.keyboard.press("Escape")
    expect(item).to_be_hidden()
    assert console == []


def test_filters_work_without_javascript(browser: Browser, filled: dict[str, Any]) -> None:
    page = browser.new_page(java_script_enabled=False)
    stay_signed_in(page, filled["product"], filled["logins"]["Sign in"])
    page.goto(f"{filled['product'].url}/releases?tab=ready")
    page.get_by_label("Builds", exact=True).select_option("failed")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("#found")).to_contain_text("No release matches these filters")
    page.close()


def test_part_brings_the_promise_of_the_last_answer(
    member: Page, product: Any, filled: dict[str, Any]
) -> None:
    """The server makes promises on PostgreSQL only, so the answers are given here."""
    page, asked = member, []

    def answer(route: Route) -> None:
        asked.append(route.request.headers.get("live-promise"))
        route.fulfill(status=204, headers={"Live-Promise": f"promise {len(asked)}"})

    page.route(LIVE, answer)
    page.goto(f"{product.url}/releases/{filled['releaseId']}")
    for _ in range(3):
        with page.expect_response(LIVE) as response:
            page.evaluate("htmx.trigger(document.body, 'wake')")
        response.value.finished()
    assert asked[:3] == [None, "promise 1", "promise 2"]
