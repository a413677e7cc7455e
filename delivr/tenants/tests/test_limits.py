"""Limits per user for shared resources, in however many workspaces."""

import pytest
from django.core.exceptions import ValidationError

from delivr.tenants.inviting import MAILS_A_DAY, invite, revoke
from delivr.tenants.models import Membership, Role, Tenant
from delivr.tenants.workspace_views import WORKSPACES_A_DAY
from delivr.tests import factories


def test_invitations_are_limited_per_user_across_workspaces(tenant, owner):
    second = factories.MembershipFactory(user=owner, role=Role.OWNER).tenant
    for number in range(MAILS_A_DAY):
        where = second if number % 2 else tenant
        invite(tenant=where, email=f"x{number}@example.com", role="VIEWER", actor=owner)
    with pytest.raises(ValidationError, match="invitations can be sent in a day"):
        invite(tenant=second, email="one-more@example.com", role="VIEWER", actor=owner)
    another = factories.MembershipFactory(tenant=second, role=Role.OWNER).user
    assert invite(tenant=second, email="x@example.com", role="VIEWER", actor=another)


def test_an_invitation_that_was_refused_is_not_counted(tenant, owner):
    for _n in range(MAILS_A_DAY + 1):
        with pytest.raises(ValidationError, match="Choose one of"):
            invite(tenant=tenant, email="x@example.com", role="KING", actor=owner)
    revoke(
        invitation=invite(tenant=tenant, email="x@example.com", role="VIEWER", actor=owner),
        actor=owner,
    )


def test_workspaces_per_day_are_limited(owner, client_for):
    client, before = client_for(owner), Tenant.objects.count()
    for number in range(WORKSPACES_A_DAY):
        client.post("/settings/new-workspace", {"workspace": f"Number {number}"})
    Membership.objects.filter(user=owner).last().delete()  # leaving does not give a turn back
    page = client.post("/settings/new-workspace", {"workspace": "One more"}).content.decode()
    assert "At most 10 workspaces can be created in a day." in page
    assert Tenant.objects.count() == before + WORKSPACES_A_DAY
