"""The effects that send a release's messages and create its epics."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from delivr.effects import clock
from delivr.effects.handlers import EffectHandler, wait_for
from delivr.effects.models import Effect, EffectState
from delivr.effects.operations import wake
from delivr.failures import ProviderError
from integrations.models import CommunicationIntegration, TargetIntegration, TicketIntegration
from integrations.providers.chat import PostedMessage
from integrations.providers.registry import provider_for
from integrations.providers.tickets import Epic, Ticket
from releases.models import Release, ReleaseTarget
from releases.notices import Notice, chat_of, render


def connection_of(effect: Effect, model: type[Any]) -> Any:
    """The connection that an effect goes through. Raises ProviderError if it is gone."""
    found = model.objects.for_tenant(effect.tenant_id).filter(pk=effect.integration_id).first()
    if found is None:
        raise ProviderError.refused(
            "disconnected", "The connection was removed.", "Connect it again, or cancel this."
        )
    return found


def release_of(effect: Effect) -> Release:
    rows = Release.objects.for_tenant(effect.tenant_id).select_related("repository_part")
    found: Release = rows.get(pk=effect.release_id)
    return found


class PostMessage(EffectHandler):
    """Posts one message to one channel. A release's messages are posted in the order in which they
    were created, in the thread of the first one."""

    cap = timedelta(minutes=15)
    max_attempts = 20
    expires_after = timedelta(hours=6)
    send_again_when_uncertain = True  # at least once, if the channel's history cannot be read

    def prepare(self, effect: Effect) -> None:
        ahead = self._earlier(effect).open().order_by("created_at").first()
        if ahead is not None:
            raise wait_for(ahead, clock.now())

    def send(self, effect: Effect) -> dict[str, Any]:
        connection = connection_of(effect, CommunicationIntegration)
        message = render(
            release_of(effect),
            Notice(effect.payload["notice"]),
            effect.payload["words"],
            chat=chat_of(connection),
            thread=self._thread(effect),
        )
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

    def gave_up(self, effect: Effect) -> None:
        self._wake_next(effect)

    def revive(self, effect: Effect) -> None:
        """If its channel is no longer selected, use a selected one that does not have this
        message."""
        connection = connection_of_retry(effect)
        old = effect.payload["channel"]
        if old in connection.recipients:
            return
        keys = {key_in(effect, channel): channel for channel in connection.recipients}
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
    """The `dedupe_key` of the same message in another channel (see `releases.notices.notify`)."""
    old, new = f":message:{effect.payload['channel']}:", f":message:{channel}:"
    return effect.dedupe_key.replace(old, new, 1)


class CreateEpic(EffectHandler):
    """Creates one epic for one target of a release."""

    cap = timedelta(minutes=30)
    max_attempts = 30
    expires_after = timedelta(hours=24)
    settle = timedelta(seconds=180)  # a search index lags behind
    look_twice = timedelta(seconds=60)

    def send(self, effect: Effect) -> dict[str, Any]:
        tickets = provider_for(connection_of(effect, TicketIntegration))
        return self._result(tickets.create(self._epic(effect), correlation=effect.pk))

    def find(self, effect: Effect) -> dict[str, Any] | None:
        tickets = provider_for(connection_of(effect, TicketIntegration))
        found = tickets.find(self._epic(effect), correlation=effect.pk)
        return self._result(found) if found else None

    def finish(self, effect: Effect, result: dict[str, Any]) -> None:
        self._target(effect).update(epic_key=result["key"], epic_url=result["url"])

    def _result(self, ticket: Ticket) -> dict[str, Any]:
        return {"key": ticket.key, "url": ticket.url}

    def _target(self, effect: Effect) -> Any:
        return ReleaseTarget.objects.for_tenant(effect.tenant_id).filter(
            release_id=effect.release_id, target_id=effect.payload["target"]
        )

    def _epic(self, effect: Effect) -> Epic:
        part = self._target(effect).select_related("target").get()
        return epic_for(release_of(effect), part.target, app=part.app_identifier)


def epic_for(release: Release, target: TargetIntegration, *, app: str = "") -> Epic:
    """The epic of a release and one of its targets; `app` is the one at the release's creation."""
    platform = target.platform.label
    return Epic(
        summary=f"Release {release.version}: {platform}",
        description=(
            f"{platform} release {release.version} of {app or target.app_identifier}, "
            f"built from {release.branch}."
        ),
        labels=("delivr",),
    )
