"""The messages in the tenant's channels: one effect for each notice, connection and channel."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from django.conf import settings
from django.db.models import prefetch_related_objects
from django.template.loader import render_to_string

from delivr.effects.operations import create_effects
from integrations.providers.chat import Message
from releases.messages.endpoint_events import tell
from releases.messages.events import Notice as Notice
from releases.messages.events import event_of
from releases.messages.in_place import POST, Place, change_messages, kept_messages
from releases.messages.member_mail import mail_members
from releases.messages.rules import Rule, chat_of, rule_for
from releases.messages.standing import (
    BUILDING,
    NOT_TRIGGERED,
    candidates_of,
    name_among,
    notice_of,
    progress_of,
    state_of,
)
from releases.repository.summary import summary_of

if TYPE_CHECKING:
    from integrations.models import CommunicationIntegration
    from releases.models import Release, ReleasePipeline


MAX_CHANNEL = 60
_TELLS_CHANGES = {Notice.RELEASE_CREATED, BUILDING, Notice.RELEASE_COMPLETE}
_KEY_WORD = {
    Notice.RELEASE_CREATED: "created",
    Notice.RELEASE_COMPLETE: "complete",
    Notice.RELEASE_FAILED: "failed",
    Notice.RELEASE_CANCELLED: "cancelled",
    Notice.RELEASE_SUBMITTED: "submitted",
    Notice.RELEASE_ROLLING_OUT: "rolling-out",
    Notice.RELEASE_RELEASED: "released",
    Notice.RELEASE_NOT_SUBMITTED: "not-submitted",
    Notice.RELEASE_NOT_RELEASED: "not-released",
    Notice.SUBMISSION_REJECTED: "rejected",
    Notice.SUBMISSION_NEEDS_PERSON: "needs-person",
    Notice.BUILD_QUEUED: "queued",
    Notice.BUILD_WAITING: "waiting",
    Notice.BUILD_STARTED: "started",
    Notice.BUILD_COMPLETE: "complete",
    Notice.BUILD_FAILED: "failed",
    Notice.BUILD_NOT_STARTED: "not-started",
    Notice.BUILD_CANCELLED: "cancelled",
}


def notify(
    release: Release,
    notice: Notice,
    *,
    build_id: str = "",
    cause: str = "",
    event_id: int | None = None,
    words: dict[str, Any] | None = None,
    places: Collection[Place] | None = None,
    quietly: bool = False,
) -> None:
    """Create the effects that tell each channel, in the caller's transaction; none while the
    release is muted.

    `words` are further variables of the template: the platform, the build's number and URL.
    `event_id` is the build event that caused the message. `places` limits it to
    some pairs of a connection and a channel. `quietly`: only where there is a message to edit.

    In a chat that edits in place, the build's message says it from now on, or begins with it; the
    rule `on` adds a message that the whole channel sees.
    """
    said = {"notice": notice, "words": words or {}, **from_event(event_id)}
    suffix = f"{_KEY_WORD[notice]}:{cause}" if cause else _KEY_WORD[notice]
    tell(
        release,
        event_of(notice),
        subject=_subject(release, build_id),
        suffix=suffix,
        payload=said,
        build_id=build_id,
    )
    if release.muted_at is not None:
        return  # programs are told nevertheless
    edits = any(chat_of(one).edits_in_place for one in _communications(release))
    kept = kept_messages(release, build_id) if build_id and edits else {}
    changed, new = [], []
    for communication, channel in _places(release, places):
        rule = rule_for(communication, channel, notice)
        message = kept.get((communication.pk, channel))
        if message is not None:
            changed.append(message)
        if quietly:
            continue
        if rule == Rule.ON or (rule == Rule.THREAD and message is None):
            more = {"broadcast": rule == Rule.ON, **said}
            if chat_of(communication).edits_in_place:
                is_first = message is None if build_id else notice == Notice.RELEASE_CREATED
                more["kept"] = is_first
            new.append(_post(release, communication, channel, build_id, suffix, more))
    if changed:
        change_messages(release, changed, said)
    create_effects(tenant=release.tenant, kind=POST, effects=new)
    if not quietly:
        key = f"{_subject(release, build_id)}:mail:{suffix}"
        mail_members(release, notice, words or {}, key=key)


def refresh(release: Release) -> None:
    """Have the messages about the release say how it stands. A channel that has none (it was chosen
    later, say) gets one. The caller holds the release's lock."""
    in_place = [
        (communication, channel)
        for communication, channel in _places(release)
        if chat_of(communication).edits_in_place
    ]
    if not in_place or release.muted_at is not None:
        return
    kept = kept_messages(release)
    words = {**candidates_of(release), **progress_of(list(release.pipelines.all()))}
    said = {"notice": Notice.RELEASE_CREATED, "words": {**words, "state": state_of(release)}}
    found = [kept[place] for one, channel in in_place if (place := (one.pk, channel)) in kept]
    change_messages(release, found, said)
    more = {"kept": True, "broadcast": True, **said}
    word = _KEY_WORD[Notice.RELEASE_CREATED]
    missing = [
        _post(release, one, channel, "", word, more)
        for one, channel in in_place
        if (one.pk, channel) not in kept
        and rule_for(one, channel, Notice.RELEASE_CREATED) != Rule.OFF
    ]
    create_effects(tenant=release.tenant, kind=POST, effects=missing)


def _communications(release: Release) -> list[CommunicationIntegration]:
    """Those that are still connected: a release that is over may name others."""
    prefetch_related_objects([release], "communication_rows__communication")
    return [one for one in release.communications if one.disconnected_at is None]


def _places(
    release: Release, only: Collection[Place] | None = None
) -> Iterator[tuple[CommunicationIntegration, str]]:
    """Where messages are posted; endpoints are told of events instead."""
    for communication in _communications(release):
        for channel in [] if communication.is_endpoint else communication.channels:
            if only is None or (communication.pk, channel) in only:
                yield communication, channel


def _post(
    release: Release,
    communication: CommunicationIntegration,
    channel: str,
    build_id: str,
    suffix: str,
    said: dict[str, Any],
) -> dict[str, Any]:
    subject = _subject(release, build_id)
    return {
        "integration_id": communication.pk,
        "release_id": release.pk,
        "build_id": build_id,
        "dedupe_key": message_key(subject, communication.pk, channel, suffix),
        "payload": {
            "channel": channel,
            "channel_name": communication.channel_name(channel),
            **said,
        },
    }


def _subject(release: Release, build_id: str) -> str:
    return f"build:{build_id}" if build_id else f"release:{release.pk}"


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
    notice: str,
    words: dict[str, Any],
    *,
    chat: type[Markup],
    thread: str = "",
    broadcast: bool = False,
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
        broadcast=bool(thread) and broadcast,
        event=notice,
        data={"release": release.pk, **data},
        page=link,
    )


def render_standing(release: Release, *, chat: type[Markup]) -> Message:
    """The message about the release as a whole: how it stands, with a line for each pipeline."""
    parts = list(release.pipelines.select_related("pipeline").order_by("id"))
    words = {**candidates_of(release), **progress_of(parts)}
    message = render(release, state_of(release), words, chat=chat)
    return replace(message, lines=tuple(_line(part, parts, chat) for part in parts))


def _line(part: ReleasePipeline, parts: Sequence[ReleasePipeline], chat: type[Markup]) -> str:
    """The words of the message about its newest build, with a link to that."""
    words = {
        "platform": part.get_platform_display(),
        "number": part.build_number,
        "candidate": part.candidate,
        "pipeline": chat.escape(name_among(part, parts)),
    }
    notice = notice_of(part.build_status, was_started=bool(part.build_number)) or NOT_TRIGGERED
    text = render_to_string(f"messages/{notice}.txt", words).strip()
    return f"{text} · {chat.link(part.build_url, 'Build')}" if part.build_url else text
