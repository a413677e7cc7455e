"""Invitations by email: create, send again, revoke, accept once."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from allauth.account.models import EmailAddress
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from delivr.audit.operations import record
from delivr.effects.models import Effect
from delivr.effects.operations import cancel_effect, create_effect, retry_effect
from delivr.failures import Conflict
from delivr.security.ratelimit import hit
from delivr.tenants.models import Invitation, Membership, Role, Tenant, User, hash_token
from delivr.tenants.roles import lock_tenant, role_errors

LIFE = timedelta(days=7)
UNSETTLED_MOST = 100  # per workspace
# Limits per workspace, and per user across workspaces, so that nobody can spam strangers.
MAILS_A_DAY, A_DAY = 50, timedelta(days=1)
MAIL = "mail.send"  # the kind of effect
MAIL_SERVER = "mail"  # in place of a connection's id, for the circuit breaker


@transaction.atomic
def invite(
    *,
    tenant: Tenant,
    email: str,
    role: str,
    actor: User,
    known_errors: Mapping[str, list[str]] | None = None,
) -> Invitation:
    """Offer an address a role, and create the effect that mails the link.

    Raises ValidationError({"email", "role"}) with the caller's `known_errors`, and
    PermissionDenied if the actor is not an owner.
    """
    tenant = lock_tenant(tenant, actor=actor)
    email = email.strip().lower()
    errors = {"email": _wrong_address(tenant, email, actor), "role": role_errors(role)}
    errors.update(known_errors or {})
    if errors := {name: words for name, words in errors.items() if words}:
        raise ValidationError(errors)
    invitation = Invitation(
        tenant=tenant, email=email, role=role, inviter=actor, expires_at=timezone.now() + LIFE
    )
    _create_mail(invitation)
    invitation.save(force_insert=True)
    changes = {"role": [None, role]}
    record(actor=actor, action="invitation.created", subject=invitation, changes=changes)
    return invitation


def _wrong_address(tenant: Tenant, email: str, actor: User) -> list[str]:
    try:
        validate_email(email)
    except ValidationError as error:
        return list(error.messages)
    unsettled = Invitation.objects.for_tenant(tenant).unsettled()
    if Membership.objects.for_tenant(tenant).filter(user__email=email).exists():
        return [_("This user is already a member.")]
    if unsettled.filter(email=email).exists():
        return [
            _("This address has already been invited. Send that invitation again, or revoke it.")
        ]
    if unsettled.count() >= UNSETTLED_MOST:
        return [_("Too many invitations are open. Revoke some first.")]
    return _too_many_mails(tenant, actor)


def _too_many_mails(tenant: Tenant, actor: User) -> list[str]:
    """Counts one more mail of the actor; an error rolls the count back."""
    since = timezone.now() - A_DAY
    sent = Effect.objects.for_tenant(tenant).filter(kind=MAIL, created_at__gt=since)
    window = int(A_DAY.total_seconds())
    if sent.count() < MAILS_A_DAY and not hit(
        f"invitations:{actor.pk}", limit=MAILS_A_DAY, window=window
    ):
        return []
    return [_("At most %d invitations can be sent in a day. Try again tomorrow.") % MAILS_A_DAY]


def _create_mail(invitation: Invitation) -> None:
    invitation.mails += 1
    effect = create_effect(
        tenant=invitation.tenant,
        kind=MAIL,
        integration_id=MAIL_SERVER,
        dedupe_key=f"invitation:{invitation.pk}:mail:{invitation.mails}",
        payload={"invitation": invitation.pk},
    )
    invitation.mail_id = effect.pk


@transaction.atomic
def send_again(*, invitation: Invitation, actor: User) -> Invitation:
    """Send another mail with a new link for another seven days; the previous link ends when the
    new mail is sent.

    Raises Conflict for a settled invitation and while a mail is on its way, and PermissionDenied.
    """
    lock_tenant(invitation.tenant, actor=actor)
    invitation = _locked(invitation)
    if invitation.is_settled:
        raise Conflict("settled", _("This invitation was accepted or revoked in the meantime."))
    effect = Effect.objects.for_tenant(invitation.tenant).filter(pk=invitation.mail_id).first()
    if effect is not None and effect.is_open:
        raise Conflict("on_its_way", _("Its email is still being sent."))
    if problem := _too_many_mails(invitation.tenant, actor):
        raise Conflict("too_many_mails", problem[0])
    invitation.expires_at = timezone.now() + LIFE
    if effect is not None and effect.may_retry:
        retry_effect(effect=effect, actor=actor)
    else:
        _create_mail(invitation)
    invitation.save(update_fields=["expires_at", "mails", "mail_id"])
    record(actor=actor, action="invitation.sent_again", subject=invitation)
    return invitation


@transaction.atomic
def revoke(*, invitation: Invitation, actor: User | None) -> None:
    """End an invitation; ending it again changes nothing. Raises PermissionDenied."""
    lock_tenant(invitation.tenant, actor=actor)
    invitation = _locked(invitation)
    if not invitation.is_settled:
        withdraw([invitation], actor=actor)


def withdraw(invitations: Iterable[Invitation], *, actor: User | None) -> None:
    """Revoke them and cancel their unsent mails. The caller holds the tenant's lock."""
    for invitation in invitations:
        invitation.revoked_at = timezone.now()
        invitation.save(update_fields=["revoked_at"])
        _stop_mail(invitation, actor)
        record(actor=actor, action="invitation.revoked", subject=invitation)


def _stop_mail(invitation: Invitation, actor: User | None) -> None:
    """Cancel the mail if it was not sent yet; the link in one that is just being sent is dead."""
    mail = Effect.objects.for_tenant(invitation.tenant).select_for_update()
    effect = mail.filter(pk=invitation.mail_id).first()
    if effect is not None and effect.may_cancel:
        cancel_effect(effect=effect, actor=actor)


def _locked(invitation: Invitation) -> Invitation:
    rows = Invitation.objects.select_for_update(of=("self",)).select_related("tenant", "inviter")
    found: Invitation = rows.get(pk=invitation.pk)
    return found


# --- The link -------------------------------------------------------------------------------------


def make_link_secret(invitation: Invitation) -> str:
    """Create a new secret for the link and store its hash; earlier links end."""
    secret = secrets.token_urlsafe(32)
    Invitation.objects.filter(pk=invitation.pk).update(digest=hash_token(secret))
    return secret


@transaction.atomic
def accept(*, invitation: Invitation, user: User) -> Membership:
    """Make the invited user a member; an invitation can be accepted once.

    Raises Conflict if it is no longer valid or for another address, or if the user is a member.
    """
    lock_tenant(invitation.tenant, actor=None)
    invitation = _locked(invitation)
    if not may_be_accepted(invitation):
        raise Conflict("not_valid", _("This invitation is no longer valid."))
    if user.email != invitation.email:
        raise Conflict("other_address", _("This invitation is for another address."))
    if Membership.objects.for_tenant(invitation.tenant).filter(user=user).exists():
        raise Conflict("member", _("You are already a member of this workspace."))
    invitation.accepted_at = timezone.now()
    invitation.save(update_fields=["accepted_at"])
    _stop_mail(invitation, user)
    membership = Membership.objects.create(
        tenant=invitation.tenant, user=user, role=invitation.role
    )
    changes = {"role": [None, invitation.role], "inviter": [None, invitation.inviter.email]}
    record(actor=user, action="member.joined", subject=membership, changes=changes)
    return membership


def may_be_accepted(invitation: Invitation) -> bool:
    """True if it is live and its inviter is still an owner."""
    owners = Membership.objects.for_tenant(invitation.tenant).filter(role=Role.OWNER)
    return invitation.is_live and owners.filter(user=invitation.inviter_id).exists()


@transaction.atomic
def accept_as_new_user(*, invitation: Invitation, password: str) -> User:
    """Create an account for the invited address, which the link has verified, and accept.

    Raises Conflict as `accept` does, and if the address has an account in the meantime.
    """
    try:
        with transaction.atomic():
            user = User.objects.create_user(email=invitation.email, password=password)
    except IntegrityError:
        raise Conflict("account", _("This address already has an account. Sign in.")) from None
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    accept(invitation=invitation, user=user)
    return user


def mails_of(invitations: Iterable[Invitation], tenant: Tenant) -> dict[str, Any]:
    """The newest mail (an effect) of each invitation, by its id, in one query."""
    found: dict[str, Any] = Effect.objects.for_tenant(tenant).in_bulk(
        [invitation.mail_id for invitation in invitations]
    )
    return found
