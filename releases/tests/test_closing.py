"""Creating a release and deleting its workspace at the same time: one of them is refused."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from delivr.tenants.closing import close
from delivr.tenants.models import Role, Tenant
from delivr.tenants.tests.test_races import at_once
from delivr.tests import factories
from delivr.tests.wired import Wired, wire
from releases.models import Release

NOWHERE = "http://127.0.0.1:1"


@pytest.mark.django_db
def test_deleted_workspace_gets_no_release(tenant: Tenant) -> None:
    wired = wire(tenant, NOWHERE)
    Tenant.objects.filter(pk=tenant.pk).update(closed_at=timezone.now())
    with pytest.raises(ValidationError, match="deleted"):
        wired.release("ios")
    assert not Release.objects.exists()


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_release_and_deletion_at_the_same_moment() -> None:
    for _ in range(20):
        owner = factories.MembershipFactory(role=Role.OWNER)
        wired = wire(owner.tenant, NOWHERE)
        made, closed = at_once(*both(wired, owner))
        assert isinstance(made, ValidationError) is not isinstance(closed, ValidationError)
        owner.tenant.refresh_from_db()
        there = Release.objects.for_tenant(owner.tenant).exists()
        assert there is (owner.tenant.closed_at is None)


def both(wired: Wired, owner: Any) -> tuple[Any, Any]:
    return (
        lambda: wired.release("ios"),
        lambda: close(tenant=wired.tenant, confirmation=wired.tenant.name, actor=owner.user),
    )
