"""Against the stand-in, which keeps state: what is posted is there, and found again."""

from datetime import UTC, datetime, timedelta

import pytest

from integrations.providers.base import Level, Outcome, ProviderError
from integrations.providers.chat import Message
from integrations.providers.slack.provider import Slack
from integrations.providers.tests.sandbox import failed
from sandbox import accounts


class HastySlack(Slack):
    deadline = 0.5


@pytest.fixture(autouse=True)
def state(sandbox):
    return sandbox.state


def slack(token=accounts.SLACK_BOT_TOKEN, channels=("C123", "C456"), kind=Slack):
    return kind(bot_token=token, channels=channels)


def post(provider, text="📦 Release 1.5.0 created", correlation="eff_1", **more):
    message = Message(text=text, **more)
    return provider.post(channel="C123", message=message, correlation=correlation)


def find(provider, correlation="eff_1", **more):
    since = datetime.now(UTC) - timedelta(seconds=5)
    return provider.find(channel="C123", correlation=correlation, since=since, **more)


def test_the_demo_connection_is_valid():
    assert failed(slack().verify()) == {}


@pytest.mark.parametrize(
    ("token", "channel", "name", "code", "level"),
    [
        ("xoxb-wrong", "C123", "credentials", "invalid_auth", Level.ERROR),
        (accounts.SLACK_NO_WRITE_TOKEN, "C123", "scopes", "missing_scope", Level.ERROR),
        (
            accounts.SLACK_NO_HISTORY_TOKEN,
            "C123",
            "correlation",
            "no_history_scope",
            Level.WARNING,
        ),
        (accounts.SLACK_BOT_TOKEN, "C789", "channel:C789", "not_in_channel", Level.ERROR),
        (accounts.SLACK_BOT_TOKEN, "C999", "channel:C999", "is_archived", Level.ERROR),
        (accounts.SLACK_BOT_TOKEN, "C654", "channel:C654", "channel_not_found", Level.ERROR),
        (accounts.SLACK_BOT_TOKEN, "C000", "channel:C000", "channel_not_found", Level.ERROR),
    ],
)
def test_each_defect_of_a_connection_is_told(token, channel, name, code, level):
    check = failed(slack(token, [channel]).verify())[name]
    assert (check.name, check.code, check.level) == (name, code, level)


def test_a_private_channel_with_the_bot_in_it_is_good():
    assert failed(slack(channels=["C321"]).verify()) == {}


def test_channels_of_all_pages_are_offered():
    assert {option.value for option in slack().channels()} == {"C123", "C456", "C789", "C321"}


def test_a_message_is_there_once_and_found_again(state):
    posted = post(slack())
    (message,) = state.slack.messages
    assert (message.channel, message.ts) == (posted.channel, posted.id)
    assert message.text == "📦 Release 1.5.0 created"
    assert find(slack()) == posted
    assert find(slack(), correlation="eff_2") is None


def test_an_answer_in_a_thread_is_found_in_the_thread_only(state):
    root = post(slack())
    reply = post(slack(), text="✅ iOS build #245 complete", correlation="eff_2", thread=root.id)
    assert find(slack(), correlation="eff_2") is None
    assert find(slack(), correlation="eff_2", thread=root.id) == reply


def test_a_message_is_found_behind_many_newer_ones():
    first = post(slack())
    for number in range(12):
        post(slack(), text=f"later {number}", correlation=f"later_{number}")
    assert find(slack()) == first


@pytest.mark.parametrize(("fault", "code"), [("drop_after", "reset"), ("timeout_after", "timeout")])
def test_a_message_whose_answer_was_lost_is_found(state, fault, code):
    state.faults.add(fault, provider="slack", path="/chat.postMessage", count=1, seconds=2.0)
    with pytest.raises(ProviderError) as failure:
        post(slack(kind=HastySlack))
    assert (failure.value.outcome, failure.value.code) == (Outcome.UNCERTAIN, code)
    assert len(state.slack.messages) == 1
    assert find(slack()).id == state.slack.messages[0].ts


@pytest.mark.parametrize(
    ("fault", "settings", "outcome"),
    [
        ("status", {"status": 500}, Outcome.UNCERTAIN),
        ("status", {"status": 429, "retry_after": 7}, Outcome.RATE_LIMITED),
        ("timeout", {"seconds": 2.0}, Outcome.UNCERTAIN),
        ("drop_before", {}, Outcome.UNCERTAIN),
        ("html_200", {}, Outcome.UNCERTAIN),
        ("garbage", {}, Outcome.UNCERTAIN),
        ("oversized", {}, Outcome.UNCERTAIN),
        ("drip", {"seconds": 0.2}, Outcome.UNCERTAIN),
        ("redirect", {}, Outcome.REFUSED),
    ],
)
def test_each_fault_is_met_once_and_told_for_what_it_is(state, fault, settings, outcome):
    state.faults.add(fault, provider="slack", path="/chat.postMessage", **settings)
    with pytest.raises(ProviderError) as failure:
        post(slack(kind=HastySlack))
    assert failure.value.outcome is outcome
    if outcome is Outcome.RATE_LIMITED:
        assert failure.value.retry_after == 7.0
    assert state.requests.count("slack", "POST", "/chat.postMessage") == 1


@pytest.mark.parametrize(
    ("token", "channel", "code", "outcome"),
    [
        ("xoxb-wrong", "C123", "invalid_auth", Outcome.CREDENTIALS),
        (accounts.SLACK_NO_WRITE_TOKEN, "C123", "missing_scope", Outcome.CREDENTIALS),
        (accounts.SLACK_BOT_TOKEN, "C789", "not_in_channel", Outcome.REFUSED),
        (accounts.SLACK_BOT_TOKEN, "C999", "is_archived", Outcome.REFUSED),
    ],
)
def test_a_message_that_may_not_be_posted_is_not_there(state, token, channel, code, outcome):
    with pytest.raises(ProviderError) as failure:
        slack(token).post(channel=channel, message=Message(text="hi"), correlation="eff_1")
    assert (failure.value.code, failure.value.outcome) == (code, outcome)
    assert state.slack.messages == []


def test_without_the_scope_for_history_nothing_can_be_looked_up():
    provider = slack(accounts.SLACK_NO_HISTORY_TOKEN)
    post(provider)
    with pytest.raises(ProviderError) as failure:
        find(provider)
    assert (failure.value.code, failure.value.outcome) == ("cannot_correlate", Outcome.REFUSED)
