"""Every page of the product, with something to show on each: for pictures and for axe."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from playwright.sync_api import Page

from delivr.tests.product import Product, started

PAGES = {
    "releases": "/releases",
    "releases-completed": "/releases?tab=completed",
    "releases-nothing-found": "/releases?q=nothing",
    "release-new": "/releases/new",
    "setup-done": "/setup/done",
    "setup-scm": "/setup/scm",
    "setup-targets": "/setup/targets",
    "setup-pipelines": "/setup/pipelines",
    "setup-communication": "/setup/communication",
    "setup-tickets": "/setup/tickets",
    "integrations": "/integrations",
    "integration-new": "/integrations/pipelines/new",
    "activity-sent": "/activity",
    "activity-received": "/activity/received",
    "activity-healed": "/activity/healed",
    "insights": "/insights",
    "members": "/settings/",
    "tokens": "/settings/tokens",
    "workspace": "/settings/workspace",
    "audit": "/settings/audit",
    "security": "/settings/security",
    "workspace-new": "/settings/new-workspace",
    "account-email": "/accounts/email/",
    "account-password": "/accounts/password/change/",
    "account-second-factor": "/accounts/2fa/",
    "account-keys": "/accounts/2fa/webauthn/",
    "account-time-zone": "/accounts/time-zone",
    "account-sessions": "/accounts/sessions/",
    "account-confirm": "/accounts/reauthenticate/",
    "second-factor-needed": "/accounts/second-factor",
}
STAFF = {"design": "/design"}
FOUND_ON = {
    "release-complete": ("/releases?tab=completed", "a.version"),
    "release-failed": ("/releases?q=1.4.4", "a.version"),
    "release-cancelled": ("/releases?tab=cancelled", "a.version"),
    "effect": ("/activity", "main a[href*='/eff_']"),
    "delivery": ("/activity/received", "main a[href*='/whd_']"),
    "integration-github": ("/integrations", "main a[href*='/scm_']"),
    "integration-jenkins": ("/integrations", "main a[href*='/pipeline_']"),
    "integration-slack": ("/integrations", "main a[href*='/comm_']"),
    "integration-jira": ("/integrations", "main a[href*='/ticket_']"),
}
SIGNED_OUT = {
    "sign-in": "/accounts/login/",
    "sign-up": "/accounts/signup/",
    "password-reset": "/accounts/password/reset/",
}


def fill(product: Product) -> dict[str, Any]:
    """Let the demo connect the sandbox and build; what it says of logins and ids."""
    url = product.sandbox_url
    env = product.env | {
        "SANDBOX_URL": url,
        "GITHUB_API_URL": f"{url}/github",
        "SLACK_API_URL": f"{url}/slack/api/",
        "APP_STORE_CONNECT_URL": f"{url}/appstore",
        "GOOGLE_PLAY_URL": f"{url}/play",
        "GOOGLE_TOKEN_URL": f"{url}/google/token",
        "OUTBOUND_ALLOW": url.removeprefix("http://"),
    }
    command = [sys.executable, "manage.py", "demo", "--connected", "--history", "--json"]
    told = subprocess.run(
        command, cwd=settings.BASE_DIR, env=env, check=True, stdout=subprocess.PIPE, text=True
    )
    answer: dict[str, Any] = json.loads(told.stdout.splitlines()[-1])
    return answer


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A product of its own with a connected workspace: `product`, `logins`, `releaseId`."""
    with started(tmp_path_factory.mktemp("filled")) as product:
        yield {"product": product, **fill(product)}


def sign_in(page: Page, product: Product, login: dict[str, str]) -> None:
    page.goto(f"{product.url}/accounts/login/")
    page.get_by_label("Email").fill(login["email"])
    page.get_by_label("Password", exact=True).fill(login["password"])
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{product.url}/**")


def found(page: Page, product: Product) -> dict[str, str]:
    """Pages of single things, by following the first link to one."""
    addresses = {}
    for name, (start, selector) in FOUND_ON.items():
        page.goto(product.url + start)
        link = page.locator(selector).first
        if link.count():
            addresses[name] = str(link.get_attribute("href"))
    return addresses
