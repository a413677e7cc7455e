"""Tell the person who pressed a button what came of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils.translation import gettext as _

from builds.buttons.linking import link_for
from builds.buttons.models import LINK, ButtonPress
from delivr.effects.handlers import EffectHandler
from delivr.effects.models import Effect
from integrations.models import CommunicationIntegration
from integrations.providers.registry import provider_for
from releases.of_effects import connection_of


class AnswerPress(EffectHandler):
    """Shown to this person alone. After a lost response it is not shown again."""

    max_attempts = 4
    expires_after = timedelta(minutes=10)

    def send(self, effect: Effect) -> dict[str, Any]:
        press = ButtonPress.objects.for_tenant(effect.tenant_id).get(pk=effect.payload["press"])
        chat = provider_for(connection_of(effect, CommunicationIntegration))
        link = chat.link(link_for(press), _("Link your account"))
        text = chat.escape(press.answer).replace(LINK, link)
        chat.answer(channel=press.channel, user=press.user, thread=press.thread, text=text)
        return {}

    def find(self, effect: Effect) -> dict[str, Any] | None:
        return {}

    def finish(self, effect: Effect, result: dict[str, Any]) -> None:
        return
