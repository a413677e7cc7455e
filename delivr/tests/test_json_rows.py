"""Rows of another table that a query brings along."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db.models import OuterRef

from delivr.json_rows import JsonRows, read_rows
from delivr.tenants.models import Tenant
from delivr.tests import factories
from releases.models import Release
from releases.repository.models import Change

pytestmark = pytest.mark.django_db
FIELDS = ("sha", "title", "tickets")


def with_changes() -> Any:
    rows = Change.objects.filter(release=OuterRef("pk")).order_by("-position")
    found = Release.objects.annotate(rows=JsonRows(rows[:2], *FIELDS)).order_by("version")
    return [read_rows(Change, release.rows) for release in found]


def test_they_come_in_order_with_their_release(tenant: Tenant) -> None:
    first, _second = (
        factories.ReleaseFactory(tenant=tenant, version=version) for version in ("1.0.0", "2.0.0")
    )
    for position in range(3):
        Change.objects.create(
            tenant=tenant,
            release=first,
            position=position,
            sha=f"{position}",
            title='It\'s a "quoted" ü title',
            tickets=["MOBILE-1"],
        )
    some, none = with_changes()
    assert [change.sha for change in some] == ["2", "1"]
    assert (some[0].title, some[0].tickets) == ('It\'s a "quoted" ü title', ["MOBILE-1"])
    assert none == []


def test_times_keep_their_zone(tenant: Tenant) -> None:
    at = datetime(2026, 3, 1, 12, 30, 15, 250000, tzinfo=UTC)
    release = factories.ReleaseFactory(tenant=tenant)
    Release.objects.filter(pk=release.pk).update(created_at=at)
    mine = Release.objects.filter(tenant=OuterRef("pk"))
    (found,) = Tenant.objects.filter(pk=tenant.pk).annotate(rows=JsonRows(mine, "created_at"))
    (read,) = read_rows(Release, found.rows)
    assert read.created_at == at
