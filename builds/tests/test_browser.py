"""The whole flow in Chromium, from sign-up through the wizard to "Ready for submission", with the
keyboard alone; only the sandbox's pages are clicked.

Everything runs as with `make run`: the real web server, sweeper and sandbox.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from delivr.tests.browser import picture
from delivr.tests.keyboard import enter, write

pytestmark = pytest.mark.browser
PASSWORD = "correct-horse-battery-staple"
ENDLESS = """() => document.getAnimations()
    .filter(each => each.effect.getComputedTiming().endTime === Infinity).length"""
# Records what a screen reader announces from now on.
LISTEN = """() => {
    const region = document.getElementById("release-announcer");
    window.said = [];
    const note = () => said.push(region.textContent.trim());
    new MutationObserver(note).observe(region, { childList: true });
}"""


class Walk:
    """The actions of a person in the browser, with a screenshot of each page."""

    def __init__(self, page: Page, product: Any) -> None:
        self.page, self.product = page, product
        self.count = 0
        self.jenkins = page.context.new_page()  # the sandbox, in a tab of its own
        page.bring_to_front()

    def picture(self, name: str) -> None:
        self.count += 1
        picture(self.page, f"{self.count:02d}-{name}")

    def press(self, name: str) -> None:
        enter(self.page, self.page.get_by_role("main").get_by_role("button", name=name, exact=True))

    def follow(self, name: str) -> None:
        links = self.page.get_by_role("main").get_by_role("link", name=name, exact=True)
        enter(self.page, links.first)

    def write(self, label: str, text: str) -> None:
        write(self.page, self.page.get_by_label(label, exact=True), text)

    def sign_up(self, email: str) -> None:
        page = self.page
        page.goto(f"{self.product.url}/accounts/signup/")
        self.write("Email", email)
        self.write("Password", PASSWORD)
        self.write("Password (again)", PASSWORD)
        self.write("Workspace", "Acme")
        self.picture("sign-up")
        self.press("Create account")
        expect(page.get_by_role("heading", level=1)).to_have_text("Connect GitHub or GitLab")

    def connect_the_sandbox(self, name: str) -> None:
        """Fill in the open form with the sandbox's values and submit it."""
        self.follow("Use the sandbox's values")
        self.picture(f"{name}-form")
        self.press("Connect and verify")

    def expect_connected(self, name: str) -> None:
        expect(self.page.get_by_text("is connected and working").first).to_be_visible()
        self.picture(name)


@pytest.fixture
def walk(page: Page, product: Any) -> Walk:
    return Walk(page, product)


def test_from_sign_up_to_ready_for_submission(walk: Walk, console: list[str]) -> None:
    page = walk.page
    walk.sign_up("walker@example.com")

    walk.connect_the_sandbox("github")
    walk.expect_connected("github")
    walk.follow("Continue to Targets")

    walk.connect_the_sandbox("app-store")
    walk.expect_connected("app-store")
    walk.follow("Add Play Store")
    walk.connect_the_sandbox("play-store")
    walk.expect_connected("play-store")
    walk.follow("Continue to Pipelines")

    for number, job in enumerate(("ios-prod", "android-prod")):
        if number:
            walk.follow("Add Jenkins")
        walk.connect_the_sandbox(job)
        walk.expect_connected(job)
        hook = webhook_of(page)
        let_jenkins_report(walk, job, hook)
        walk.follow("Continue")
    walk.follow("Continue to Messages")

    walk.connect_the_sandbox("slack")
    walk.expect_connected("slack")
    walk.follow("Continue to Jira")
    walk.connect_the_sandbox("jira")
    walk.expect_connected("jira")
    walk.follow("Finish setup")
    expect(page.get_by_role("heading", level=1)).to_have_text("Setup complete")
    walk.picture("setup-complete")

    create_release(walk)
    trigger_and_finish(walk)
    read_slack_and_jira(walk)
    assert console == []


def webhook_of(page: Page) -> dict[str, str]:
    """The webhook address and secret, which the page shows once."""
    text = page.get_by_role("main").inner_text()
    address = re.search(r"http\S+/api/v1/webhooks/jenkins/\w+", text)
    secret = re.search(r"whsec_\S+", text)
    assert address
    assert secret
    return {"address": address[0], "secret": secret[0]}


def let_jenkins_report(walk: Walk, job: str, hook: dict[str, str]) -> None:
    """Enter the address and the secret into the job, as a Jenkins administrator does."""
    jenkins = walk.jenkins
    jenkins.bring_to_front()
    jenkins.goto(f"{walk.product.sandbox_url}/settings")
    settings = jenkins.locator("details", has=jenkins.locator("summary", has_text=job))
    if settings.get_attribute("open") is None:
        settings.locator("summary").click()
    form = settings.locator("form")
    form.get_by_label("Webhook address").fill(hook["address"])
    form.get_by_label("Webhook secret").fill(hook["secret"])
    form.get_by_label("How it reports").select_option("signed")
    form.get_by_label("Builds finish automatically after").fill("")
    form.get_by_role("button", name="Save").click()
    expect(settings.locator("summary")).to_contain_text("signed")
    walk.page.bring_to_front()


def create_release(walk: Walk) -> None:
    page = walk.page
    page.goto(f"{walk.product.url}/releases")
    walk.picture("no-releases")
    walk.follow("New release")
    walk.write("Version", "1.5.0")
    walk.picture("new-release")
    walk.press("Create release")
    expect(page.get_by_role("heading", level=1)).to_contain_text("1.5.0")
    expect(page.get_by_text("MOBILE-1", exact=True)).to_be_visible()
    expect(page.get_by_text("MOBILE-2", exact=True)).to_be_visible()
    walk.picture("release-created")


def trigger_and_finish(walk: Walk) -> None:
    """Trigger both builds, end them in Jenkins, and see the page update by itself."""
    page = walk.page
    walk.press("Trigger all builds")
    expect(page.get_by_text("#245").filter(visible=True).first).to_be_visible(timeout=30_000)
    expect(page.get_by_text("#512").filter(visible=True).first).to_be_visible(timeout=30_000)
    walk.picture("building")
    expect_stillness_where_asked_for(page)
    page.evaluate(LISTEN)
    jenkins = walk.jenkins
    jenkins.bring_to_front()
    jenkins.goto(walk.product.sandbox_url)
    for number in (245, 512):
        end = jenkins.get_by_role("button", name=f"End build {number} as success")
        end.click()
        expect(end).to_have_count(0)
    page.bring_to_front()
    status = page.get_by_label("Status")
    expect(status.get_by_text("Ready for submission")).to_be_visible(timeout=30_000)
    expect(page.get_by_text("s3://builds/ios-245.ipa")).to_be_visible(timeout=30_000)
    walk.picture("ready-for-submission")
    said = [text for text in page.evaluate("said") if "Ready for submission" in text]
    assert said == ["Ready for submission. All builds are ready: submit them to the stores."]
    page.goto(f"{walk.product.url}/activity/received")
    expect(page.get_by_text("Applied").first).to_be_visible()
    walk.picture("received")


def expect_stillness_where_asked_for(page: Page) -> None:
    assert page.evaluate(ENDLESS) > 0, "a running build has an animation"
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate(ENDLESS) == 0
    page.emulate_media(reduced_motion="no-preference")


def read_slack_and_jira(walk: Walk) -> None:
    page = walk.page
    page.goto(walk.product.sandbox_url)
    for text in (
        "✅ iOS build #245 complete",
        "✅ Android build #512 complete",
        "🏁 Release 1.5.0: all builds complete, ready for submission",
        "Release 1.5.0: iOS",
        "Release 1.5.0: Android",
    ):
        expect(page.get_by_text(text).first).to_be_visible(timeout=30_000)
    walk.picture("sandbox")
