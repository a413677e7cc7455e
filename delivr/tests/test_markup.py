"""No text becomes markup and no URL a script, on any page: rows contain texts that even the forms
would refuse, and every page is requested."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from delivr.tenants.models import User
from delivr.tests.factories import give_second_factor
from delivr.tests.sample_workspace import SampleWorkspace, build_workspace
from delivr.tests.test_walk import ROUTES, addresses, addresses_of_libraries, body_of
from delivr.tests.test_walk import signed_in as session_of
from delivr.tests.walk_table import EVERYBODY, OWNER, TABLE
from integrations.setup import SECTIONS
from releases.models import Release

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite, pytest.mark.slow]

LINK = re.compile(r"""(href|src|action|formaction|hx-\w+)=["']?\s*javascript:""")
TAG = "'\"><b id=k7>"
FOUND = (200, 204, 286)  # the last one stops the polling
RAW, SHOWN = "<b id=k7>", "&lt;b id=k7&gt;"
SHOWING = [
    "",
    "activity",
    "activity/effects/<slug:effect_id>",
    "activity/received",
    "activity/received/<slug:delivery_id>",
    "insights",
    "integrations",
    "integrations/<family:family>/<str:connection_id>",
    "integrations/communication/<str:endpoint_id>/log",
    "releases",
    "releases/<slug:release_id>",
    "releases/new",
    "settings/",
    "settings/audit",
    "settings/tokens",
    "settings/workspace",
    "setup/<family:family>",
]


@pytest.fixture
def tagged(db: None) -> SampleWorkspace:
    """A workspace in which every text contains a tag, even where forms would refuse it."""
    workspace = build_workspace(TAG)
    check = {"name": TAG, "ok": False, "code": TAG, "message": TAG, "hint": TAG, "level": "ERROR"}
    for connection in _connections(workspace):
        connection.checks = [{**check, "is_temporary": False}]
        connection.save(update_fields=["checks"])
    return workspace


def _connections(workspace: SampleWorkspace) -> Iterator[Any]:
    for step in SECTIONS:
        yield from step.model.objects.for_tenant(workspace.tenant)


def page_routes() -> list[str]:
    return [
        route
        for route in ROUTES
        if route in TABLE
        and not route.startswith(("api/", "^"))
        and EVERYBODY < TABLE[route].get("GET", EVERYBODY) <= OWNER
    ]


def test_no_page_treats_text_as_markup(tagged: SampleWorkspace) -> None:
    client = session_of(tagged.users["OWNER"])
    showing = set()
    for route in page_routes():
        for address, _unknown in addresses(route, tagged):
            answer = client.get(address, follow=True)
            text = body_of(answer)
            assert answer.status_code in FOUND, (address, answer.status_code)
            if answer["Content-Type"].startswith("text/html"):
                assert RAW not in text, (address, text[text.find(RAW) - 300 :][:400])
                showing |= {route} if SHOWN in text else set()
    assert [route for route in SHOWING if route not in showing] == []


def test_no_page_of_accounts_or_admin_treats_text_as_markup(tagged: SampleWorkspace) -> None:
    root = User.objects.create_superuser(f"root{TAG}@example.com")
    give_second_factor(root)
    showing = 0
    for client, prefix in (
        (session_of(root), "admin/"),
        (session_of(tagged.users["OWNER"]), "accounts/"),
    ):
        for address in addresses_of_libraries(prefix, tagged):
            answer = client.get(address)
            assert answer.status_code < 500, address
            text = body_of(answer)
            assert RAW not in text, (address, text[text.find(RAW) - 300 :][:400])
            showing += SHOWN in text
    assert showing > 20


def test_no_page_links_to_a_script(tagged: SampleWorkspace) -> None:
    """Not even if a row contains a URL that every operation would refuse."""
    for model in {type(row) for row in _rows(tagged)}:
        names = [f.name for f in model._meta.concrete_fields if f.name.endswith("url")]
        for name in names:
            model.objects.for_tenant(tagged.tenant).update(**{name: "javascript:k7()"})
    client = session_of(tagged.users["OWNER"])
    for route in page_routes():
        for address, _unknown in addresses(route, tagged):
            text = body_of(client.get(address, follow=True))
            assert not LINK.search(text), address


def _rows(workspace: SampleWorkspace) -> Iterator[Any]:
    yield from _connections(workspace)
    release = Release.objects.for_tenant(workspace.tenant).get()
    yield release
    yield from release.targets.all()
    for pipeline in release.pipelines.all():
        yield pipeline
        yield from pipeline.builds.all()
