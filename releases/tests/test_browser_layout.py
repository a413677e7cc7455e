"""What only a browser shows of the list and of a release: heights, sizes, what is in sight."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from delivr.tests import factories
from delivr.tests.accessibility import violations
from releases.models import Release

pytestmark = pytest.mark.browser
LOG = "\n".join(f"error: line {number} of the log" for number in range(30))
SIZES = {"runOnly": {"type": "rule", "values": ["target-size"]}, "rules": {}}
OVERFLOW = "document.documentElement.scrollHeight - document.documentElement.clientHeight"


@pytest.fixture
def signed_in(page: Page, live_server: Any, owner: Any, client_for: Any) -> Page:
    cookies = client_for(owner).cookies.items()
    page.context.add_cookies(
        [{"name": name, "value": one.value, "url": live_server.url} for name, one in cookies]
    )
    page.set_viewport_size({"width": 1440, "height": 900})
    return page


@pytest.fixture
def half_failed(setup: Any) -> Release:
    """iOS failed twice with a long log, Android is being built."""
    release: Release = setup.release()
    for job, status in ((setup.ios_job, "FAILURE"), (setup.android_job, "RUNNING")):
        part = release.pipelines.get(pipeline=job)
        for number in (1, 2):
            factories.BuildFactory(
                tenant=setup.tenant,
                release_pipeline=part,
                status=status if number == 2 else "FAILURE",
                number=240 + number,
                attempt=number,
                log_excerpt=LOG if status == "FAILURE" else "",
                started_at=timezone.now(),
            )
        part.build_status, part.build_number = status, 242
        part.save()
    Release.objects.update(status="BUILDING")
    return release


def top(page: Page, selector: str) -> float:
    """The distance of an element from the top of the content."""
    box = page.locator(selector).first.bounding_box()
    content = page.locator("main").bounding_box()
    assert box
    assert content
    return box["y"] - content["y"]


def test_builds_begin_high_and_a_failed_one_leaves_the_other_in_sight(
    signed_in: Page, live_server: Any, half_failed: Release, setup: Any
) -> None:
    page = signed_in
    page.goto(f"{live_server.url}/releases/{half_failed.pk}")
    assert top(page, ".build") <= 260
    expect(page.locator(f"#{setup.android_job.pk} h2")).to_be_in_viewport()
    lines = page.locator(".status__lines li")
    expect(lines).to_have_count(2)
    expect(lines.first.get_by_role("button", name="Trigger again")).to_be_in_viewport()
    expect(lines.last.get_by_role("button", name="Stop")).to_be_in_viewport()


def test_on_a_phone_builds_begin_high_too(
    signed_in: Page, live_server: Any, half_failed: Release
) -> None:
    page = signed_in
    page.set_viewport_size({"width": 390, "height": 844})
    for status in ("BUILDING", "BUILD_COMPLETE"):
        Release.objects.update(status=status)
        page.goto(f"{live_server.url}/releases/{half_failed.pk}")
        box = page.locator(".build").first.bounding_box()
        assert box
        assert box["y"] <= 520, status
    current = page.locator(".stepper [aria-current] .stepper__text")
    expect(current).to_have_text("Submission")
    assert current.evaluate("node => getComputedStyle(node).clipPath") == "none"  # in sight


def test_cancelling_is_behind_the_menu(
    signed_in: Page, live_server: Any, half_failed: Release
) -> None:
    page = signed_in
    page.goto(f"{live_server.url}/releases/{half_failed.pk}")
    cancel = page.get_by_role("button", name="Cancel release").first
    expect(cancel).to_be_hidden()
    page.get_by_text("More", exact=True).click()
    cancel.click()
    dialog = page.get_by_role("dialog", name="Cancel release")
    dialog.get_by_role("button", name="Cancel release").click()
    expect(page.get_by_text("This release was cancelled")).to_be_visible()


def test_everything_on_the_page_is_large_enough_for_a_finger(
    signed_in: Page, live_server: Any, half_failed: Release
) -> None:
    page = signed_in
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 844})
        page.goto(f"{live_server.url}/releases/{half_failed.pk}")
        for summary in page.locator("#live details > summary").all():
            summary.click()
        assert violations(page, str(width), **SIZES) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_rows_are_44_pixels_high_and_a_short_page_does_not_scroll(
    signed_in: Page, live_server: Any, half_failed: Release
) -> None:
    page = signed_in
    page.goto(f"{live_server.url}/releases")
    box = page.locator("tbody tr").bounding_box()
    assert box
    assert 44 <= box["height"] < 45
    assert page.evaluate(OVERFLOW) == 0
