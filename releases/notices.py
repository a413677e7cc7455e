"""What is said in the tenant's channels, and when: one promise per channel."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.template.loader import render_to_string

from delivr.effects.operations import create_effects
from integrations.providers.base import Message
from integrations.providers.slack.text import escape

if TYPE_CHECKING:
    from releases.models import Release


class Notice(enum.StrEnum):
    """An event that people are told of; its text is `templates/messages/<value>.txt`."""

    RELEASE_CREATED = "release_created"
    RELEASE_COMPLETE = "release_complete"
    RELEASE_FAILED = "release_failed"
    RELEASE_CANCELLED = "release_cancelled"
    BUILD_STARTED = "build_started"
    BUILD_COMPLETE = "build_complete"
    BUILD_FAILED = "build_failed"
    BUILD_NOT_STARTED = "build_not_started"
    BUILD_CANCELLED = "build_cancelled"


# What goes to the whole channel; everything else only into the release's thread.
BROADCAST = {
    Notice.RELEASE_COMPLETE,
    Notice.RELEASE_FAILED,
    Notice.RELEASE_CANCELLED,
    Notice.BUILD_FAILED,
    Notice.BUILD_NOT_STARTED,
}
_KEY_WORD = {
    Notice.RELEASE_CREATED: "created",
    Notice.RELEASE_COMPLETE: "complete",
    Notice.RELEASE_FAILED: "failed",
    Notice.RELEASE_CANCELLED: "cancelled",
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
) -> None:
    """Promise the message to each channel, in the caller's transaction.

    `words` fill the template beside the version: the platform, the build's number and address.
    `event_id` is the update about a build that it follows from.
    """
    communication = release.communication
    if communication is None:
        return
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
                "dedupe_key": f"{subject}:message:{channel}:{suffix}",
                "payload": {
                    "channel": channel,
                    "channel_name": communication.channel_name(channel),
                    **payload,
                },
            }
            for channel in communication.slack_channels
        ],
    )


def from_event(event_id: int | None) -> dict[str, int]:
    """The part of an effect's payload that names the build event it follows from."""
    return {} if event_id is None else {"event": event_id}


def render(release: Release, notice: Notice, words: dict[str, Any], *, thread: str) -> Message:
    """The message in words, as plain text and as blocks with a link to the release's page."""
    link = f"{settings.BASE_URL}/releases/{release.pk}"
    context = {"version": release.version, "branch": release.branch, "link": link, **words}
    if "apps" not in context:
        context["apps"] = release.apps
    context = {name: _inert(value) for name, value in context.items()}
    text = render_to_string(f"messages/{notice}.txt", context).strip()
    detail = render_to_string(f"messages/{notice}.detail.txt", context).strip()
    return Message(
        text=text,
        blocks=_blocks(text, detail),
        thread=thread,
        broadcast=bool(thread) and notice in BROADCAST,
    )


def _inert(value: Any) -> Any:
    """Names of branches and jobs never become a mention, a link or a broadcast."""
    return escape(value) if isinstance(value, str) else value


def _blocks(text: str, detail: str) -> list[dict[str, Any]]:
    """https://docs.slack.dev/reference/block-kit/blocks/"""
    blocks: list[dict[str, Any]] = [{"type": "section", "text": _words(text)}]
    if detail:
        blocks.append({"type": "context", "elements": [_words(detail)]})
    return blocks


def _words(text: str) -> dict[str, Any]:
    """Without `verbatim`, Slack looks for addresses, channels and names in plain words, too."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}
