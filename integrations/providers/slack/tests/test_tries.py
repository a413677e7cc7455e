"""A message that Slack refuses in one form is tried in a simpler one: in time, and not at once."""

import json
import time
from datetime import timedelta

import pytest

from integrations.providers.base import ProviderError
from integrations.providers.chat import Message
from integrations.providers.slack.provider import Slack
from integrations.providers.slack.tests.answers import TOKEN, HastySlack, payload, post
from integrations.providers.tests.wire import Reply

pytestmark = pytest.mark.usefixtures("slack_is_here")


def test_all_tries_share_one_limit_of_time(wire):
    def answer(seen):
        time.sleep(0.4)  # within the limit of 0.5 s
        word = "thread_not_found" if "thread_ts" in json.loads(seen.body) else "invalid_blocks"
        return Reply({"ok": False, "error": word})

    wire.routes["/api/chat.postMessage"] = answer
    message = Message(text="x", detail="y", thread="1.2")
    with pytest.raises(ProviderError) as failure:
        post(HastySlack(bot_token=TOKEN), message=message)
    assert failure.value.code == "timeout"
    assert wire.count("/api/chat.postMessage") <= 2


def test_another_try_is_a_second_later(wire, monkeypatch):
    begun = []

    def answer(seen):
        begun.append(time.monotonic())
        word = {"ok": False, "error": "invalid_blocks"}
        return Reply(word if "blocks" in json.loads(seen.body) else payload("chat.postMessage__ok"))

    monkeypatch.setattr(Slack, "pace", timedelta(seconds=1))
    wire.routes["/api/chat.postMessage"] = answer
    post(message=Message(text="x", detail="y"))
    assert len(begun) == 2
    assert begun[1] - begun[0] >= 1
