"""Operations that change workspaces, members and tokens."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from allauth.account.models import EmailAddress
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from delivr.audit.operations import difference, record
from delivr.tenants.models import ApiToken, Membership, Role, Tenant, User
from delivr.tenants.roles import lock_tenant

TOKEN_DAYS, TOKEN_DAYS_MAX = 90, 365


@transaction.atomic
def create_tenant(*, name: str, owner: User) -> Tenant:
    """Create a workspace with its first owner. Raises ValidationError({"name"})."""
    if not name.strip():
        raise ValidationError({"name": [_("Enter a name for the workspace.")]})
    tenant = Tenant(name=name.strip())
    tenant.full_clean(exclude=["id"])
    tenant.save(force_insert=True)
    Membership.objects.create(tenant=tenant, user=owner, role=Role.OWNER)
    changes = {"name": [None, tenant.name], "owner": [None, owner.email]}
    record(tenant=tenant, actor=owner, action="tenant.created", subject=tenant, changes=changes)
    return tenant


@transaction.atomic
def add_member(*, tenant: Tenant, user: User, role: str, actor: User | None) -> Membership:
    """Add a user to a workspace.

    Raises ValidationError for a member, an unknown role, and an unconfirmed address if mail can be
    sent: someone else may have signed up with it.
    """
    tenant = lock_tenant(tenant, actor=None)
    errors: dict[str, list[str]] = {}
    if must_be_confirmed(user):
        errors["email"] = [
            _("This address is not confirmed yet: its owner has to open the link in the email.")
        ]
    if role not in Role.values:
        errors["role"] = [_("Choose one of: %(roles)s.") % {"roles": ", ".join(Role.values)}]
    if tenant.closed_at is not None:
        errors["tenant"] = [_("This workspace was deleted.")]
    if Membership.objects.for_tenant(tenant).filter(user=user).exists():
        errors["email"] = [_("This user is already a member.")]
    if errors:
        raise ValidationError(errors)
    membership = Membership.objects.create(tenant=tenant, user=user, role=role)
    changes = {"role": [None, role]}
    record(actor=actor, action="member.added", subject=membership, changes=changes)
    return membership


def must_be_confirmed(user: User) -> bool:
    """True while the user has not confirmed the address, though mail could be sent."""
    if settings.ACCOUNT_EMAIL_VERIFICATION != "mandatory":
        return False
    return not EmailAddress.objects.filter(user=user, email=user.email, verified=True).exists()


@transaction.atomic
def create_token(
    *,
    tenant: Tenant,
    user: User,
    role: str,
    name: str = "",
    days: int | None = None,
    known_errors: Mapping[str, list[str]] | None = None,
) -> tuple[ApiToken, str]:
    """Create a token; returns it with its text, which is shown only this once.

    `days` is its lifetime, 1 to 365. Raises ValidationError for a user who is not a member, a role
    above the user's own, or a lifetime out of bounds, together with the caller's `known_errors`.
    """
    days = TOKEN_DAYS if days is None else days
    membership = Membership.objects.for_tenant(tenant).filter(user=user).first()
    errors = dict(known_errors or {})
    if membership is None:
        errors["email"] = [_("This user is not a member of the workspace.")]
    elif role not in Role.values:
        errors["role"] = [_("Choose one of: %(roles)s.") % {"roles": ", ".join(Role.values)}]
    elif not Role(membership.role).covers(Role(role)):
        errors["role"] = [_("A token cannot have a higher role than its creator.")]
    if not 1 <= days <= TOKEN_DAYS_MAX:
        errors["days"] = [_("Choose between 1 and 365 days.")]
    if errors:
        raise ValidationError(errors)
    expires = timezone.now() + timedelta(days=days)
    token = ApiToken(tenant=tenant, user=user, role=role, name=name, expires_at=expires)
    text = token.fill()
    token.save(force_insert=True)
    changes = difference(vars(ApiToken()), {"name": name, "role": role, "expires_at": expires})
    record(actor=user, action="token.created", subject=token, changes=changes)
    return token, text


@transaction.atomic
def revoke_token(*, token: ApiToken, actor: User | None) -> ApiToken:
    """End a token at once; ending it again changes nothing."""
    if token.revoked_at is None:
        token.revoked_at = timezone.now()
        token.save(update_fields=["revoked_at"])
        changes = {"revoked_at": [None, token.revoked_at.isoformat()]}
        record(actor=actor, action="token.revoked", subject=token, changes=changes)
    return token


@transaction.atomic
def skip_step(*, tenant: Tenant, actor: User | None, step: str, skipped: bool = True) -> Tenant:
    """Record that a step of the setup is skipped (or no longer is)."""
    tenant = Tenant.objects.select_for_update().get(pk=tenant.pk)
    before = list(tenant.skipped_steps)
    tenant.skipped_steps = sorted({*before, step} if skipped else {*before} - {step})
    if tenant.skipped_steps != before:
        tenant.save(update_fields=["skipped_steps"])
        changes = {"skipped_steps": [before, tenant.skipped_steps]}
        record(tenant=tenant, actor=actor, action="setup.skipped", subject=tenant, changes=changes)
    return tenant
