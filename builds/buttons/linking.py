"""Link an account in a chat to a member, who opens a link that only this account was shown."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.core import signing
from django.db import transaction
from django.urls import reverse

from builds.buttons.models import ButtonPress, ChatAccount
from delivr.audit.operations import record
from delivr.tenants.models import Tenant, User

SALT = "builds.buttons.linking"
VALID = 3600  # seconds


@dataclass(frozen=True)
class Linkable:
    """An account in a chat that may be linked, in one workspace."""

    tenant_id: str
    team: str
    chat_user: str
    chat_name: str


def link_for(press: ButtonPress) -> str:
    """The page on which the member who pressed links the account; valid for an hour."""
    about = [press.tenant_id, press.team, press.user, press.user_name]
    token = signing.dumps(about, salt=SALT, compress=True)
    return f"{settings.BASE_URL}{reverse('chat_accounts')}?token={token}"


def read(token: str) -> Linkable | None:
    """What the link is about; None if it is not ours, or too old."""
    try:
        about = signing.loads(token, salt=SALT, max_age=VALID)
    except signing.BadSignature:
        return None
    return Linkable(*about)


@transaction.atomic
def link(found: Linkable, *, tenant: Tenant, user: User) -> ChatAccount:
    """From now on, presses of this account are the user's. Replaces an earlier link."""
    account, _is_new = ChatAccount.objects.update_or_create(
        tenant=tenant,
        team=found.team,
        chat_user=found.chat_user,
        defaults={"user": user, "chat_name": found.chat_name},
    )
    record(actor=user, action="chat_account.linked", subject=account)
    return account


@transaction.atomic
def unlink(account: ChatAccount, *, actor: User) -> None:
    record(actor=actor, action="chat_account.unlinked", subject=account)
    account.delete()
