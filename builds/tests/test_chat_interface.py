"""The interface of chats, with a chat that is not like Slack."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, ClassVar, Self

import pytest
from django.conf import settings
from django.utils import timezone

from builds.models import Build, Source
from builds.updates.apply import apply_update
from builds.updates.update import BuildUpdate
from delivr.effects.models import Effect
from delivr.effects.runner import run_effect
from delivr.failures import Outcome, ProviderError
from delivr.tests.wired import Wired, fresh
from integrations.models import CommunicationIntegration
from integrations.providers import registry
from integrations.providers.base import Check, Option
from integrations.providers.chat import ChatProvider, Message, PostedMessage
from integrations.providers.ci import BuildStatus
from releases.models import Release

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]


class FakeChat(ChatProvider):
    """It returns no id of a message, has no threads, and its messages cannot be searched."""

    label = "Fake chat"
    posted: ClassVar[list[Message]] = []
    failure: ClassVar[Exception | None] = None

    @classmethod
    def from_connection(cls, connection: Any) -> Self:
        return cls()

    def checks(self) -> Iterator[Check]:
        return iter(())

    @staticmethod
    def escape(text: str) -> str:
        return text.replace("_", "\\_")

    @staticmethod
    def link(url: str, label: str) -> str:
        return f"[{label}]({url})"

    def channels(self) -> list[Option]:
        return []

    def post(self, *, channel: str, message: Message, correlation: str) -> PostedMessage:
        self.posted.append(message)
        if self.failure is not None:
            raise self.failure
        return PostedMessage(channel=channel, id="")


@pytest.fixture
def build(wired: Wired, monkeypatch: pytest.MonkeyPatch) -> Build:
    monkeypatch.setitem(registry.PROVIDERS, ("communication", "FAKE_CHAT"), f"{__name__}.FakeChat")
    rows = CommunicationIntegration.objects.all()
    rows.update(communication_type="FAKE_CHAT", recipients=["all"])
    wired.slack.refresh_from_db()
    FakeChat.posted.clear()
    monkeypatch.setattr(FakeChat, "failure", None)
    return wired.build("ios", slack=True, branch="fix_it")


def created() -> list[Effect]:
    return list(Effect.objects.filter(kind="message.post").order_by("created_at"))


def test_in_a_chat_without_threads_only_the_milestones_are_posted(build: Build) -> None:
    for status in (BuildStatus.RUNNING, BuildStatus.SUCCESS):
        apply_update(build.pk, BuildUpdate(status=status, source=Source.POLL, number=7))
    notices = [effect.payload["notice"] for effect in created()]
    assert notices == ["release_created", "release_complete"]


def test_a_message_has_the_chats_markup_and_plain_data(build: Build) -> None:
    run_effect(created()[0].pk)
    [message] = FakeChat.posted
    release = Release.objects.get()
    assert message.detail.startswith("Branch `fix\\_it`")
    page = f"{settings.BASE_URL}/releases/{release.pk}"
    assert f"[Open the release]({page})" in message.detail
    assert (message.event, message.data["branch"]) == ("release_created", "fix_it")
    assert message.data["release"] == release.pk


def test_a_message_is_posted_again_if_it_cannot_be_searched_for(build: Build) -> None:
    FakeChat.failure = ProviderError("timeout", "No answer.", outcome=Outcome.UNCERTAIN)
    [effect] = created()
    run_effect(effect.pk)
    FakeChat.failure = None
    Effect.objects.filter(pk=effect.pk).update(
        next_at=timezone.now(), dispatched_at=timezone.now() - timedelta(minutes=10)
    )
    run_effect(effect.pk)
    assert (fresh(effect).state, len(FakeChat.posted)) == ("DONE", 2)
