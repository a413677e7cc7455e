"""The pages in a real Chromium: they refresh, work, and are accessible."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from delivr.tests.accessibility import violations
from sandbox.chat import Message
from sandbox.tests.apple import Apple
from sandbox.tests.play import Play

pytestmark = pytest.mark.browser
NOTHING_CUT = (
    "[...document.querySelectorAll('.scroll')].every((n) => n.scrollWidth <= n.clientWidth)"
)


@pytest.fixture
def complaints(page: Page) -> list[str]:
    """What the browser writes to its console."""
    found: list[str] = []
    page.on("console", lambda message: found.append(message.text))
    page.on("pageerror", lambda error: found.append(str(error)))
    return found


@pytest.fixture
def busy(sandbox, jenkins, jira):
    """A release with running builds."""
    jenkins.post("/job/ios-prod/buildWithParameters?delay=0sec&VERSION=1.5.0")
    jenkins.post("/job/android-prod/buildWithParameters?VERSION=1.5.0")
    root = sandbox.state.slack.post(Message("C123", "", "📦 Release 1.5.0 created"))
    sandbox.state.slack.post(Message("C123", "", "🚀 started", thread_ts=root.ts))
    fields = {"project": {"key": "MOBILE"}, "issuetype": {"id": "10011"}, "summary": "1.5.0"}
    jira.post("/rest/api/3/issue", json={"fields": fields})
    sandbox.state.faults.add("status", provider="slack", count=3)
    apple, play = Apple(sandbox), Play(sandbox)
    apple.submitted()
    play.out(fraction=0.05)
    play.edit()
    for one in (apple, play):
        one.session.close()
    return sandbox


@pytest.mark.parametrize(
    "path", ["/", "/stores", "/mails", "/settings", "/repository", "/credentials"]
)
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_pages_are_accessible_and_fit(busy, page: Page, complaints, path, scheme, width):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{busy.url}{path}")
    assert violations(page, path) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(NOTHING_CUT)
    assert complaints == []


def test_the_board_refreshes_itself(busy, page: Page, complaints):
    page.goto(busy.url)
    busy.state.slack.post(Message("C456", "", "✅ Android build #512 complete"))
    expect(page.locator("#board")).to_contain_text("✅ Android build #512 complete")
    assert complaints == []


def test_a_person_ends_a_build(busy, page: Page):
    page.goto(busy.url)
    page.get_by_role("button", name="End build 245 as failure").click()
    expect(page.locator("#board")).to_contain_text("Failure")
    assert busy.state.jenkins.build("ios-prod", 245).result == "FAILURE"


def test_a_person_plays_apple_and_google(sandbox, page: Page, complaints):
    page.goto(f"{sandbox.url}/stores")
    apple = page.get_by_role("region", name="By hand in App Store Connect")
    apple.get_by_label("Version").first.fill("1.5.0")
    apple.get_by_label("Build number").fill("245")
    apple.get_by_role("button", name="Upload a build").click()
    page.get_by_role("button", name="Finish processing: 1.5.0 (245)").click()
    expect(page.locator("#board")).to_contain_text("Missing export compliance")
    page.get_by_role("button", name="Turn on: Managed publishing is on").click()
    expect(page.get_by_role("button", name="Turn off: Managed publishing is on")).to_be_visible()
    page.get_by_role("button", name="Set the share").click()
    expect(page.get_by_role("alert")).to_contain_text("no release on production is inProgress")
    assert complaints == []


def test_a_person_adds_a_fault_for_a_provider(sandbox, page: Page):
    page.goto(f"{sandbox.url}/settings")
    page.get_by_label("What goes wrong").select_option("drop_after")
    page.get_by_label("Where").select_option("jenkins")
    page.get_by_role("button", name="Switch on").click()
    expect(page.get_by_role("button", name="Switch all off")).to_be_visible()
    (fault,) = sandbox.state.faults.active()
    assert (fault["kind"], fault["provider"], fault["count"]) == ("drop_after", "jenkins", 1)
