"""Emails about a connection, such as that its credentials are refused (`mail.refused`)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.template.loader import render_to_string
from django.utils import timezone

from delivr import mail
from delivr.effects.handlers import EffectHandler, Unneeded
from delivr.effects.models import Effect
from delivr.effects.operations import create_effects
from delivr.pages.timezones import zone_of
from delivr.tenants.inviting import MAIL_SERVER
from delivr.tenants.models import Membership, Role
from integrations.choices import Verification
from integrations.models import Connection, find_connection

OWNERS = (Role.OWNER,)


def create_mails(connection: Connection) -> None:
    """Create a mail to each owner, at most one a day about the same connection."""
    today = timezone.now().date().isoformat()
    create_mail_to_each(
        connection, "mail.refused", OWNERS, occasion=f"refused:{connection.pk}:{today}"
    )


def create_mail_to_each(
    connection: Connection, kind: str, roles: Iterable[Role], *, occasion: str
) -> None:
    """Create a mail to each member with one of the roles, at most one on the same occasion."""
    members = Membership.objects.for_tenant(connection.tenant_id).filter(role__in=roles)
    create_effects(
        tenant=connection.tenant,
        kind=kind,
        effects=[
            {
                "integration_id": MAIL_SERVER,
                "dedupe_key": f"{occasion}:{member.public_id}",
                "payload": {"connection": connection.pk, "member": member.public_id},
            }
            for member in members
        ],
    )


class ConnectionMail(EffectHandler):
    """An email about a connection to a member who still has the role, as long as it still applies.

    A mail server cannot be asked whether it accepted an email. If its response was lost, the email
    is sent again: a duplicate does less harm than a missing email.
    """

    cap = timedelta(minutes=30)
    max_attempts = 40
    expires_after = timedelta(hours=24)
    roles: ClassVar[Iterable[Role]]
    template: ClassVar[str]  # the prefix of the templates' names

    @abstractmethod
    def still_applies(self, connection: Connection) -> bool:
        """True while what the mail says is true."""

    def extra_context(self, connection: Connection) -> dict[str, Any]:
        """The templates' context besides `connection` and `link`."""
        return {}

    def prepare(self, effect: Effect) -> None:
        self._look_up(effect)

    def send(self, effect: Effect) -> dict[str, Any]:
        connection, member = self._look_up(effect)
        link = f"{settings.BASE_URL}/integrations"
        context = {"connection": connection, "link": link, **self.extra_context(connection)}
        with timezone.override(zone_of(member.user)):
            subject = render_to_string(f"{self.template}_subject.txt", context)
            body = render_to_string(f"{self.template}_message.txt", context)
        mail.send(to=member.user.email, subject=subject, body=body)
        return {}

    def find(self, effect: Effect) -> dict[str, Any] | None:
        return None

    def finish(self, effect: Effect, result: dict[str, Any]) -> None:
        """Nothing to store besides the effect's state."""

    def _look_up(self, effect: Effect) -> tuple[Connection, Membership]:
        payload = effect.payload
        connection = find_connection(tenant=effect.tenant, connection_id=payload["connection"])
        members = Membership.objects.for_tenant(effect.tenant_id).filter(role__in=self.roles)
        members = members.filter(public_id=payload["member"], user__is_active=True)
        member: Membership | None = members.select_related("user").first()
        if connection is None or member is None or not self.still_applies(connection):
            raise Unneeded
        return connection, member


class RefusalMail(ConnectionMail):
    roles, template = OWNERS, "integrations/refused"

    def still_applies(self, connection: Connection) -> bool:
        return connection.verification_status in (Verification.INVALID, Verification.EXPIRED)
