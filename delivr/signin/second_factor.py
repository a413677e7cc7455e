"""Who must have a second factor but has none."""

from __future__ import annotations

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext as _

from delivr.audit.operations import record
from delivr.tenants.models import Membership, Role, Tenant, User

FACTORS = [Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN]  # recovery codes do not count


def has_second_factor(user: User) -> bool:
    return bool(Authenticator.objects.filter(user=user, type__in=FACTORS).exists())


def lacks_for_tenant(request: HttpRequest) -> bool:
    """True if the workspace requires one of its owners and admins, and this one has none."""
    tenant: Tenant | None = getattr(request, "tenant", None)
    if tenant is None or not tenant.requires_second_factor:
        return False
    role: Role = request.role  # type: ignore[attr-defined]
    return role.covers(Role.ADMIN) and not has_second_factor(request.user)  # type: ignore[arg-type]


def lacks_for_admin(user: User) -> bool:
    """True if the user may open /admin/ and has no second factor."""
    return bool(settings.SECOND_FACTOR_FOR_STAFF and user.is_staff and not has_second_factor(user))


@transaction.atomic
def require_second_factor(*, tenant: Tenant, actor: User, required: bool) -> Tenant:
    """Set whether owners and admins must have one. Raises ValidationError if the actor requires it
    without having one."""
    if required and not has_second_factor(actor):
        raise ValidationError(
            {
                "required": [
                    _("Set up your own second factor first, or you would lock yourself out.")
                ]
            }
        )
    tenant = Tenant.objects.select_for_update().get(pk=tenant.pk)
    if tenant.requires_second_factor != required:
        changes = {"requires_second_factor": [tenant.requires_second_factor, required]}
        tenant.requires_second_factor = required
        tenant.save(update_fields=["requires_second_factor"])
        record(
            tenant=tenant,
            actor=actor,
            action="tenant.second_factor",
            subject=tenant,
            changes=changes,
        )
    return tenant


@transaction.atomic
def reset_second_factor(*, user: User, actor: User | None) -> int:
    """Delete all of a user's factors and codes, recorded in each of their workspaces; returns how
    many."""
    count: int = Authenticator.objects.filter(user=user).delete()[0]
    if count:
        for membership in Membership.objects.filter(user=user).select_related("tenant", "user"):
            record(actor=actor, action="member.second_factor_reset", subject=membership)
    return count
