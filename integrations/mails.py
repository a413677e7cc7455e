"""Owners hear by e-mail that a connection's credentials are refused: `mail.refused`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.template.loader import render_to_string
from django.utils import timezone

from delivr import mail
from delivr.effects.handlers import EffectHandler, Unneeded
from delivr.effects.models import Effect
from delivr.effects.operations import promise_each
from delivr.tenants.inviting import MAIL_SERVER
from delivr.tenants.models import Membership, Role
from integrations.choices import Verification
from integrations.models import Connection, find_connection

KIND = "mail.refused"
REFUSED = (Verification.INVALID, Verification.EXPIRED)


def promise_mails(connection: Connection) -> None:
    """One mail to each owner, and no more than one a day about the same connection."""
    today = timezone.now().date().isoformat()
    owners = Membership.objects.for_tenant(connection.tenant).filter(role=Role.OWNER)
    promise_each(
        tenant=connection.tenant,
        kind=KIND,
        promises=[
            {
                "integration_id": MAIL_SERVER,
                "dedupe_key": f"refused:{connection.pk}:{today}:{owner.public_id}",
                "payload": {"connection": connection.pk, "member": owner.public_id},
            }
            for owner in owners
        ],
    )


class TellOfRefusal(EffectHandler):
    """Pointless once the connection works again. Nobody can ask a mail server whether it took a
    mail: where its answer was lost it is sent a second time, which harms less than silence."""

    cap = timedelta(minutes=30)
    max_attempts = 40
    expires_after = timedelta(hours=24)

    def prepare(self, effect: Effect) -> None:
        connection = self._connection(effect)
        is_mended = connection is None or connection.verification_status not in REFUSED
        if is_mended or self._owner(effect) is None:
            raise Unneeded

    def send(self, effect: Effect) -> dict[str, Any]:
        connection, owner = self._connection(effect), self._owner(effect)
        if connection is None or owner is None:
            raise Unneeded
        context = {"connection": connection, "link": f"{settings.BASE_URL}/integrations"}
        mail.send(
            to=owner.user.email,
            subject=render_to_string("integrations/refused_subject.txt", context),
            body=render_to_string("integrations/refused_message.txt", context),
        )
        return {}

    def find(self, effect: Effect) -> dict[str, Any] | None:
        return None

    def finish(self, effect: Effect, result: dict[str, Any]) -> None:
        """The effect's own state is all there is to tell."""

    def _connection(self, effect: Effect) -> Connection | None:
        return find_connection(tenant=effect.tenant, connection_id=effect.payload["connection"])

    def _owner(self, effect: Effect) -> Membership | None:
        owners = Membership.objects.for_tenant(effect.tenant_id).filter(role=Role.OWNER)
        members = owners.filter(public_id=effect.payload["member"], user__is_active=True)
        found: Membership | None = members.select_related("user").first()
        return found
