"""The messages and epics of a release with their states, as plain values."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.utils.translation import gettext as _

from delivr.effects.models import Effect, EffectState
from releases.messages.events import Notice
from releases.messages.in_place import EDIT, POST, message_of
from releases.messages.standing import template_of
from releases.models import Release, ReleaseTarget
from releases.wording import notice_words, web_address


@dataclass(frozen=True)
class SentEffect:
    """One effect with its state."""

    id: str
    state: str
    text: str
    channel: str
    attempts: int
    error: str
    hint: str
    note: str  # what is known of it, if that is less than that it was posted
    next_at: datetime | None
    at: datetime
    url: str
    may_retry: bool
    in_doubt: bool  # it may have been sent: a retry searches for it before it sends again
    may_adopt: bool  # a trigger that gave up: a person may know the build's number

    @classmethod
    def of(cls, effect: Effect, now: datetime) -> SentEffect:
        return cls(
            id=effect.pk,
            state=effect.state,
            text=notice_words(effect.payload),
            channel=str(effect.payload.get("channel", "")),
            attempts=effect.attempts,
            error=effect.last_error,
            hint=effect.last_error_hint,
            note=str(effect.result.get("note", "")),
            next_at=_next_attempt(effect, now),
            at=effect.done_at or effect.created_at,
            url=web_address(effect.result.get("url")),
            may_retry=effect.may_retry,
            in_doubt=_is_in_doubt(effect),
            may_adopt=_may_adopt(effect),
        )


@dataclass(frozen=True)
class SentMessage:
    """The same message in one or several channels."""

    text: str
    sent: tuple[SentEffect, ...]  # one for each channel, sorted by its name

    @property
    def at(self) -> datetime:
        return max(one.at for one in self.sent)

    @property
    def troubles(self) -> list[tuple[SentEffect, ...]]:
        """The failed ones, with the channels of the same error together; waiting ones are reported
        once for all messages."""
        groups: dict[tuple[str, bool], list[SentEffect]] = {}
        for one in self.sent:
            if one.error and one.state == EffectState.DEAD:
                groups.setdefault((one.error, one.in_doubt), []).append(one)
        return [tuple(group) for group in groups.values()]

    @property
    def state(self) -> str:
        """The state of all of them; "" if they differ."""
        states = {one.state for one in self.sent}
        return states.pop() if len(states) == 1 else ""


_BEGINNINGS = (POST, "event.send")
_OF_A_CHANNEL = ("channel", "channel_name", "name", "sequence", "broadcast", "kept")


def messages(release: Release, effects: Iterable[Effect], now: datetime) -> tuple[SentMessage, ...]:
    """The messages, newest first. One that is edited is one line, with what it says now."""
    rows: dict[str, list[Effect]] = {}  # the post and its edits, by message
    for effect in effects:
        if effect.kind in (*_BEGINNINGS, EDIT):
            rows.setdefault(message_of(effect), []).append(effect)
    groups: dict[str, list[SentEffect]] = {}
    for mine in rows.values():
        post = next((row for row in mine if row.kind in _BEGINNINGS), None)
        if post is not None:
            sent = _newest(post, [row for row in mine if row is not post], now)
            name = _channel_name(release, post)
            groups.setdefault(_same_message(post), []).append(
                replace(sent, channel=name or sent.channel)
            )
    return tuple(
        SentMessage(group[0].text, tuple(sorted(group, key=lambda sent: sent.channel)))
        for group in reversed(groups.values())
    )


def _newest(post: Effect, edits: Sequence[Effect], now: datetime) -> SentEffect:
    """The message as its newest edit leaves it, or as it was posted."""
    last = max(edits, key=lambda edit: edit.created_at, default=post)
    is_posted = post.state == EffectState.DONE
    sent = SentEffect.of(last if is_posted and last.state != EffectState.CANCELLED else post, now)
    text = notice_words(last.payload)
    if _tells_status(post, last):
        text = _("Status of the release: %(status)s") % {"status": text}
    return replace(sent, text=text, url=web_address(post.result.get("url")))


def _tells_status(post: Effect, last: Effect) -> bool:
    """The first message of a release is edited to say how the release stands, which another
    message may say, too."""
    is_first = post.payload.get("kept") and not post.build_id
    return bool(is_first) and template_of(last.payload) != Notice.RELEASE_CREATED


def _same_message(post: Effect) -> str:
    """Equal for the same message in several channels."""
    if post.payload.get("kept"):
        return f"kept {post.build_id}"
    same = {name: v for name, v in post.payload.items() if name not in _OF_A_CHANNEL}
    same["build"] = post.build_id
    return json.dumps(same, sort_keys=True, default=str)


def _channel_name(release: Release, effect: Effect) -> str:
    channel = str(effect.payload.get("channel", ""))
    several = len(release.communication_ids) > 1
    for communication in release.communications:
        if communication.pk == effect.integration_id:
            name = communication.channel_name(channel)
            return communication.full_name_of(channel) if several else name
    return ""


def _next_attempt(effect: Effect, now: datetime) -> datetime | None:
    """When it is tried again. What waits for its connection to be fixed is due only when it
    expires."""
    is_attempt = effect.is_open and now < effect.next_at < effect.expires_at
    return effect.next_at if is_attempt else None


def _is_in_doubt(effect: Effect) -> bool:
    can_look = effect.last_error_code != "cannot_correlate"
    return effect.may_retry and effect.dispatched_at is not None and can_look


def _may_adopt(effect: Effect) -> bool:
    was_sent = effect.dispatched_at is not None
    return effect.may_retry and effect.kind == "build.trigger" and was_sent


@dataclass(frozen=True)
class EpicLine:
    """The epic of one target: its key, or the state of its creation."""

    target: str
    provider: str
    key: str
    url: str
    sent: SentEffect | None


def epics(release: Release, effects: Sequence[Effect], now: datetime) -> tuple[EpicLine, ...]:
    if release.ticket_id is None:
        return ()
    return tuple(_epic(target, effects, now) for target in release.targets.all())


def _epic(target: ReleaseTarget, effects: Sequence[Effect], now: datetime) -> EpicLine:
    sent = None
    for effect in effects:
        is_epic = effect.kind == "ticket.create_epic"
        if is_epic and effect.payload.get("target") == target.target_id:
            sent = SentEffect.of(effect, now)
    return EpicLine(
        target=str(target.target),
        provider=target.target.slug,
        key=target.epic_key,
        url=web_address(target.epic_page),
        sent=sent,
    )
