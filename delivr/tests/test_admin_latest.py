"""Django's admin shows the newest rows of a long table, and leads to the older ones."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from delivr.admin_site import latest
from delivr.audit.models import AuditEvent
from delivr.audit.operations import record
from delivr.effects.models import Effect, EffectState
from delivr.tenants.models import Tenant, User
from delivr.tests import factories
from delivr.tests.admin_pages import listing

pytestmark = [pytest.mark.on_both, pytest.mark.django_db]
FEW = 5


@pytest.fixture
def root() -> Client:
    user, client = User.objects.create_superuser("root@example.com"), Client()
    factories.give_second_factor(user)
    return factories.sign_in(client, user)


@pytest.fixture
def effects(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> list[Effect]:
    """Twelve of them, the newest first, of which a list shows five."""
    monkeypatch.setattr(latest, "NEWEST", FEW)
    now = timezone.now()
    return [
        factories.EffectFactory(tenant=tenant, created_at=now - timedelta(hours=n))
        for n in range(12)
    ]


def shown(root: Client, address: str) -> list[Any]:
    response = root.get(address)
    assert response.status_code == 200
    return [row.pk for row in response.context["cl"].result_list]


def test_links_lead_through_all_rows(root: Client, effects: list[Effect]) -> None:
    address, found = listing(Effect), []
    while address:
        response = root.get(address)
        found.append([row.pk for row in response.context["cl"].result_list])
        older = response.context.get("older_url")
        address = f"{listing(Effect)}{older}" if older else ""
    assert [len(some) for some in found] == [5, 5, 2]
    assert [pk for some in found for pk in some] == [effect.pk for effect in effects]


def test_page_says_what_it_leaves_out(root: Client, effects: list[Effect]) -> None:
    text = " ".join(root.get(listing(Effect)).content.decode().split())
    assert "Only the newest 5 rows are shown and searched" in text
    Effect.objects.filter(pk__in=[effect.pk for effect in effects[FEW:]]).delete()
    assert "Only the newest" not in root.get(listing(Effect)).content.decode()


def test_an_id_is_found_however_old_it_is(root: Client, effects: list[Effect]) -> None:
    oldest = effects[-1]
    assert shown(root, f"{listing(Effect)}?q={oldest.pk}") == [oldest.pk]
    release = factories.ReleaseFactory(tenant=oldest.tenant)
    Effect.objects.filter(pk=oldest.pk).update(release_id=release.pk)
    assert shown(root, f"{listing(Effect)}?q={release.pk}") == [oldest.pk]
    assert shown(root, f"{listing(Effect)}?q={oldest.dedupe_key}") == []


def test_failed_ones_are_listed_however_old_they_are(root: Client, effects: list[Effect]) -> None:
    dead = effects[-1]
    now = timezone.now()
    Effect.objects.filter(pk=dead.pk).update(state=EffectState.DEAD, done_at=now)
    assert shown(root, f"{listing(Effect)}?state__exact=DEAD") == [dead.pk]
    Effect.objects.filter(pk=dead.pk).update(state=EffectState.CANCELLED)
    assert shown(root, f"{listing(Effect)}?state__exact=CANCELLED") == []


def test_a_workspace_has_its_own_newest_rows(root: Client, effects: list[Effect]) -> None:
    other = factories.EffectFactory(created_at=timezone.now() - timedelta(days=9))
    assert other.pk not in shown(root, listing(Effect))
    assert shown(root, f"{listing(Effect)}?tenant__id__exact={other.tenant_id}") == [other.pk]


def test_rows_with_numbers_are_in_their_order(
    root: Client, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latest, "NEWEST", FEW)
    for _row in range(7):
        record(tenant=tenant, actor=None, action="release.created")
    keys = list(AuditEvent.objects.order_by("-pk").values_list("pk", flat=True))
    assert shown(root, listing(AuditEvent)) == keys[:FEW]
    assert shown(root, f"{listing(AuditEvent)}?before={keys[4]}") == keys[5:]
    assert shown(root, f"{listing(AuditEvent)}?q={keys[-1]}") == [keys[-1]]


@pytest.mark.parametrize("before", ["x", "²", "9" * 30, "2026-13-45T00:00:00Z", "2026-01-01", "\0"])
def test_an_invalid_moment_is_ignored(root: Client, effects: list[Effect], before: str) -> None:
    for model in (Effect, AuditEvent):
        assert root.get(listing(model), {"before": before}).status_code == 200
    assert len(root.get(listing(Effect), {"before": before}).context["cl"].result_list) == FEW
