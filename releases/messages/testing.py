"""The effect that sends a test message to one channel."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings

from delivr.effects.handlers import EffectHandler, Pace
from delivr.effects.models import Effect
from integrations.models import CommunicationIntegration
from integrations.providers.chat import Message
from integrations.providers.registry import provider_for
from releases.messages.notices import Markup
from releases.messages.rules import chat_of
from releases.of_effects import connection_of

EVENT = "test"


def message_of_test(*, chat: type[Markup]) -> Message:
    link = chat.link(f"{settings.BASE_URL}/settings/messages", "Message settings")
    return Message(
        text="🔔 This is a test message from delivr",
        detail=f"Sent to see whether messages arrive here. It is about no release. · {link}",
        event=EVENT,
    )


class PostTest(EffectHandler):
    """Posts a test message. A person waits for the result, so it ends soon.

    Where a lost response cannot be looked up, the test is sent once more: a second test does no
    harm, and to read that it failed would mislead.
    """

    cap = timedelta(seconds=30)
    max_attempts = 4
    expires_after = timedelta(minutes=10)
    send_again_when_uncertain = True

    def pace(self, effect: Effect) -> Pace | None:
        """In turn with the messages of releases."""
        every = chat_of(connection_of(effect, CommunicationIntegration)).pace
        return Pace(effect.payload["channel"], every) if every else None

    def send(self, effect: Effect) -> dict[str, Any]:
        connection = connection_of(effect, CommunicationIntegration)
        posted = provider_for(connection).post(
            channel=effect.payload["channel"],
            message=message_of_test(chat=chat_of(connection)),
            correlation=effect.pk,
        )
        return {"ts": posted.id, "url": posted.url}

    def find(self, effect: Effect) -> dict[str, Any] | None:
        chat = provider_for(connection_of(effect, CommunicationIntegration))
        found = chat.find(
            channel=effect.payload["channel"], correlation=effect.pk, since=effect.created_at
        )
        return {"ts": found.id, "url": found.url} if found else None

    def finish(self, effect: Effect, result: dict[str, Any]) -> None:
        """The effect itself is the result."""
