"""Second factors in Chromium, with a virtual key; nothing violates the content security policy.

`delivr/tests/test_every_page.py` looks at the pages that need none of these steps.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable
from typing import Any, Literal

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from playwright.sync_api import Locator, Page, expect

from delivr.tests.accessibility import violations_in_both_schemes
from delivr.tests.browser import picture

pytestmark = pytest.mark.browser
PASSWORD = "correct-horse-battery-staple"
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


class Member:
    """A user with a browser. Passkeys only work on http://localhost, not on 127.0.0.1."""

    def __init__(self, page: Page, url: str, email: str) -> None:
        self.page, self.email = page, email
        self.url = url.replace("127.0.0.1", "localhost")

    def go(self, path: str) -> None:
        self.page.goto(self.url + path)

    def press(self, name: str) -> None:
        self._lead_on(self.page.get_by_role("main").get_by_role("button", name=name, exact=True))

    def follow(self, name: str) -> None:
        self._lead_on(self.page.get_by_role("main").get_by_role("link", name=name, exact=True))

    def _lead_on(self, place: Locator) -> None:
        """Click, and wait until the next page has loaded: a click alone does not wait for it."""
        with self.page.expect_navigation():
            place.click()

    def heading(self, text: str) -> None:
        expect(self.page.get_by_role("heading", level=1)).to_have_text(text)

    def picture(self, name: str) -> None:
        """axe has no complaints; with PICTURES, screenshots in both widths and schemes."""
        if os.environ.get("PICTURES"):
            for scheme, width in itertools.product(SCHEMES, (390, 1440)):
                self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                self.page.set_viewport_size({"width": width, "height": 900})
                picture(self.page, f"{name}-{width}-{scheme}")
        self.page.set_viewport_size({"width": 1440, "height": 900})
        assert violations_in_both_schemes(self.page, name) == []

    def sign_up(self) -> None:
        self.go("/accounts/signup/")
        self.page.get_by_label("Workspace", exact=True).fill("Acme")
        self.page.get_by_label("Email", exact=True).fill(self.email)
        self.page.get_by_label("Password", exact=True).fill(PASSWORD)
        self.page.get_by_label("Password (again)", exact=True).fill(PASSWORD)
        self.press("Create account")
        self.heading("Connect GitHub or GitLab")

    def sign_out(self) -> None:
        self.page.context.clear_cookies()

    def type_password(self) -> None:
        self.go("/accounts/login/")
        self.page.get_by_label("Email", exact=True).fill(self.email)
        self.page.get_by_label("Password", exact=True).fill(PASSWORD)
        self.press("Sign in")

    def confirm(self) -> None:
        self.heading("Confirm that it is you")
        self.page.get_by_label("Password", exact=True).fill(PASSWORD)
        self.press("Continue")


@pytest.fixture
def member(page: Page, product: Any) -> Callable[[str], Member]:
    def make(name: str) -> Member:
        who = Member(page, product.url, f"{name}@example.com")
        who.sign_up()
        return who

    return make


@pytest.fixture
def virtual_key(page: Page) -> None:
    """A key without a person: https://chromedevtools.github.io/devtools-protocol/tot/WebAuthn/"""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    session.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": True,
                "automaticPresenceSimulation": True,
            }
        },
    )


def code_of(secret: str) -> str:
    """The code of the app; waits for the next one if this one is about to expire."""
    if (left := 30 - time.time() % 30) < 5:
        time.sleep(left)
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30))


def test_app_is_set_up_and_asked_for(
    member: Callable[[str], Member], page: Page, console: list[str]
) -> None:
    ada = member("ada.app")
    ada.go("/accounts/2fa/")
    ada.follow("Set up an app")
    ada.confirm()
    ada.heading("Set up an authenticator app")
    assert page.evaluate("document.querySelector('.qr').naturalWidth") > 100
    ada.picture("app")
    secret = page.locator("#totp-secret").inner_text()
    page.get_by_label("Authenticator code").fill(code_of(secret))
    ada.press("Turn on")
    ada.heading("Recovery codes")
    ada.picture("recovery-codes")
    codes = page.locator(".recovery-codes code").all_inner_texts()
    assert len(codes) == 10
    expect(page.get_by_role("button", name="Print")).to_be_visible()

    ada.sign_out()
    ada.type_password()
    ada.heading("Second factor")
    ada.picture("code")
    page.get_by_label("Code", exact=True).fill("000000")
    ada.press("Sign in")
    expect(page.get_by_text("Incorrect code.", exact=True)).to_be_visible()
    page.get_by_label("Code", exact=True).fill(codes[0])
    ada.press("Sign in")
    ada.heading("Connect GitHub or GitLab")
    ada.go("/accounts/2fa/")
    ada.picture("factor-app")
    assert console == []


@pytest.mark.usefixtures("virtual_key")
def test_passkey_signs_in_without_and_after_a_password(
    member: Callable[[str], Member], page: Page, console: list[str]
) -> None:
    ada = member("ada.key")
    ada.go("/accounts/2fa/")
    ada.follow("Add a key")
    ada.confirm()
    ada.heading("Add a passkey or security key")
    page.get_by_label("Passwordless").check()
    ada.picture("key-add")
    ada.press("Use the key")
    ada.heading("Recovery codes")
    ada.go("/accounts/2fa/webauthn/")
    expect(page.get_by_text("Signs in without a password")).to_be_visible()
    ada.picture("keys")

    ada.sign_out()
    ada.go("/accounts/login/")
    ada.press("Use a passkey")
    ada.heading("Connect GitHub or GitLab")

    ada.sign_out()
    ada.type_password()
    ada.heading("Second factor")
    ada.press("Use a passkey or security key")
    ada.heading("Connect GitHub or GitLab")
    assert console == []


def test_page_says_why_no_key_answers(
    member: Callable[[str], Member], page: Page, product: Any
) -> None:
    ada = member("ada.none")
    ada.url = product.url  # browsers offer no passkeys for IP addresses
    ada.type_password()
    ada.go("/accounts/2fa/webauthn/add/")
    ada.confirm()
    page.get_by_role("button", name="Use the key", exact=True).click()  # it stays on the page
    expect(page.get_by_role("alert")).to_contain_text("only on https pages")


def test_workspace_requires_it(
    member: Callable[[str], Member], page: Page, console: list[str]
) -> None:
    ada = member("ada.rule")
    ada.go("/settings/security")
    ada.picture("rule-without")
    ada.follow("Set up a second factor")
    ada.follow("Set up an app")
    ada.confirm()
    page.get_by_label("Authenticator code").fill(code_of(page.locator("#totp-secret").inner_text()))
    ada.press("Turn on")
    ada.go("/settings/security")
    ada.press("Require it for owners and admins")
    ada.picture("rule-on")
    ada.go("/accounts/2fa/")
    ada.follow("Turn off…")
    ada.picture("app-off")
    ada.press("Turn off")
    ada.go("/activity")
    ada.heading("A second factor is required")
    ada.picture("needed")
    assert console == []


def test_deletion_that_is_held_and_lockout(
    member: Callable[[str], Member], page: Page, console: list[str]
) -> None:
    ada = member("ada.account")
    ada.go("/accounts/delete")
    ada.confirm()
    ada.heading("Delete your account")
    ada.picture("delete-held")
    assert console == []

    ada.sign_out()
    for _ in range(5):
        ada.go("/accounts/login/")
        page.get_by_label("Email", exact=True).fill(ada.email)
        page.get_by_label("Password", exact=True).fill("wrong")
        ada.press("Sign in")
    ada.heading("Too many attempts")
    ada.picture("locked-out")


def test_page_of_the_api_keeps_to_the_content_policy(
    page: Page, product: Any, console: list[str]
) -> None:
    page.goto(f"{product.url}/api/v1/docs")
    page.get_by_role("link", name="Trigger builds").click()
    operation = page.get_by_role("region", name="Trigger builds", exact=True)
    expect(operation).to_be_in_viewport()
    operation.get_by_text("Errors", exact=True).click()
    expect(operation.get_by_text("build_in_progress", exact=True)).to_be_visible()
    page.get_by_role("link", name="Python", exact=True).click()
    expect(operation.get_by_role("region", name="Python · Trigger builds")).to_contain_text(
        "requests"
    )
    assert console == []
