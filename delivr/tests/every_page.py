"""Every page of the product with content, for screenshots and for axe."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from playwright.sync_api import Page, expect

from delivr.run.up import addresses
from delivr.tests.product import Product, started

PAGES = {
    "releases": "/releases",
    "releases-done": "/releases?tab=done",
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
    "activity-sent-failed": "/activity?state=DEAD",
    "activity-received": "/activity/received",
    "activity-polled": "/activity/polled",
    "insights": "/insights",
    "members": "/settings/",
    "tokens": "/settings/tokens",
    "workspace": "/settings/workspace",
    "audit": "/settings/audit",
    "security": "/settings/security",
    "message-settings": "/settings/messages",
    "notifications": "/settings/notifications",
    "release-settings": "/settings/releases",
    "workspace-new": "/settings/new-workspace",
    "account-email": "/accounts/email/",
    "account-password": "/accounts/password/change/",
    "account-second-factor": "/accounts/2fa/",
    "account-keys": "/accounts/2fa/webauthn/",
    "account-profile": "/accounts/profile",
    "account-time-zone": "/accounts/time-zone",
    "account-sessions": "/accounts/sessions/",
    "account-confirm": "/accounts/reauthenticate/",
    "second-factor-needed": "/accounts/second-factor",
    "api": "/api/v1/docs",
    "api-guide": "/api/v1/docs/guide",
    "api-connections": "/api/v1/docs/connections",
    "api-releases": "/api/v1/docs/releases?language=python",
}
STAFF = {
    "design": "/design",
    "admin": "/admin/",
    "admin-effects": "/admin/effects/effect/",
}
# Django's own pages, where we choose little more than columns: only for screenshots.
DJANGOS = {
    "admin-effects-failed": "/admin/effects/effect/?state__exact=DEAD",
    "admin-deliveries": "/admin/builds/webhookdelivery/",
    "admin-builds": "/admin/builds/build/",
    "admin-releases": "/admin/releases/release/",
    "admin-pipelines": "/admin/integrations/pipelineintegration/",
    "admin-members": "/admin/tenants/membership/",
    "admin-audit": "/admin/audit/auditevent/",
}
FOUND_IN_ADMIN = {
    "admin-effect": ("/admin/effects/effect/?state__exact=DEAD", "#result_list tbody th a"),
    "admin-delivery": ("/admin/builds/webhookdelivery/", "#result_list tbody th a"),
    "admin-build": ("/admin/builds/build/", "#result_list tbody th a"),
    "admin-release": ("/admin/releases/release/", "#result_list tbody th a"),
}
# `sandbox/tests/test_browser.py` checks these with axe.
SANDBOX = {
    "sandbox": "/",
    "sandbox-stores": "/stores",
    "sandbox-settings": "/settings",
    "sandbox-repository": "/repository",
    "sandbox-credentials": "/credentials",
}
ERRORS = {"error-not-found": "/nothing-here", "invitation-dead": "/accounts/invitations/used-up"}
FOUND_ON = {
    "message-preview": ("/settings/messages", "main a[href$='/preview']"),
    "release-complete": ("/releases?tab=ready", "a.version"),
    "release-failed": ("/releases?q=1.4.4", "a.version"),
    "release-released": ("/releases?tab=done&q=1.4.0", "a.version"),
    "release-cancelled": ("/releases?tab=done&q=1.4.1", "a.version"),
    "effect": ("/activity", "main a[href*='/eff_']"),
    "effect-failed": ("/activity?state=DEAD", "main a[href*='/eff_']"),
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


SESSIONS: dict[tuple[str, str], Any] = {}  # by address and email
TROUBLES = "import django; django.setup(); from delivr.tests.troubles import main; main()"


def fill(product: Product) -> dict[str, Any]:
    """Let the demo connect the sandbox and build, then add problems; returns logins, ids, URLs."""
    env = product.env | addresses(product.data_dir)
    answer = _run_json(product.env, "manage.py", "demo", "--connected", "--history", "--json")
    return {**answer, "pages": _run_json(env, "-c", TROUBLES)}


def _run_json(env: dict[str, str], *command: str) -> dict[str, Any]:
    """The JSON in the last line of a Python program's output."""
    result = subprocess.run(
        [sys.executable, *command],
        cwd=settings.BASE_DIR,
        env=env,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    answer: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return answer


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> Iterator[dict[str, Any]]:
    """A running product with a connected workspace: `product`, `logins`, `releaseId`."""
    with started(tmp_path_factory.mktemp("filled"), migrated) as product:
        yield {"product": product, **fill(product)}


def sign_in(page: Page, product: Product, login: dict[str, str]) -> None:
    page.goto(f"{product.url}/accounts/login/")
    page.get_by_label("Email").fill(login["email"])
    page.get_by_label("Password", exact=True).fill(login["password"])
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{product.url}/**")
    expect(page.locator("#messages .toast")).to_have_count(0)  # signing in needs no words


def stay_signed_in(page: Page, product: Product, login: dict[str, str]) -> None:
    """With the session of an earlier test, if there is one: no page is open then."""
    earlier = SESSIONS.get((product.url, login["email"]))
    if earlier:
        page.context.add_cookies(earlier)
        return
    sign_in(page, product, login)
    # What scripts store, such as the time zone, belongs to this browser alone.
    found = [cookie for cookie in page.context.cookies() if cookie["httpOnly"]]
    SESSIONS[product.url, login["email"]] = found


def found(
    page: Page, product: Product, on: Mapping[str, tuple[str, str]] = FOUND_ON
) -> dict[str, str]:
    """Pages of single objects, found by following the first link to one."""
    addresses = {}
    for name, (start, selector) in on.items():
        page.goto(product.url + start)
        link = page.locator(selector).first
        if link.count():
            addresses[name] = str(link.get_attribute("href"))
    return addresses
