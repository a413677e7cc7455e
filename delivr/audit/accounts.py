"""Records what people do with their accounts in each workspace that they belong to.

allauth and Django report these only by signals (a password reset, a second factor and a failed
sign-in have no other hook), so only this module uses signals. Each receiver just writes a row.
"""

from __future__ import annotations

from typing import Any

from allauth.account import signals as account
from allauth.mfa import signals as factors
from django.contrib.auth.signals import user_logged_out, user_login_failed
from django.db import transaction
from django.http import HttpRequest

from delivr.audit.models import AuditEvent
from delivr.audit.operations import record, record_in_each
from delivr.security.ratelimit import hit
from delivr.signin.clients import address_of
from delivr.tenants.models import ApiToken, Membership, Tenant, User

FAILURES, WINDOW = 20, 3600  # rows per account and seconds, to keep the log short


def connect() -> None:
    """Connect the receivers. Called once, when the app is ready."""
    for signal, receiver in (
        (account.user_logged_in, signed_in),
        (user_logged_out, signed_out),
        (user_login_failed, failed),
        (factors.authentication_failed, factor_failed),
        (account.password_set, password_changed),
        (account.password_changed, password_changed),
        (account.password_reset, password_changed),
        (account.email_changed, email_changed),
        (factors.authenticator_added, factor_added),
        (factors.authenticator_removed, factor_removed),
        (factors.authenticator_reset, codes_renewed),
    ):
        signal.connect(receiver, dispatch_uid=f"audit.{receiver.__name__}")


def signed_in(*, request: HttpRequest, user: User, **_rest: Any) -> None:
    _record(user, user, action="user.signed_in", changes=_from(request))


def signed_out(*, request: HttpRequest, user: User | None, **_rest: Any) -> None:
    if user is not None and user.pk is not None:  # the account was not just deleted
        _record(user, user, action="user.signed_out", changes=_from(request))


def failed(
    *, credentials: dict[str, Any], request: HttpRequest | None = None, **_rest: Any
) -> None:
    """A wrong password for an existing account. Who tried it is unknown, only from which address.

    An address without an account costs as many writes, so that the response time reveals nothing.
    """
    email = str(credentials.get("email") or credentials.get("username") or "").strip().lower()
    user = User.objects.filter(email=email).first()
    if hit(f"audit.signin:{email}", limit=FAILURES, window=WINDOW):
        return
    if user is None:
        hit(f"audit.nobody:{email}", limit=FAILURES, window=WINDOW)
        return
    _record(user, None, action="user.signin_failed", changes=_from(request))


def factor_failed(
    *, request: HttpRequest, user: User, authenticator: Any, reauthentication: bool, **_rest: Any
) -> None:
    """A wrong code from someone who has the password. The user is known only if a signed-in user
    was asked again."""
    if hit(f"audit.factor:{user.pk}", limit=FAILURES, window=WINDOW):
        return
    changes = {"factor": authenticator.type, **_from(request)}
    _record(user, user if reauthentication else None, action="user.factor_failed", changes=changes)


def password_changed(*, request: HttpRequest, user: User, **_rest: Any) -> None:
    _record(user, user, action="user.password_changed", changes={"password": "changed"})


def email_changed(
    *, user: User, from_email_address: Any, to_email_address: Any, **_rest: Any
) -> None:
    before = from_email_address.email if from_email_address else None
    changes = {"email": [before, to_email_address.email]}
    _record(user, user, action="user.email_changed", changes=changes)


def factor_added(*, user: User, authenticator: Any, **_rest: Any) -> None:
    changes = {"factor": [None, authenticator.type]}
    _record(user, user, action="user.factor_added", changes=changes)


def factor_removed(*, user: User, authenticator: Any, **_rest: Any) -> None:
    changes = {"factor": [authenticator.type, None]}
    _record(user, user, action="user.factor_removed", changes=changes)


def codes_renewed(*, user: User, **_rest: Any) -> None:
    _record(user, user, action="user.codes_renewed", changes={"recovery_codes": "changed"})


def _record(user: User, actor: User | None, *, action: str, changes: dict[str, Any]) -> None:
    memberships = Membership.objects.filter(user=user).select_related("tenant")
    tenants: list[Tenant] = [membership.tenant for membership in memberships]
    record_in_each(tenants=tenants, actor=actor, action=action, subject=user, changes=changes)


def _from(request: HttpRequest | None) -> dict[str, Any]:
    return {"address": address_of(request)} if request is not None else {}


# --- Tokens ---------------------------------------------------------------------------------------


@transaction.atomic
def note_address(*, token: ApiToken, request: HttpRequest) -> None:
    """Record that the token is used from an address that it was not used from before."""
    address = address_of(request)
    known = AuditEvent.objects.for_tenant(token.tenant_id).filter(
        action="token.used", subject_id=str(token.pk), changes__address=address
    )
    if not known.exists():
        record(actor=token.user, action="token.used", subject=token, changes={"address": address})
