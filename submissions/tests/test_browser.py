"""From "ready for submission" to "released" in both stores, in Chromium: a person uses the pages of
delivr, and the sandbox's control API plays Apple, Google and the days of a phased release.

The effects and the looks at the stores are carried out here, so that nothing has to be waited for.
"""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from delivr.effects import clock
from delivr.effects.models import Effect
from delivr.effects.runner import run_effect
from delivr.tests.browser import picture
from releases.models import Release
from releases.tests.pages import Setup
from sandbox import accounts
from sandbox.server import SandboxServer
from submissions import preflight, reading
from submissions.models import Preflight, Submission
from submissions.tests.conftest import run_all

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("transactional_db")]
STORES = {"appstore": "App Store", "play": "Play Store"}


@pytest.fixture
def connected(setup: Setup, sandbox: SandboxServer) -> Setup:
    setup.ios.issuer_id, setup.ios.key_id = accounts.APPLE_ISSUER_ID, accounts.APPLE_KEY_ID
    setup.ios.credentials = sandbox.accounts.apple_api_key
    setup.android.credentials = json.dumps(sandbox.accounts.google_service_account)
    for target in (setup.ios, setup.android):
        target.app_identifier = accounts.APP_IDENTIFIER
        target.save()
    return setup


class Walk:
    """A person in front of a release's page, and the stores behind it."""

    def __init__(self, page: Page, release: Release, setup: Setup, url: str, stores: str) -> None:
        self.page, self.release, self.setup = page, release, setup
        self.url, self.stores = url, stores
        self.store, self.count = "appstore", 0

    @property
    def card(self) -> Any:
        target = self.setup.ios if self.store == "appstore" else self.setup.android
        return self.page.locator(f"[aria-labelledby='store-{target.pk}']")

    @property
    def row(self) -> Submission:
        target = self.setup.ios if self.store == "appstore" else self.setup.android
        found: Submission = Submission.objects.get(target=target, is_current=True)
        return found

    def in_store(self, act: str, **facts: Any) -> Any:
        """Somebody does this in the store."""
        request = urllib.request.Request(  # noqa: S310 # our own loopback address
            f"{self.stores}/sandbox/api/{self.store}/acts/{act}",
            data=json.dumps(facts).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 # the same
            return json.load(answer)

    def open(self) -> None:
        self.page.goto(f"{self.url}/releases/{self.release.pk}")

    def work(self) -> None:
        """What workers do: effects, and a look at the store."""
        run_all(self.row)
        for effect in Effect.objects.open().filter(kind__startswith="store."):
            run_effect(effect.pk)
        Submission.objects.filter(pk=self.row.pk).update(read_at=clock.now())
        reading.read(self.row.pk)
        self.open()

    def submit(self, **fields: str) -> None:
        name = STORES[self.store]
        self.card.get_by_role("link", name=f"Submit to {name}").click()
        for label, value in fields.items():
            field = self.page.locator(f"#id_{label}")
            if field.evaluate("node => node.tagName") == "SELECT":
                field.select_option(value)
            else:
                field.fill(value)
        picture(self.page, f"submit-{self.store}")
        with self.page.expect_navigation():
            self.page.get_by_role("button", name="Submit", exact=True).click()
        expect(self.card).to_contain_text(f"Build {self.row.store_build}")
        self.work()

    def press(self, label: str) -> None:
        """A button, and then the one that confirms it."""
        self.card.get_by_role("button", name=label).first.click()
        dialog = self.page.locator("dialog[open]")
        with self.page.expect_navigation():
            dialog.get_by_role("button", name=label, exact=True).click()
        self.work()

    def sees(self, *words: str) -> None:
        for text in words:
            expect(self.card).to_contain_text(text)
        self.count += 1
        picture(self.page, f"{self.count:02d}-{self.store}")

    def sees_status(self, words: str) -> None:
        expect(self.page.get_by_label("Status").get_by_text(words).first).to_be_visible()


@pytest.fixture
def walk(
    page: Page,
    live_server: Any,
    owner: Any,
    client_for: Any,
    connected: Setup,
    release: Release,
    sandbox: SandboxServer,
) -> Walk:
    cookies = client_for(owner).cookies.items()
    page.context.add_cookies(
        [{"name": name, "value": one.value, "url": live_server.url} for name, one in cookies]
    )
    walk = Walk(page, release, connected, live_server.url, sandbox.url)
    quick = dict.fromkeys(("processing_seconds", "item_ready_seconds", "distribution_seconds"), 0)
    walk.in_store("settings", **quick, hidden_reads=0)
    walk.in_store("upload", version=release.version, number="245")
    walk.store = "play"
    walk.in_store("upload", version=release.version, number=245)
    for row in Preflight.objects.all():
        preflight.check(str(row.pk))
    walk.open()
    return walk


def test_from_ready_to_released_in_both_stores(walk: Walk, console: list[str]) -> None:
    walk.sees_status("Ready for submission")
    through_the_app_store(walk)
    through_google_play(walk)
    walk.sees_status("Released")
    assert console == []


def through_the_app_store(walk: Walk) -> None:
    walk.store = "appstore"
    walk.sees("2 things stand in the way", "Export compliance", "What is new")
    walk.submit(notes="[en-US]\nFaster.", uses_encryption="no")
    walk.sees("Waiting for review")
    walk.in_store("start-review")
    walk.work()
    walk.sees("In review")
    walk.in_store("decide", verdict="approve")
    walk.work()
    walk.sees("Approved")
    walk.press("Publish")
    walk.sees("Rolling out", "1 % of the users")
    walk.press("Pause")
    walk.sees("Paused")
    walk.press("Resume")
    walk.in_store("next-day")
    walk.work()
    walk.sees("2 % of the users", "day 2 of 7")
    for _day in range(6):
        walk.in_store("next-day")
    walk.work()
    walk.sees("Live")


def through_google_play(walk: Walk) -> None:
    walk.store = "play"
    walk.sees("Nothing stands in the way of a submission.")
    walk.submit(notes="[en-US]\nFaster.", shares="5, 20, 100")
    walk.sees("In review")
    walk.in_store("approve")
    walk.work()
    walk.sees("Rolling out", "5 % of the users")
    walk.sees_status("Rolling out")
    walk.press("Next step")
    walk.sees("20 % of the users")
    walk.press("Halt")
    walk.sees("Halted")
    walk.press("Resume")
    walk.press("Next step")
    walk.sees("Live")
