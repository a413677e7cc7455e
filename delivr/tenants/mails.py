"""Sends the mail of an invitation: the effect `mail.send`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.template.loader import render_to_string
from django.urls import reverse

from delivr import mail
from delivr.effects.handlers import EffectHandler, Unneeded
from delivr.effects.models import Effect
from delivr.failures import ProviderError
from delivr.tenants.inviting import make_link_secret
from delivr.tenants.models import Invitation


class SendInvitation(EffectHandler):
    """The link's secret is created here and is only in the mail. A mail server cannot be asked
    whether it accepted a mail: if its response was lost, a person decides."""

    cap = timedelta(minutes=30)
    max_attempts = 40
    expires_after = timedelta(hours=24)

    def prepare(self, effect: Effect) -> None:
        if not self._invitation(effect).is_live:
            raise Unneeded

    def send(self, effect: Effect) -> dict[str, Any]:
        invitation = self._invitation(effect)
        path = reverse("invitation_link", args=[make_link_secret(invitation)])
        context = {"invitation": invitation, "link": f"{settings.BASE_URL}{path}"}
        mail.send(
            to=invitation.email,
            subject=render_to_string("invitations/email_subject.txt", context),
            body=render_to_string("invitations/email_message.txt", context),
        )
        return {}

    def find(self, effect: Effect) -> dict[str, Any] | None:
        raise ProviderError.refused(
            "cannot_correlate",
            "The email may have been sent: the mail server's response was lost.",
            "Send it again if it did not arrive. An earlier link then stops working.",
        )

    def finish(self, effect: Effect, result: dict[str, Any]) -> None:
        """The state of the effect is all that is stored."""

    def _invitation(self, effect: Effect) -> Invitation:
        rows = Invitation.objects.for_tenant(effect.tenant_id).select_related("tenant", "inviter")
        found: Invitation = rows.get(pk=effect.payload["invitation"])
        return found
