"""Chromium for pytest-playwright: the one of the system, quiet and able to run as root."""

from __future__ import annotations

import os
import shutil
from typing import Any

import pytest
from playwright.sync_api import Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--no-sandbox",  # root may not use Chromium's own sandbox
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    # It would reach for the network by itself:
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--metrics-recording-only",
    "--disable-breakpad",
    "--disable-features=OptimizationHints,MediaRouter,Translate",
]


def find_chromium() -> str | None:
    """The program of CHROMIUM, or the first one on the path."""
    given = os.environ.get("CHROMIUM")
    return shutil.which(given) if given else next(filter(None, map(shutil.which, NAMES)), None)


def picture(page: Page, name: str) -> None:
    """One of the whole page, in the folder that PICTURES names; nobody looks at it otherwise."""
    if folder := os.environ.get("PICTURES"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Overrides pytest-playwright's; without a Chromium its tests are skipped."""
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium found: install it or set CHROMIUM")
    # Playwright's synchronous API runs an event loop, in which Django refuses the database.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    return {**browser_type_launch_args, "executable_path": path, "args": FLAGS}
