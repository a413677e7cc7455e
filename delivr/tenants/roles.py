"""Checks of roles and owners, and the lock under which owners change a workspace."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.utils.translation import gettext as _

from delivr.tenants.models import Membership, Role, Tenant, User


def role_errors(role: str) -> list[str]:
    """Error messages for an unknown role; empty for a known one."""
    if role in Role.values:
        return []
    return [_("Choose one of: %(roles)s.") % {"roles": ", ".join(Role.values)}]


def lock_tenant(tenant: Tenant, *, actor: User | None) -> Tenant:
    """Make the caller's transaction the only one that changes members, invitations or the end of
    the workspace. Raises PermissionDenied unless the actor is an owner or staff of the operator.
    A weak lock (FOR NO KEY UPDATE): rows that refer to the workspace can still be written.
    """
    tenant = Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
    if actor is None or actor.is_staff:
        return tenant
    if not owners(tenant).filter(user=actor).exists():
        raise PermissionDenied
    return tenant


def active_owners() -> Any:
    """Owners who can sign in; each workspace needs at least one."""
    return Membership.objects.filter(role=Role.OWNER, user__is_active=True)


def owners(tenant: Tenant) -> Any:
    return active_owners().filter(tenant=tenant)


def solely_owned(user: User) -> list[Tenant]:
    """The workspaces of which the user is the only owner who can sign in."""
    theirs = Membership.objects.filter(role=Role.OWNER, user=user).values("tenant")
    others = active_owners().exclude(user=user).values("tenant")
    return list(Tenant.objects.filter(pk__in=theirs).exclude(pk__in=others).order_by("name", "pk"))


def owners_left(tenant: Tenant) -> int:
    count: int = owners(tenant).count()
    return count
