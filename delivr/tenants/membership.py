"""Changes members and roles under one lock, so that a workspace always keeps an owner."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from delivr.audit.operations import record, record_each
from delivr.failures import Conflict
from delivr.signin.sessions import end_sessions
from delivr.tenants.inviting import withdraw
from delivr.tenants.models import ApiToken, Invitation, Membership, Role, Tenant, User
from delivr.tenants.roles import lock_tenant, owners, role_errors


def _fresh(membership: Membership) -> Membership:
    rows = Membership.objects.select_related("user", "tenant")
    found: Membership | None = rows.filter(pk=membership.pk).first()
    if found is None:
        raise Conflict("gone", _("This member has left in the meantime."))
    return found


@transaction.atomic
def change_role(*, membership: Membership, role: str, actor: User | None) -> Membership:
    """Give a member another role, effective from their next request.

    Raises ValidationError({"role"}) for an unknown role, Conflict for the last owner, and
    PermissionDenied if the actor is not an owner.
    """
    lock_tenant(membership.tenant, actor=actor)
    membership = _fresh(membership)
    if errors := role_errors(role):
        raise ValidationError({"role": errors})
    before = membership.role
    if role == before:
        return membership
    if role != Role.OWNER:
        _keep_an_owner(membership)
        _withdraw_invitations(membership, actor)
    membership.role = role
    membership.save(update_fields=["role"])
    changes = {"role": [before, role]}
    record(actor=actor, action="member.changed", subject=membership, changes=changes)
    return membership


@transaction.atomic
def remove_member(*, membership: Membership, actor: User | None) -> None:
    """End a membership, with the member's API tokens and the invitations they sent.

    Their sessions lose the workspace with the next request; without another workspace they are
    signed out. Raises Conflict for the last owner, PermissionDenied if the actor is not an owner.
    """
    lock_tenant(membership.tenant, actor=actor)
    membership = _fresh(membership)
    changes = _end(membership, actor=actor)
    record(actor=actor, action="member.removed", subject=membership, changes=changes)
    membership.delete()
    if not Membership.objects.filter(user=membership.user_id).exists():
        end_sessions(membership.user)


@transaction.atomic
def leave(*, membership: Membership) -> None:
    """End the user's own membership. Raises Conflict for the last owner."""
    lock_tenant(membership.tenant, actor=None)
    membership = _fresh(membership)
    changes = _end(membership, actor=membership.user)
    record(actor=membership.user, action="member.left", subject=membership, changes=changes)
    membership.delete()


def _end(membership: Membership, *, actor: User | None) -> dict[str, Any]:
    """End what depends on a membership; returns the changes for the audit log."""
    _keep_an_owner(membership)
    _withdraw_invitations(membership, actor)
    revoke_tokens_of(membership.tenant, membership.user, actor=actor)
    return {"role": [membership.role, None]}


def _keep_an_owner(membership: Membership) -> None:
    if membership.role != Role.OWNER:
        return
    if not owners(membership.tenant).exclude(pk=membership.pk).exists():
        raise Conflict(
            "last_owner", _("A workspace needs an owner. Make someone else an owner first.")
        )


def _withdraw_invitations(membership: Membership, actor: User | None) -> None:
    """Withdraw an owner's invitations with the role: they would be a way back in."""
    if membership.role == Role.OWNER:
        sent = Invitation.objects.for_tenant(membership.tenant).unsettled()
        withdraw(list(sent.filter(inviter=membership.user_id)), actor=actor)


def revoke_tokens_of(tenant: Tenant, user: User | None, *, actor: User | None) -> None:
    """End the live API tokens of a member (or of all, if `user` is None)."""
    rows = ApiToken.objects.for_tenant(tenant).filter(revoked_at=None)
    tokens = list(rows if user is None else rows.filter(user=user))
    ApiToken.objects.filter(pk__in=[t.pk for t in tokens]).update(revoked_at=timezone.now())
    record_each(tenant=tenant, actor=actor, action="token.revoked", subjects=tokens)
