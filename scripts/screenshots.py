"""`make screenshots`: a picture of every page in both colour schemes at three widths.

Starts the product as `make run` does, with a workspace that has data on every page, and writes
docs/screenshots/<page>-<width>-<scheme>.png. Arguments are names of pages; the default is all.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "delivr.settings_test")

from playwright.sync_api import Browser, Page, sync_playwright  # noqa: E402 # needs the path

from delivr.tests.browser import FLAGS, find_chromium  # noqa: E402
from delivr.tests.every_page import (  # noqa: E402
    DJANGOS,
    ERRORS,
    FOUND_IN_ADMIN,
    PAGES,
    SANDBOX,
    SIGNED_OUT,
    STAFF,
    fill,
    found,
    sign_in,
)
from delivr.tests.product import Product, started  # noqa: E402

TARGET = ROOT / "docs" / "screenshots"
WIDTHS = (1440, 768, 390)
SCHEMES: tuple[Any, ...] = ("light", "dark")
HEIGHT = 900


def take(page: Page, name: str, address: str) -> Iterator[Path]:
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": HEIGHT})
        page.goto(address, wait_until="networkidle")
        tall = page.evaluate("document.documentElement.scrollHeight")
        page.set_viewport_size(
            {"width": width, "height": max(tall, HEIGHT)}
        )  # fixed bars at its edges
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            target = TARGET / f"{name}-{width}-{scheme}.png"
            page.screenshot(path=str(target), full_page=True, animations="disabled")
            yield target


def shoot(browser: Browser, product: Product, wanted: set[str]) -> int:
    answer, count = fill(product), 0
    signed_out, signed_in, staff = (browser.new_page() for _n in range(3))
    sign_in(signed_in, product, answer["logins"]["Sign in"])
    sign_in(staff, product, answer["logins"]["Django admin"])
    invitation = {"invitation": answer["pages"].pop("invitation")}
    mine = PAGES | answer["pages"] | {"release-building": f"/releases/{answer['releaseId']}"}
    every = [
        (signed_out, product.url, SIGNED_OUT | ERRORS | invitation),
        (signed_out, product.sandbox_url, SANDBOX),
        (signed_in, product.url, mine | found(signed_in, product)),
        (staff, product.url, STAFF | DJANGOS | found(staff, product, FOUND_IN_ADMIN)),
    ]
    for page, url, pages in every:
        for name, path in pages.items():
            if not wanted or name in wanted:
                count += len(list(take(page, name, url + path)))
    return count


def main() -> None:
    TARGET.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        data = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        product = stack.enter_context(started(data))
        chromium = stack.enter_context(sync_playwright()).chromium
        browser = chromium.launch(executable_path=find_chromium(), args=FLAGS)
        count = shoot(browser, product, set(sys.argv[1:]))
        browser.close()
    print(f"{count} pictures in {TARGET}")


if __name__ == "__main__":
    main()
