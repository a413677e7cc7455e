"""Searching the audit log: whole names in all rows, parts of a name in the newest."""

from __future__ import annotations

from typing import Any

import pytest

from delivr.audit.operations import record
from delivr.tenants.models import Role, Tenant, User
from delivr.tests import factories

pytestmark = [pytest.mark.on_both, pytest.mark.django_db]
PAGE = "/settings/audit"


@pytest.fixture
def log(
    tenant: Tenant, member_of: Any, client_for: Any, owner: User, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """Asks for the log of a workspace: a release by the owner, then three by nobody."""
    monkeypatch.setattr("delivr.audit.views.SEARCHED", 3)
    old = factories.ReleaseFactory(tenant=tenant, version="1.5.0")
    record(tenant=tenant, actor=owner, action="release.created", subject=old)
    for number in range(3):
        release = factories.ReleaseFactory(tenant=tenant, version=f"2.{number}.0")
        record(tenant=tenant, actor=None, action="release.created", subject=release)
    client = client_for(member_of(tenant, Role.ADMIN))
    return lambda **query: client.get(query.pop("at", PAGE), query), old


def labels(response: Any) -> list[str]:
    return [event.subject_label for event in response.context["page"].items]


def test_part_of_a_name_is_looked_for_in_the_newest_rows(log: Any) -> None:
    ask, _old = log
    assert labels(ask(subject="2.1")) == ["2.1.0"]
    assert labels(ask(subject="1.5")) == []
    assert "in the newest 3 entries" in " ".join(ask(subject="1.5").content.decode().split())
    assert "in the newest" not in ask().content.decode()


def test_whole_address_or_id_is_looked_for_in_all(log: Any, owner: User) -> None:
    ask, old = log
    assert labels(ask(subject=old.pk)) == ["1.5.0"]
    assert labels(ask(who=owner.email.upper())) == ["1.5.0"]
    assert labels(ask(who=owner.email[:4])) == []


def test_other_filters_narrow_what_is_the_newest(log: Any, tenant: Tenant) -> None:
    ask, _old = log
    for _row in range(5):
        record(tenant=tenant, actor=None, action="tenant.renamed", subject=tenant)
    assert labels(ask(subject="2.1", action="release.created")) == ["2.1.0"]
    assert labels(ask(subject="2.1")) == []


def test_export_looks_in_all(log: Any) -> None:
    ask, _old = log
    answer = ask(at="/settings/audit/export.csv", subject="1.5")
    assert "1.5.0" in b"".join(answer.streaming_content).decode()
