"""Which roles there are, who owns a workspace, and the lock under which owners change it."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.utils.translation import gettext as _

from delivr.tenants.models import Membership, Role, Tenant, User


def known_role(role: str) -> list[str]:
    """What is wrong with a role, in words; nothing if it is one."""
    if role in Role.values:
        return []
    return [_("Choose one of: %(roles)s.") % {"roles": ", ".join(Role.values)}]


def lock_tenant(tenant: Tenant, *, actor: User | None) -> Tenant:
    """Make the caller's transaction the only one that changes members, invitations or the end of
    the workspace. Raises PermissionDenied if the actor is no owner (any more) and none of the
    operator's staff. Weak enough a lock that rows which refer to the workspace can be written.
    """
    tenant = Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
    if actor is None or actor.is_staff:
        return tenant
    if not owners(tenant).filter(user=actor).exists():
        raise PermissionDenied
    return tenant


def active_owners() -> Any:
    """Owners who can sign in: what a workspace must not be without."""
    return Membership.objects.filter(role=Role.OWNER, user__is_active=True)


def owners(tenant: Tenant) -> Any:
    return active_owners().filter(tenant=tenant)


def held_alone(user: User) -> list[Tenant]:
    """The workspaces of the user's that no other owner who can sign in would keep."""
    theirs = Membership.objects.filter(role=Role.OWNER, user=user).values("tenant")
    others = active_owners().exclude(user=user).values("tenant")
    return list(Tenant.objects.filter(pk__in=theirs).exclude(pk__in=others).order_by("name", "pk"))


def owners_left(tenant: Tenant) -> int:
    count: int = owners(tenant).count()
    return count
