"""The command palette: what it finds, for whom, and that nothing of others is found."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from playwright.sync_api import Page, expect

from delivr.tenants.models import Role
from delivr.tests import factories
from delivr.tests.every_page import stay_signed_in
from releases.palette import MOST

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]


def found(client: Any, text: str = "") -> dict[str, str]:
    """Label and address of each line."""
    page = client.get("/palette", {"q": text})
    assert page.status_code == 200
    lines = re.findall(
        r'data-href="([^"]+)">\s*<span class="truncate">(.*?)</span>', page.content.decode()
    )
    return {label: href for href, label in lines}


@pytest.fixture
def viewer(tenant: Any, member_of: Any, client_for: Any) -> Any:
    return client_for(member_of(tenant, Role.VIEWER))


def test_releases_and_connections_are_found_by_any_part_of_their_names(
    tenant: Any, viewer: Any
) -> None:
    release = factories.ReleaseFactory(tenant=tenant, version="7.31.0")
    job = factories.PipelineFactory(tenant=tenant, job="/job/nightly-ios")
    slack = factories.SlackFactory(tenant=tenant, display_name="Team channels")
    assert found(viewer, "31")["7.31.0"] == f"/releases/{release.pk}"
    assert f"/integrations/pipelines/{job.pk}" in found(viewer, "NIGHTLY jenkins").values()
    assert f"/integrations/communication/{slack.pk}" in found(viewer, "slack").values()
    assert found(viewer, "nightly nothing") == {}


def test_a_marked_release_has_the_status_of_its_page(tenant: Any, viewer: Any) -> None:
    factories.ReleaseFactory(tenant=tenant, status="BUILD_COMPLETE", released_at=timezone.now())
    text = viewer.get("/palette").content.decode()
    assert "Released" in text
    assert "Ready for submission" not in text


def test_nothing_of_another_workspace_is_found(tenant: Any, viewer: Any) -> None:
    factories.ReleaseFactory(version="7.31.0")
    factories.PipelineFactory(job="/job/nightly-ios")
    gone = factories.SlackFactory(tenant=tenant, display_name="nightly")
    type(gone).objects.filter(pk=gone.pk).update(disconnected_at=gone.created_at)
    assert found(viewer, "31") == {}
    assert found(viewer, "nightly") == {}


def test_actions_are_those_of_the_role(tenant: Any, member_of: Any, client_for: Any) -> None:
    seen = {role: found(client_for(member_of(tenant, role))) for role in Role}
    assert "New release" in seen[Role.MEMBER]
    assert "New release" not in seen[Role.VIEWER]
    assert "/integrations/scm/new" in seen[Role.ADMIN].values()
    assert "/integrations/scm/new" not in seen[Role.MEMBER].values()


def test_every_line_leads_somewhere(tenant: Any, member_of: Any, client_for: Any) -> None:
    factories.ReleaseFactory(tenant=tenant)
    client = client_for(member_of(tenant, Role.OWNER))
    for label, address in found(client).items():
        assert client.get(address).status_code == 200, label


def test_search_is_bounded_and_its_text_is_no_markup(tenant: Any, viewer: Any) -> None:
    counts = []
    for number in (1, 3 * MOST):
        for _n in range(number):
            factories.ReleaseFactory(tenant=tenant)
            factories.SlackFactory(tenant=tenant, display_name="<b>1.x</b>")
        with CaptureQueriesContext(connection) as queries:
            lines = found(viewer, ".")
        counts.append(len(queries))
        assert len(lines) <= 6 * MOST
        assert "<b>1.x</b>" not in lines
    assert counts[0] == counts[1]
    assert found(viewer, "%\0_'\"" * 100) == {}


@pytest.mark.browser
def test_palette_goes_to_a_release_by_keyboard(
    page: Page, filled: dict[str, Any], console: list[str]
) -> None:
    product = filled["product"]
    stay_signed_in(page, product, filled["logins"]["Sign in"])
    page.goto(f"{product.url}/insights")
    page.keyboard.press("Control+k")
    box = page.get_by_role("combobox", name="Search releases")
    expect(box).to_be_focused()
    lines = page.get_by_role("listbox", name="Found").get_by_role("option")
    expect(lines.first).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowDown")
    second = lines.nth(1)
    expect(second).to_have_attribute("aria-selected", "true")
    expect(box).to_have_attribute("aria-activedescendant", str(second.get_attribute("id")))
    page.keyboard.type("1.4.4")
    page.keyboard.press("Enter")  # before the server has answered
    page.wait_for_url("**/releases/rel_*")
    expect(page).to_have_title(re.compile(r"^Build failed · 1\.4\.4 · delivr$"))
    page.keyboard.press("Control+k")
    expect(box).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Go to")).to_be_hidden()
    assert console == []
