"""Link an account in a chat to a member, who opens a link that only this account was shown.

The link is that of one press, by the account that is linked: it works for an hour, and once.
"""

from __future__ import annotations

from django.conf import settings
from django.core import signing
from django.db import transaction
from django.urls import reverse
from django.utils.translation import gettext as _

from builds.buttons.models import ButtonPress, ChatAccount, PressState
from delivr.audit.operations import record
from delivr.failures import Conflict
from delivr.tenants.models import User

SALT = "builds.buttons.linking"
VALID = 3600  # seconds


def link_for(press: ButtonPress) -> str:
    """The page on which the member who pressed links the account."""
    token = signing.dumps(press.pk, salt=SALT)
    return f"{settings.BASE_URL}{reverse('chat_accounts')}?token={token}"


def read(token: str) -> ButtonPress | None:
    """The press that the link is for; None if the link is not ours, too old or was used."""
    try:
        press_id = signing.loads(token, salt=SALT, max_age=VALID)
    except signing.BadSignature:
        return None
    unknown = ButtonPress.objects.filter(state=PressState.REFUSED, actor=None)
    return unknown.select_related("communication").filter(pk=str(press_id)).first()


@transaction.atomic
def link(press: ButtonPress, *, user: User) -> ChatAccount:
    """From now on, presses of the account that made this one are the user's. Replaces an earlier
    link. Raises Conflict if somebody used the press's link meanwhile."""
    mine = ButtonPress.objects.filter(pk=press.pk, actor=None)
    if not mine.update(actor=user):
        raise Conflict("link_used", _("This link was used in the meantime."))
    account, _is_new = ChatAccount.objects.update_or_create(
        tenant_id=press.tenant_id,
        team=press.team,
        chat_user=press.user,
        defaults={"user": user, "chat_name": press.user_name},
    )
    record(actor=user, action="chat_account.linked", subject=account)
    return account


@transaction.atomic
def unlink(account: ChatAccount, *, actor: User) -> None:
    record(actor=actor, action="chat_account.unlinked", subject=account)
    account.delete()
