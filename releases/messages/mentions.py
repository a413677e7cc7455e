"""Whom the message about a failure mentions. A connection stores the choice in its options."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from django.core.cache import cache
from django.db import models
from django.utils.translation import gettext_lazy as _

from delivr.effects.models import Effect
from delivr.failures import ProviderError
from delivr.tenants.models import User
from integrations.models import CommunicationIntegration
from integrations.providers.chat import Message
from integrations.providers.registry import provider_for
from releases.messages.events import FAILURES
from releases.messages.rules import chat_of
from releases.models import FAILED, ReleasePipeline

OPTION = "mentions"
KNOWN_FOR = timedelta(hours=24)  # a person in the chat, found or not
FAILED_FOR = timedelta(minutes=5)  # a look-up that failed
MOST_PEOPLE = 3  # in one message


class Whom(models.TextChoices):
    """Whom a failure mentions."""

    NOBODY = "nobody", _("Nobody")
    TRIGGERED = "triggered", _("Who triggered the build")
    GROUP = "group", _("A group")


@dataclass(frozen=True)
class Mentions:
    """A connection's choice; `group` is the chat's id of one."""

    whom: str = Whom.NOBODY
    group: str = ""

    @classmethod
    def of(cls, communication: CommunicationIntegration) -> Mentions:
        stored = communication.options.get(OPTION)
        if not isinstance(stored, Mapping) or not chat_of(communication).mentions:
            return cls()
        return cls(stored.get("whom", Whom.NOBODY), stored.get("group", ""))

    @property
    def stored(self) -> dict[str, str]:
        return {"whom": self.whom, "group": self.group}


def look_up(effect: Effect, communication: CommunicationIntegration) -> None:
    """Ask the chat for the people whom the message mentions, unless that was done lately (network).
    A failure keeps no message back: whoever is not found is named."""
    for person in _people(effect, communication):
        key = _key(communication, person.email)
        if cache.get(key) is None:
            found, seconds = _found(communication, person.email)
            cache.set(key, found, seconds)


def _found(communication: CommunicationIntegration, email: str) -> tuple[str, float]:
    try:
        return provider_for(communication).mention(email), KNOWN_FOR.total_seconds()
    except ProviderError:
        return "", FAILED_FOR.total_seconds()


def with_mentions(
    message: Message, effect: Effect, communication: CommunicationIntegration
) -> Message:
    """The message with those whom it mentions. Reads only what `look_up` found."""
    mentions, chat = Mentions.of(communication), chat_of(communication)
    called = [_called(communication, person) for person in _people(effect, communication)]
    if mentions.whom == Whom.GROUP and _is_loud_failure(effect):
        called = [chat.mention_group(mentions.group)]
    return replace(message, text=f"{message.text} · {', '.join(called)}") if called else message


def _called(communication: CommunicationIntegration, person: User) -> str:
    known: str = cache.get(_key(communication, person.email)) or ""
    return known or chat_of(communication).escape(person.called)


def _people(effect: Effect, communication: CommunicationIntegration) -> list[User]:
    """Who triggered what failed: the build, or all builds of the release that did."""
    if not _is_loud_failure(effect) or Mentions.of(communication).whom != Whom.TRIGGERED:
        return []
    parts = ReleasePipeline.objects.for_tenant(effect.tenant_id).filter(
        release_id=effect.release_id
    )
    if effect.build_id:
        parts = parts.filter(builds=effect.build_id)
    else:
        parts = parts.filter(build_status__in=FAILED)
    builds = [  # of each pipeline the newest, which comes first
        next(b for b in part.builds.all() if effect.build_id in ("", b.pk))
        for part in parts.prefetch_related("builds__started_by")
    ]
    found = {b.started_by_id: b.started_by for b in builds if b.started_by is not None}
    return list(found.values())[:MOST_PEOPLE]


def _is_loud_failure(effect: Effect) -> bool:
    """Not for a message that is edited quietly: the failure has one of its own then."""
    said = effect.payload
    is_quiet = said.get("kept") and not said.get("broadcast")
    return said.get("notice") in FAILURES and not is_quiet


def _key(communication: CommunicationIntegration, email: str) -> str:
    digest = hashlib.sha256(email.lower().encode()).hexdigest()
    return f"mention:{communication.pk}:{digest}"
