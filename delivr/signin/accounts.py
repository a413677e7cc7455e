"""Deletion of an account by its owner."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from delivr.audit.operations import record
from delivr.tenants.membership import held_alone
from delivr.tenants.models import Membership, Tenant, User


@transaction.atomic
def delete_account(*, user: User) -> None:
    """Delete the user with memberships, tokens, sessions and factors; audit rows stay.

    Raises ValidationError for the only owner of a workspace.
    """
    mine = list(Membership.objects.filter(user=user).select_related("tenant").order_by("tenant"))
    # Locked, so that two last owners cannot leave at the same time.
    list(
        Tenant.objects.select_for_update().filter(pk__in=[m.tenant_id for m in mine]).order_by("pk")
    )
    if held := held_alone(user):
        names = ", ".join(tenant.name for tenant in held)
        raise ValidationError(
            _("You are the only owner of %(names)s. Make somebody else an owner first.")
            % {"names": names}
        )
    for membership in mine:
        record(tenant=membership.tenant, actor=user, action="member.deleted", subject=membership)
    user.delete()
