"""Chromium for pytest-playwright: that of the system, with options for tests and for root."""

from __future__ import annotations

import os
import shutil
from typing import Any

import pytest
from playwright.sync_api import Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--no-sandbox",  # Chromium's own sandbox does not work for root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    # Otherwise it would use the network:
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--metrics-recording-only",
    "--disable-breakpad",
    # The last two start a page of the address bar's own with each window.
    "--disable-features=OptimizationHints,MediaRouter,Translate,WebUIOmniboxPopup,WebUIOmniboxAimPopup",
]


def find_chromium() -> str | None:
    """The program in CHROMIUM, or the first one on the path."""
    given = os.environ.get("CHROMIUM")
    return shutil.which(given) if given else next(filter(None, map(shutil.which, NAMES)), None)


def picture(page: Page, name: str) -> None:
    """One of the whole page, in the folder that PICTURES names; nobody looks at it otherwise."""
    if folder := os.environ.get("PICTURES"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Overrides pytest-playwright's; without Chromium its tests are skipped."""
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium found: install it or set CHROMIUM")
    # Playwright's synchronous API runs an event loop, in which Django refuses database access.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    return {**browser_type_launch_args, "executable_path": path, "args": FLAGS}
