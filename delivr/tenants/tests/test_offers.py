"""No page offers a role what ends in a 403: follows every link, checks the role for every form."""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from django.test import Client
from django.urls import resolve

from delivr.effects.models import EffectState
from delivr.tenants.inviting import invite
from delivr.tenants.models import Role
from delivr.tests import factories
from releases.models import ReleaseStatus

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite, pytest.mark.slow]

LINK = re.compile(r'(?:href|hx-get)="([^"]+)"')
FORM = re.compile(r'<form\b[^>]*\bmethod="post"[^>]*>')
ACTION = re.compile(r'\baction="([^"]*)"')
# Pages that everybody has, and pages that would end the crawl's session.
OUTSIDE = ("/accounts/", "/admin/", "/static/", "/api/", "/design")


@pytest.fixture
def busy(tenant: Any, owner: Any) -> Any:
    """A workspace with something to click in every state."""
    release = factories.ReleaseFactory(tenant=tenant, status=ReleaseStatus.BUILD_FAILED)
    row = factories.ReleasePipelineFactory(release=release)
    build = factories.BuildFactory(release_pipeline=row, status="TRIGGER_FAILED")
    factories.SlackFactory(tenant=tenant)
    factories.JiraFactory(tenant=tenant)
    for kind, code in (("message.post", "refused"), ("build.trigger", "cannot_correlate")):
        factories.EffectFactory(
            tenant=tenant,
            kind=kind,
            state=EffectState.DEAD,
            last_error_code=code,
            release_id=release.pk,
            build_id=build.pk if kind == "build.trigger" else "",
        )
    factories.DeliveryFactory(pipeline=row.pipeline)
    factories.ReleaseFactory(tenant=tenant)
    factories.MembershipFactory(tenant=tenant)
    invite(tenant=tenant, email="x@example.com", role="VIEWER", actor=owner)
    return tenant


def offers(client: Client) -> tuple[set[str], set[str], list[str]]:
    """Visited pages, URLs that forms post to, and links that are refused."""
    seen: set[str] = set()
    posts: set[str] = set()
    refused: list[str] = []
    waiting = ["/releases", "/settings/", "/integrations", "/activity", "/setup"]
    while waiting:
        path = waiting.pop()
        if path in seen or path.startswith(OUTSIDE):
            continue
        seen.add(path)
        answer = client.get(path)
        if answer.status_code == 403:
            refused.append(path)
        if "text/html" not in answer.headers.get("Content-Type", ""):
            continue
        text = answer.content.decode()
        for form in FORM.findall(text):
            action = ACTION.search(form)
            posts.add(html.unescape(action[1]) if action and action[1] else path)
        for link in LINK.findall(text):
            target = urlsplit(urljoin(path, html.unescape(link)))
            if not target.netloc:
                waiting.append(target.path)
    return seen, posts, refused


@pytest.mark.parametrize("role", list(Role))
def test_no_page_offers_what_the_role_may_not_do(
    busy: Any, role: Role, member_of: Any, client_for: Any
) -> None:
    seen, posts, refused = offers(client_for(member_of(busy, role)))
    assert len(seen) > 12
    assert not refused
    too_high = []
    for action in posts:
        view = resolve(urlsplit(action).path).func
        needed = getattr(view, "delivr_write_role", Role.VIEWER)
        if not action.startswith(OUTSIDE) and not role.covers(needed):
            too_high.append(action)
    assert not too_high


def test_the_crawl_finds_the_buttons(busy: Any, member_of: Any, client_for: Any) -> None:
    _seen, posts, _refused = offers(client_for(member_of(busy, Role.OWNER)))
    names = {resolve(urlsplit(action).path).url_name for action in posts}
    wanted = {
        "member_role",
        "member_remove",
        "settings_invite",
        "invitation_revoke",
        "workspace_delete",
        "effect_retry",
        "effect_cancel",
        "settings_tokens",
    }
    assert wanted <= names
