"""Renaming and deleting a workspace, and deleting an account."""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from delivr.audit.operations import record
from delivr.effects.models import Effect, EffectState
from delivr.effects.operations import cancel_effect
from delivr.tenants.inviting import withdraw
from delivr.tenants.membership import revoke_tokens_of
from delivr.tenants.models import Invitation, Membership, Tenant, User
from delivr.tenants.roles import lock_tenant, solely_owned


@transaction.atomic
def rename(*, tenant: Tenant, name: str, actor: User) -> Tenant:
    """Raises ValidationError({"name"}), or PermissionDenied unless the actor is an owner."""
    tenant = lock_tenant(tenant, actor=actor)
    before, tenant.name = tenant.name, name.strip()
    if not tenant.name:
        raise ValidationError({"name": [_("Enter a name for the workspace.")]})
    tenant.full_clean(exclude=["id"])
    if tenant.name != before:
        tenant.save(update_fields=["name"])
        changes = {"name": [before, tenant.name]}
        record(tenant=tenant, actor=actor, action="tenant.renamed", subject=tenant, changes=changes)
    return tenant


@transaction.atomic
def close(*, tenant: Tenant, confirmation: str, actor: User) -> None:
    """Delete a workspace for its members: memberships, tokens and invitations end, and connections
    lose their credentials. Releases, builds and the audit log stay in the database, unreachable.

    `confirmation` is the workspace's name as typed. Raises ValidationError({"confirmation"}) if it
    differs, while releases are unfinished, or while something is being sent; PermissionDenied.
    """
    tenant = lock_tenant(tenant, actor=actor)
    if problems := _reasons_not_to_close(tenant, confirmation):
        raise ValidationError({"confirmation": problems})
    withdraw(list(Invitation.objects.for_tenant(tenant).unsettled()), actor=actor)
    _give_up_effects(tenant, actor)
    import_string(settings.TENANT_CLOSED)(tenant=tenant, actor=actor)
    revoke_tokens_of(tenant, None, actor=actor)
    Membership.objects.for_tenant(tenant).delete()
    tenant.closed_at = timezone.now()
    tenant.save(update_fields=["closed_at"])
    record(tenant=tenant, actor=actor, action="tenant.deleted", subject=tenant)


def _give_up_effects(tenant: Tenant, actor: User) -> None:
    for effect in Effect.objects.for_tenant(tenant).filter(
        state__in=[EffectState.PENDING, EffectState.DEAD]
    ):
        try:
            cancel_effect(effect=effect, actor=actor)
        except ValidationError:  # a worker has claimed it in the meantime
            raise ValidationError({"confirmation": [_being_sent()]}) from None


def _being_sent() -> str:
    return _("Something is being sent right now. Try again in two minutes.")


def _reasons_not_to_close(tenant: Tenant, confirmation: str) -> list[str]:
    if confirmation.strip() != tenant.name:
        return [_("Type the name of the workspace exactly as shown above.")]
    if unfinished := import_string(settings.TENANT_USERS)(tenant):
        words = {"names": ", ".join(unfinished)}
        return [_("Finish or cancel these first: %(names)s.") % words]
    may_be_sent = Q(state=EffectState.LEASED) | Q(dispatched_at__isnull=False)
    if Effect.objects.for_tenant(tenant).open().filter(may_be_sent).exists():
        return [_being_sent()]
    return []


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
    if held := solely_owned(user):
        names = ", ".join(tenant.name for tenant in held)
        raise ValidationError(
            _("You are the only owner of %(names)s. Make someone else an owner first.")
            % {"names": names}
        )
    for membership in mine:
        record(actor=user, action="member.deleted", subject=membership)
    user.delete()
