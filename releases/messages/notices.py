"""The messages in the tenant's channels: one effect for each notice, connection and channel."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Protocol, cast

from django.conf import settings
from django.template.loader import render_to_string

from delivr.effects.operations import create_effects
from integrations.choices import Preset
from integrations.providers.chat import ChatProvider, Message
from releases.messages.member_mail import mail_members
from releases.repository.summary import summary_of

if TYPE_CHECKING:
    from integrations.models import CommunicationIntegration
    from releases.models import Release


class Notice(enum.StrEnum):
    """A kind of message; its text is in `templates/messages/<value>.txt`."""

    RELEASE_CREATED = "release_created"
    RELEASE_COMPLETE = "release_complete"
    RELEASE_FAILED = "release_failed"
    RELEASE_CANCELLED = "release_cancelled"
    RELEASE_SUBMITTED = "release_submitted"
    RELEASE_RELEASED = "release_released"
    RELEASE_NOT_SUBMITTED = "release_not_submitted"
    RELEASE_NOT_RELEASED = "release_not_released"
    BUILD_STARTED = "build_started"
    BUILD_COMPLETE = "build_complete"
    BUILD_FAILED = "build_failed"
    BUILD_NOT_STARTED = "build_not_started"
    BUILD_CANCELLED = "build_cancelled"


# Posted to the whole channel; all others only to the release's thread.
BROADCAST = {
    Notice.RELEASE_COMPLETE,
    Notice.RELEASE_FAILED,
    Notice.RELEASE_CANCELLED,
    Notice.RELEASE_SUBMITTED,
    Notice.RELEASE_RELEASED,
    Notice.RELEASE_NOT_SUBMITTED,
    Notice.RELEASE_NOT_RELEASED,
    Notice.BUILD_FAILED,
    Notice.BUILD_NOT_STARTED,
}
MAX_CHANNEL = 60
_TELLS_CHANGES = {Notice.RELEASE_CREATED, Notice.RELEASE_COMPLETE}
MILESTONES = {Notice.RELEASE_CREATED, *BROADCAST}
_KEY_WORD = {
    Notice.RELEASE_CREATED: "created",
    Notice.RELEASE_COMPLETE: "complete",
    Notice.RELEASE_FAILED: "failed",
    Notice.RELEASE_CANCELLED: "cancelled",
    Notice.RELEASE_SUBMITTED: "submitted",
    Notice.RELEASE_RELEASED: "released",
    Notice.RELEASE_NOT_SUBMITTED: "not-submitted",
    Notice.RELEASE_NOT_RELEASED: "not-released",
    Notice.BUILD_STARTED: "started",
    Notice.BUILD_COMPLETE: "complete",
    Notice.BUILD_FAILED: "failed",
    Notice.BUILD_NOT_STARTED: "not-started",
    Notice.BUILD_CANCELLED: "cancelled",
}


class Rule(enum.StrEnum):
    """What a channel hears of an event."""

    ON = "on"
    OFF = "off"
    THREAD = "thread"  # where there is a thread: there only


_QUIET = {
    Notice.RELEASE_CREATED,
    Notice.RELEASE_COMPLETE,
    Notice.RELEASE_FAILED,
    Notice.RELEASE_CANCELLED,
    Notice.RELEASE_RELEASED,
    Notice.BUILD_FAILED,
    Notice.BUILD_NOT_STARTED,
}


def rule_for(communication: CommunicationIntegration, channel: str, notice: Notice) -> Rule:
    """The rule that was set for the channel and the event, or else that of the preset."""
    chosen = communication.rule_of(channel, event_of(notice))
    return Rule(chosen) if chosen else preset_rule(communication, notice)


def preset_rule(communication: CommunicationIntegration, notice: Notice) -> Rule:
    chat = chat_of(communication)
    if communication.preset == Preset.EVERYTHING:
        return Rule.ON
    if communication.preset == Preset.QUIET:
        return Rule.ON if notice in _QUIET else Rule.OFF
    if notice in MILESTONES or chat.tells_steps:
        return Rule.ON
    return Rule.THREAD if chat.threads or chat.edits_in_place else Rule.OFF


def event_of(notice: Notice) -> str:
    """Its name for the outside: `build.failed`."""
    return notice.value.replace("_", ".", 1)


def chat_of(communication: CommunicationIntegration) -> type[ChatProvider]:
    return cast("type[ChatProvider]", communication.provider_class)


def channels_of(communication: CommunicationIntegration, notice: Notice) -> list[str]:
    """The channels of the connection that hear of it."""
    return [
        channel
        for channel in communication.channels
        if rule_for(communication, channel, notice) != Rule.OFF
    ]


def notify(
    release: Release,
    notice: Notice,
    *,
    build_id: str = "",
    cause: str = "",
    event_id: int | None = None,
    words: dict[str, Any] | None = None,
    places: Collection[tuple[str, str]] | None = None,
) -> None:
    """Create the effect that posts the message, for each channel, in the caller's transaction.

    `words` are further variables of the template: the platform, the build's number and URL.
    `event_id` is the build event that caused the message. `places` limits it to
    some pairs of a connection and a channel.
    """
    subject = f"build:{build_id}" if build_id else f"release:{release.pk}"
    payload = {"notice": notice, "words": words or {}, **from_event(event_id)}
    suffix = f"{_KEY_WORD[notice]}:{cause}" if cause else _KEY_WORD[notice]
    create_effects(
        tenant=release.tenant,
        kind="message.post",
        effects=[
            {
                "integration_id": communication.pk,
                "release_id": release.pk,
                "build_id": build_id,
                "dedupe_key": message_key(subject, communication.pk, channel, suffix),
                "payload": {
                    "channel": channel,
                    "channel_name": communication.channel_name(channel),
                    **payload,
                },
            }
            for communication in release.communications
            for channel in channels_of(communication, notice)
            if places is None or (communication.pk, channel) in places
        ],
    )
    mail_members(release, notice, words or {}, key=f"{subject}:mail:{suffix}")


def message_key(subject: str, communication_id: str, channel: str, suffix: str) -> str:
    """The `dedupe_key` of a message; a long channel (an email address) is hashed."""
    if len(channel) > MAX_CHANNEL:
        channel = hashlib.sha256(channel.encode()).hexdigest()[:32]
    return f"{subject}:message:{communication_id}:{channel}:{suffix}"


def from_event(event_id: int | None) -> dict[str, int]:
    """The part of an effect's payload that names the build event that caused it."""
    return {} if event_id is None else {"event": event_id}


class Markup(Protocol):
    """How a chat writes words from outside, and links."""

    @staticmethod
    def escape(text: str) -> str: ...

    @staticmethod
    def link(url: str, label: str) -> str: ...


class PlainText:
    """For our own pages, which escape by themselves."""

    @staticmethod
    def escape(text: str) -> str:
        return text

    @staticmethod
    def link(url: str, label: str) -> str:
        return f"{label}: {url}"


def render(
    release: Release,
    notice: Notice,
    words: dict[str, Any],
    *,
    chat: type[Markup],
    thread: str = "",
) -> Message:
    """The message in the chat's markup, with a link to the release's page. Names of branches and
    jobs are escaped."""
    data = {"version": release.version, "branch": release.branch, **words}
    data.setdefault("apps", release.apps)
    if notice in _TELLS_CHANGES and (changes := summary_of(release)):
        data["changes"] = changes
    link, url = f"{settings.BASE_URL}/releases/{release.pk}", data.get("url")
    context = {
        **{name: chat.escape(v) if isinstance(v, str) else v for name, v in data.items()},
        "release_page": chat.link(link, "Open the release"),
        "build_page": chat.link(url, "Build") if url else "",
        "changes_page": chat.link(f"{link}/changes", data["changes"]) if "changes" in data else "",
    }
    return Message(
        text=render_to_string(f"messages/{notice}.txt", context).strip(),
        detail=render_to_string(f"messages/{notice}.detail.txt", context).strip(),
        thread=thread,
        broadcast=bool(thread) and notice in BROADCAST,
        event=notice,
        data={"release": release.pk, **data},
    )
