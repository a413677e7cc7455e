"""Every message as it would read, with the data of a real release."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils.html import escape, format_html

from delivr.tenants.models import Tenant
from integrations.choices import Platform
from integrations.models import CommunicationIntegration
from releases.messages.events import BY_EVENT, Notice
from releases.messages.notices import Markup, render
from releases.messages.rules import Rule, chat_of, rule_for
from releases.models import Release

NUMBER = 246  # of a build where the release has none
REASON = "unstable: some tests failed"
IN_STORE = {"store": "the store", "reason": "see the console for the reasons"}


_CODE = re.compile(r"`([^`]*)`")


def with_code(markup: str) -> str:
    """A message written by `Html`, with its `code` as HTML."""
    return _CODE.sub(r"<code>\1</code>", markup)


class Html:
    """For our own pages, with links."""

    @staticmethod
    def escape(text: str) -> str:
        return escape(text).replace("`", "&#96;")

    @staticmethod
    def link(url: str, label: str) -> str:
        if not url.startswith(("http://", "https://")):
            return escape(label)
        return format_html('<a href="{}" rel="noreferrer noopener">{}</a>', url, label)


@dataclass(frozen=True)
class Sample:
    """One event: its message in a chat's markup, and which rule each channel has for it."""

    event: str
    notice: Notice
    text: str
    detail: str
    rules: dict[str, Rule]  # by channel


def samples(
    communication: CommunicationIntegration,
    release: Release | None,
    *,
    chat: type[Markup] | None = None,
) -> list[Sample]:
    """A message for each event, in the connection's own markup unless `chat` says another.
    `release` is loaded `with_everything`; None stands for an invented one."""
    subject = release or sample_release(communication.tenant)
    words = _words(subject)
    found = []
    for event, notice in BY_EVENT.items():
        made = render(subject, notice, _of(notice, words), chat=chat or chat_of(communication))
        rules = {one: rule_for(communication, one, notice) for one in communication.channels}
        found.append(Sample(event, notice, made.text, made.detail, rules))
    return found


def sample_release(tenant: Tenant) -> Release:
    """Not saved."""
    return Release(tenant=tenant, version="1.5.0", branch="release/1.5.0")


def newest_releases(tenant: Tenant, most: int) -> list[Release]:
    """What a preview offers to choose from."""
    return list(Release.objects.for_tenant(tenant)[:most])


def _words(release: Release) -> dict[str, Any]:
    """Of its first pipeline's newest build, filled up where there is none."""
    parts = [] if release._state.adding else list(release.pipelines.all())
    first = parts[0] if parts else None
    words = {
        "platform": first.get_platform_display() if first else Platform.IOS.label,
        "number": (first.build_number if first else None) or NUMBER,
        "url": (first.build_url if first else "") or settings.BASE_URL,
        "candidate": first.candidate if first else 1,
        "reason": REASON,
    }
    if release._state.adding:
        words["apps"] = "com.example.app"
    elif candidates := release.candidates:
        words["candidates"] = candidates
    return words


def _of(notice: Notice, words: dict[str, Any]) -> dict[str, Any]:
    """Only what this notice is sent with."""
    if notice.startswith("submission"):
        return {"apps": words.get("apps", ""), "platform": words["platform"], **IN_STORE}
    if not notice.startswith("build"):
        return {name: words[name] for name in ("apps", "candidates") if name in words}
    left_out = set() if notice == Notice.BUILD_FAILED else {"reason"}
    if notice == Notice.BUILD_NOT_STARTED:
        left_out = {"reason", "number", "url"}
    return {name: value for name, value in words.items() if name not in left_out}
