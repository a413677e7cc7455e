"""The effects that send a release's messages."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from delivr.effects import clock
from delivr.effects.handlers import EffectHandler, Unneeded, wait_for
from delivr.effects.models import Effect, EffectState
from delivr.effects.operations import wake
from delivr.failures import ProviderError
from integrations.models import CommunicationIntegration
from integrations.providers.chat import PostedMessage
from integrations.providers.registry import provider_for
from releases.messages import unreachable
from releases.messages.buttons import buttons_of
from releases.messages.notices import Notice, chat_of, message_key, render
from releases.messages.subjects import subject_of
from releases.of_effects import connection_of, release_of


class PostMessage(EffectHandler):
    """Posts one message to one channel. A release's messages are posted in the order in which they
    were created, in the thread of the first one."""

    cap = timedelta(minutes=15)
    max_attempts = 20
    expires_after = timedelta(hours=6)
    send_again_when_uncertain = True  # at least once, if the channel's history cannot be read

    def prepare(self, effect: Effect) -> None:
        if unreachable.is_silent(effect):
            raise Unneeded
        ahead = self._earlier(effect).open().order_by("created_at").first()
        if ahead is not None:
            raise wait_for(ahead, clock.now())

    def send(self, effect: Effect) -> dict[str, Any]:
        connection = connection_of(effect, CommunicationIntegration)
        release = release_of(effect)
        message = render(
            release,
            Notice(effect.payload["notice"]),
            effect.payload["words"],
            chat=chat_of(connection),
            thread=self._thread(effect),
        )
        notice = Notice(effect.payload["notice"])
        buttons = buttons_of(
            connection, notice, release_id=effect.release_id, build_id=effect.build_id
        )
        message = replace(message, buttons=buttons, subject=subject_of(release, effect.payload))
        posted = provider_for(connection).post(
            channel=effect.payload["channel"], message=message, correlation=effect.pk
        )
        return self._result(posted)

    def find(self, effect: Effect) -> dict[str, Any] | None:
        chat = provider_for(connection_of(effect, CommunicationIntegration))
        found = chat.find(
            channel=effect.payload["channel"],
            correlation=effect.pk,
            since=effect.created_at,
            thread=self._thread(effect),
        )
        return self._result(found) if found else None

    def finish(self, effect: Effect, result: dict[str, Any]) -> None:
        self._wake_next(effect)

    def lock(self, effect: Effect) -> None:
        unreachable.lock(effect)

    def gave_up(self, effect: Effect) -> None:
        unreachable.note(effect)
        self._wake_next(effect)

    def revive(self, effect: Effect) -> None:
        """If its channel is no longer selected, use a selected one that does not have this
        message."""
        connection = connection_of_retry(effect)
        old = effect.payload["channel"]
        if old in connection.channels:
            return
        keys = {key_in(effect, channel): channel for channel in connection.channels}
        mine = Effect.objects.for_tenant(effect.tenant_id)
        taken = set(mine.filter(dedupe_key__in=keys).values_list("dedupe_key", flat=True))
        key = next((key for key in keys if key not in taken), None)
        if key is None:
            words = _(
                "%(channel)s is no longer selected, and the selected channels already "
                "have this message."
            )
            name = effect.payload.get("channel_name") or old
            raise ValidationError({"state": [words % {"channel": name}]})
        channel = keys[key]
        effect.dedupe_key, effect.dispatched_at = key, None
        effect.payload |= {"channel": channel, "channel_name": connection.channel_name(channel)}

    def _result(self, posted: PostedMessage) -> dict[str, Any]:
        return {"ts": posted.id, "url": posted.url}

    def _channel(self, effect: Effect) -> Any:
        return Effect.objects.for_tenant(effect.tenant_id).filter(
            kind=effect.kind,
            release_id=effect.release_id,
            integration_id=effect.integration_id,
            payload__channel=effect.payload["channel"],
        )

    def _earlier(self, effect: Effect) -> Any:
        return self._channel(effect).filter(created_at__lt=effect.created_at)

    def _thread(self, effect: Effect) -> str:
        """The id of the release's first message in this channel, if it was posted."""
        first = (
            self._earlier(effect)
            .filter(payload__notice=Notice.RELEASE_CREATED, state=EffectState.DONE)
            .first()
        )
        return first.result.get("ts", "") if first else ""

    def _wake_next(self, effect: Effect) -> None:
        """Make the next message due now; it was postponed until this one settled."""
        waiting = self._channel(effect).filter(
            state=EffectState.PENDING, created_at__gt=effect.created_at, last_error_code=""
        )
        following = waiting.order_by("created_at").first()
        if following is not None:
            wake(Effect.objects.filter(pk=following.pk))


def connection_of_retry(effect: Effect) -> Any:
    """`connection_of` for a retry: raises ValidationError, and locks the row, so that each of two
    concurrent retries sees which channel the other one took."""
    try:
        found = connection_of(effect, CommunicationIntegration)
    except ProviderError as error:
        raise ValidationError({"state": [error.message]}) from error
    return CommunicationIntegration.objects.select_for_update(no_key=True).get(pk=found.pk)


def key_in(effect: Effect, channel: str) -> str:
    """The `dedupe_key` of the same message in another channel."""
    where = effect.integration_id
    old = message_key("", where, effect.payload["channel"], "")
    return effect.dedupe_key.replace(old, message_key("", where, channel, ""), 1)
