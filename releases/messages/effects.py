"""The effects that send a release's messages, and edit them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Max, Q
from django.utils.translation import gettext as _

from delivr.effects import clock
from delivr.effects.handlers import EffectHandler, Pace, Postpone, Unneeded, wait_for
from delivr.effects.models import Effect, EffectQuerySet, EffectState
from delivr.effects.operations import create_effects, wake
from delivr.failures import ProviderError
from integrations.models import CommunicationIntegration
from integrations.providers.chat import CANNOT_EDIT, MESSAGE_LOST, Message, PostedMessage
from integrations.providers.registry import provider_for
from releases.messages import unreachable
from releases.messages.buttons import buttons_of
from releases.messages.events import BROADCAST, Notice
from releases.messages.in_place import (
    POST,
    change_messages,
    edits_of,
    said_by,
)
from releases.messages.mentions import look_up, with_mentions
from releases.messages.muting import refuse_muted
from releases.messages.notices import message_key, render, render_standing
from releases.messages.rules import chat_of
from releases.messages.standing import template_of
from releases.messages.subjects import subject_of
from releases.of_effects import connection_of, release_of
from releases.operations import lock_release


class _MessageHandler(EffectHandler):
    """What posting and editing share."""

    cap = timedelta(minutes=15)
    max_attempts = 20
    expires_after = timedelta(hours=6)

    def pace(self, effect: Effect) -> Pace | None:
        every = chat_of(connection_of(effect, CommunicationIntegration)).pace
        return Pace(effect.payload["channel"], every) if every else None

    def posts(self, effect: Effect) -> EffectQuerySet:
        """The messages of the release in the effect's channel."""
        found: EffectQuerySet = Effect.objects.for_tenant(effect.tenant_id).filter(
            kind=POST,
            release_id=effect.release_id,
            integration_id=effect.integration_id,
            payload__channel=effect.payload["channel"],
        )
        return found

    def parents(self, effect: Effect) -> EffectQuerySet:
        """The messages that began a thread for the release there; the newest one counts."""
        found: EffectQuerySet = self.posts(effect).filter(_PARENT, build_id="")
        return found

    def message(self, effect: Effect, kept: Effect | None, *, thread: str) -> Message:
        """What to send: for a message that is `kept` true, what is so now."""
        connection, release = connection_of(effect, CommunicationIntegration), release_of(effect)
        if kept is not None and not kept.build_id:
            return render_standing(release, chat=chat_of(connection))
        said = effect.payload if kept is None else said_by(kept)
        notice = said["notice"]
        message = render(
            release,
            template_of(said),
            said["words"],
            chat=chat_of(connection),
            thread=thread,
            broadcast=effect.payload.get("broadcast", notice in BROADCAST),
        )
        buttons = buttons_of(
            connection, notice, release_id=effect.release_id, build_id=effect.build_id
        )
        return replace(message, buttons=buttons, subject=subject_of(release, said))


# Where messages are not edited, the notice tells which of them begins the thread.
_PARENT = Q(payload__kept=True) | Q(
    payload__notice=Notice.RELEASE_CREATED, payload__kept__isnull=True
)


class PostMessage(_MessageHandler):
    """Posts one message to one channel. A release's messages are posted in the order in which they
    were created, in the thread of the first one."""

    send_again_when_uncertain = True  # at least once, if the channel's history cannot be read

    def prepare(self, effect: Effect) -> None:
        refuse_muted(release_of(effect))
        if unreachable.is_silent(effect):
            raise Unneeded
        ahead = self._earlier(effect).open().order_by("created_at").first()
        ahead = ahead or self.parents(effect).exclude(pk=effect.pk).open().first()
        if ahead is not None and not self._is_parent(effect):
            raise wait_for(ahead, clock.now())
        look_up(effect, connection_of(effect, CommunicationIntegration))

    def send(self, effect: Effect) -> dict[str, Any]:
        connection = connection_of(effect, CommunicationIntegration)
        kept = effect if effect.payload.get("kept") else None
        message = self.message(effect, kept, thread=self._thread(effect))
        posted = provider_for(connection).post(
            channel=effect.payload["channel"],
            message=with_mentions(message, effect, connection),
            correlation=effect.pk,
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
        return {**self._result(found), "found": True} if found else None

    def finish(self, effect: Effect, result: dict[str, Any]) -> None:
        if result.pop("found", False) and effect.payload.get("kept"):
            self._say_again(effect)
        else:  # it says what is so: edits that failed meanwhile have nothing to add
            edits_of(effect).filter(state=EffectState.DEAD).update(state=EffectState.CANCELLED)
        self._wake_next(effect)

    def lock(self, effect: Effect) -> None:
        """If it is found as an earlier attempt posted it, `finish` has it say what is so now:
        nobody may change that in between."""
        if effect.payload.get("kept"):
            lock_release(effect.release_id)
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
        note = {"note": posted.note} if posted.note else {}
        return {"ts": posted.id, "url": posted.url, **note}

    def _earlier(self, effect: Effect) -> EffectQuerySet:
        found: EffectQuerySet = self.posts(effect).filter(created_at__lt=effect.created_at)
        return found

    def _is_parent(self, effect: Effect) -> bool:
        return self.parents(effect).filter(pk=effect.pk).exists()

    def _thread(self, effect: Effect) -> str:
        """The id of the release's own message in this channel, if it was posted."""
        if self._is_parent(effect):
            return ""
        parent = self.parents(effect).filter(state=EffectState.DONE).order_by("created_at").last()
        return parent.result.get("ts", "") if parent else ""

    def _say_again(self, effect: Effect) -> None:
        """It was found as an earlier attempt had posted it: meanwhile, more may have happened."""
        change_messages(release_of(effect), [effect], _said(effect))

    def _wake_next(self, effect: Effect) -> None:
        """Make due what was postponed until this one settled: the next message, and the edit."""
        waiting = self.posts(effect).filter(
            state=EffectState.PENDING, created_at__gt=effect.created_at, last_error_code=""
        )
        edits = edits_of(effect).filter(state=EffectState.PENDING)
        following = (waiting.order_by("created_at").first(), edits.first())
        if next_ids := [row.pk for row in following if row]:
            wake(Effect.objects.filter(pk__in=next_ids))


class EditMessage(_MessageHandler):
    """Has a message say what is so now. The last one to be sent wins, so after a lost response it
    is simply sent again. A message that cannot be edited is posted anew."""

    idempotent = True

    def prepare(self, effect: Effect) -> None:
        refuse_muted(release_of(effect))
        self._leave_old_channels(effect)
        message = self._message(effect)
        if message.is_open:
            raise wait_for(message, clock.now())
        if message.state != EffectState.DONE or self._is_replaced(message):
            raise Unneeded
        edits = edits_of(message)
        ahead = edits.filter(created_at__lt=effect.created_at).exclude(pk=effect.pk).open().first()
        if ahead is not None:
            raise wait_for(ahead, clock.now())
        last = edits.aggregate(last=Max("dispatched_at"))["last"]
        pause = chat_of(connection_of(effect, CommunicationIntegration)).edit_pace
        if last is not None and (wait := last + pause - clock.now()) > timedelta(0):
            raise Postpone(wait)

    def send(self, effect: Effect) -> dict[str, Any]:
        message = self._message(effect)
        chat = provider_for(connection_of(effect, CommunicationIntegration))
        try:
            chat.edit(
                channel=message.payload["channel"],
                id=message.result["ts"],
                message=self.message(effect, message, thread=""),
            )
        except ProviderError as error:
            if error.code not in (MESSAGE_LOST, CANNOT_EDIT):
                raise
            return {"refused": error.code, "why": error.message}
        return {"url": message.result.get("url", "")}

    def find(self, effect: Effect) -> dict[str, Any] | None:
        return None

    def lock(self, effect: Effect) -> None:
        lock_release(effect.release_id)

    def finish(self, effect: Effect, result: dict[str, Any]) -> None:
        message = self._message(effect)
        if "refused" in result and not self._is_replaced(message):
            self._post_anew(message, is_lost=result["refused"] == MESSAGE_LOST)
        self._wake_next(message)

    def gave_up(self, effect: Effect) -> None:
        self._wake_next(self._message(effect))

    def _wake_next(self, message: Effect) -> None:
        wake(edits_of(message))

    def _leave_old_channels(self, effect: Effect) -> None:
        """An edit that failed is pointless once another channel was chosen."""
        chosen = connection_of(effect, CommunicationIntegration).channels
        if effect.last_error_code and effect.payload["channel"] not in chosen:
            name = effect.payload.get("channel_name") or effect.payload["channel"]
            raise Unneeded(_("%(channel)s is no longer selected.") % {"channel": name})

    def _message(self, effect: Effect) -> Effect:
        mine = Effect.objects.for_tenant(effect.tenant_id)
        found: Effect = mine.select_related("tenant").get(pk=effect.payload["message"])
        return found

    def _is_replaced(self, message: Effect) -> bool:
        """True once another message was posted in its place, which says what is so now."""
        newer = self.posts(message).filter(payload__kept=True, build_id=message.build_id)
        return bool(newer.filter(created_at__gt=message.created_at).exists())

    def _post_anew(self, message: Effect, *, is_lost: bool) -> None:
        """The new message is the one that is edited from now on. A release's message that is still
        there keeps its thread: how the release stands becomes a reply in it."""
        payload = {**message.payload, **_said(message), "broadcast": False}
        key = f"message:{message.pk}:again"
        if not message.build_id and not is_lost:
            payload["kept"] = False
            key = f"message:{message.pk}:{template_of(payload)}"
        new = {
            "integration_id": message.integration_id,
            "release_id": message.release_id,
            "build_id": message.build_id,
            "dedupe_key": key,
            "payload": payload,
        }
        create_effects(tenant=message.tenant, kind=POST, effects=[new])


def _said(message: Effect) -> dict[str, Any]:
    said = said_by(message)
    return {name: said[name] for name in ("notice", "words", "event") if name in said}


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
