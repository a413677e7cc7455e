"""slack_sdk, unchanged, against the Slack stand-in."""

from __future__ import annotations

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from sandbox import accounts


@pytest.fixture
def client(sandbox):
    def make(token: str = accounts.SLACK_BOT_TOKEN) -> WebClient:
        return WebClient(token, base_url=f"{sandbox.url}/slack/api/", retry_handlers=[])

    return make


@pytest.fixture
def slack(client) -> WebClient:
    return client()


def error_of(caught) -> str:
    assert caught.value.response.status_code == 200
    return caught.value.response["error"]


def test_auth_test_names_team_and_bot_and_shows_the_scopes(slack):
    answer = slack.auth_test()
    assert (answer["team_id"], answer["bot_id"]) == ("T0SANDBOX1", "B0SANDBOX1")
    assert "chat:write" in answer.headers["x-oauth-scopes"].split(",")


@pytest.mark.parametrize(("token", "error"), [("xoxb-unknown", "invalid_auth"), ("", "not_authed")])
def test_invalid_tokens_are_refused_with_status_200(client, token, error):
    with pytest.raises(SlackApiError) as caught:
        client(token).auth_test()
    assert error_of(caught) == error


def test_channels_come_in_short_pages(slack):
    answer = slack.conversations_list(types="public_channel,private_channel", limit=200)
    pages = [[channel["name"] for channel in page["channels"]] for page in answer]
    assert pages == [["releases", "mobile-builds", "general"], ["release-crew", "old-releases"]]
    assert answer["response_metadata"]["next_cursor"] == ""


def test_archived_and_foreign_channels_can_be_left_out(slack):
    found = slack.conversations_list(exclude_archived=True)["channels"]
    members = {c["id"] for c in found if c["is_member"]}
    assert members == {"C123", "C456"}
    assert {c["id"] for c in found} == {"C123", "C456", "C789"}


def test_a_channel_is_described(slack):
    channel = slack.conversations_info(channel="C456")["channel"]
    assert (channel["name"], channel["is_member"], channel["is_archived"]) == (
        "mobile-builds",
        True,
        False,
    )


@pytest.mark.parametrize(
    ("channel", "error"),
    [
        ("C000", "channel_not_found"),
        ("C654", "channel_not_found"),
        ("C789", "not_in_channel"),
        ("C999", "is_archived"),
    ],
)
def test_channels_in_which_the_bot_cannot_write(sandbox, slack, channel, error):
    with pytest.raises(SlackApiError) as caught:
        slack.chat_postMessage(channel=channel, text="hello")
    assert error_of(caught) == error
    assert not sandbox.state.ledger.of("message.posted")


def test_a_channel_is_archived_and_unarchived(sandbox, slack, web):
    posted = slack.chat_postMessage(channel="C123", text="hello")
    address = "/sandbox/api/slack/channels/C123"
    assert web("PATCH", address, json={"archived": True}).json() == {"archived": True}
    for call in (
        lambda: slack.chat_postMessage(channel="C123", text="again"),
        lambda: slack.chat_update(channel="C123", ts=posted["ts"], text="again"),
    ):
        with pytest.raises(SlackApiError) as caught:
            call()
        assert error_of(caught) == "is_archived"
    web("PATCH", address, json={"archived": False})
    assert slack.chat_update(channel="C123", ts=posted["ts"], text="again")["ok"]


def test_a_message_keeps_blocks_thread_and_metadata(sandbox, slack):
    metadata = {"event_type": "delivr", "event_payload": {"id": "eff_1"}}
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": "*hello*"}}]
    root = slack.chat_postMessage(channel="C123", text="hello", blocks=blocks, metadata=metadata)
    reply = slack.chat_postMessage(channel="C123", text="again", thread_ts=root["ts"])
    assert root["channel"] == "C123"
    assert root["message"]["metadata"] == metadata
    assert float(reply["ts"]) > float(root["ts"])
    (seen,) = slack.conversations_history(channel="C123", include_all_metadata=True)["messages"]
    assert (seen["ts"], seen["blocks"], seen["metadata"]) == (root["ts"], blocks, metadata)
    assert seen["reply_count"] == 1
    thread = slack.conversations_replies(channel="C123", ts=root["ts"])["messages"]
    assert [m["text"] for m in thread] == ["hello", "again"]
    assert len(sandbox.state.ledger.of("message.posted", channel="C123")) == 2


def test_an_answer_to_a_deleted_message_is_posted_to_the_channel(sandbox, slack, web):
    root = slack.chat_postMessage(channel="C123", text="hello")
    gone = f"/sandbox/api/slack/messages/C123/{root['ts']}"
    assert web("DELETE", gone).status_code == 200
    assert web("DELETE", gone).status_code == 404
    reply = slack.chat_postMessage(channel="C123", text="again", thread_ts=root["ts"])
    assert (reply["ok"], "thread_ts" in reply["message"]) == (True, False)
    (seen,) = slack.conversations_history(channel="C123")["messages"]
    assert (seen["ts"], seen["text"], "thread_ts" in seen) == (reply["ts"], "again", False)
    with pytest.raises(SlackApiError) as caught:
        slack.conversations_replies(channel="C123", ts=root["ts"])
    assert error_of(caught) == "thread_not_found"
    assert len(sandbox.state.ledger.of("message.deleted", ts=root["ts"])) == 1


def test_metadata_is_only_shown_on_request(slack):
    metadata = {"event_type": "delivr", "event_payload": {"id": "eff_1"}}
    slack.chat_postMessage(channel="C123", text="hello", metadata=metadata)
    (seen,) = slack.conversations_history(channel="C123")["messages"]
    assert "metadata" not in seen


def test_history_reads_a_range_of_time(slack):
    first, second, third = (slack.chat_postMessage(channel="C123", text=t)["ts"] for t in "abc")
    newer = slack.conversations_history(channel="C123", oldest=first)["messages"]
    assert [m["ts"] for m in newer] == [third, second]
    both = slack.conversations_history(channel="C123", oldest=first, latest=second, inclusive=True)
    assert [m["text"] for m in both["messages"]] == ["b", "a"]
    pages = [len(p["messages"]) for p in slack.conversations_history(channel="C123", limit=2)]
    assert pages == [2, 1]


def test_a_form_may_carry_blocks_as_text(sandbox, web):
    headers = {"Authorization": f"Bearer {accounts.SLACK_BOT_TOKEN}"}
    form = {"channel": "#releases", "blocks": '[{"type": "divider"}]'}
    answer = web.post("/slack/api/chat.postMessage", data=form, headers=headers).json()
    assert (answer["ok"], answer["channel"]) == (True, "C123")
    assert sandbox.state.slack.messages[0].blocks == [{"type": "divider"}]


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ({}, "no_text"),
        ({"text": "x" * 40_001}, "msg_too_long"),
        ({"text": "x", "blocks": [{"type": "divider"}] * 51}, "invalid_blocks"),
        ({"text": "x", "metadata": {"event_type": "delivr"}}, "invalid_metadata_format"),
        ({"text": "x", "thread_ts": "1.000001"}, "thread_not_found"),
    ],
)
@pytest.mark.filterwarnings("ignore:The top-level `text` argument is missing")
def test_invalid_messages_are_refused(sandbox, slack, content, error):
    with pytest.raises(SlackApiError) as caught:
        slack.chat_postMessage(channel="C123", **content)
    assert error_of(caught) == error
    assert not sandbox.state.ledger.of("message.posted")


def test_more_than_a_short_burst_in_a_channel_is_refused_for_a_while(sandbox, slack):
    sandbox.state.slack.is_paced = True
    ts, *_others = [slack.chat_postMessage(channel="C123", text="x")["ts"] for _n in range(3)]
    with pytest.raises(SlackApiError) as caught:
        slack.chat_update(channel="C123", ts=ts, text="done")
    response = caught.value.response
    assert (response.status_code, response.headers["Retry-After"]) == (429, "1")
    assert response["error"] == "ratelimited"
    slack.chat_postMessage(channel="C456", text="another channel has its own limit")


def test_an_edit_can_be_refused(sandbox, slack, web):
    ts = slack.chat_postMessage(channel="C123", text="running")["ts"]
    refuse = {"refusesEdits": "edit_window_closed"}
    assert web("PATCH", f"/sandbox/api/slack/messages/C123/{ts}", json=refuse).status_code == 200
    with pytest.raises(SlackApiError) as caught:
        slack.chat_update(channel="C123", ts=ts, text="done")
    assert error_of(caught) == "edit_window_closed"


def test_a_message_can_be_changed(sandbox, slack):
    ts = slack.chat_postMessage(channel="C123", text="running")["ts"]
    assert slack.chat_update(channel="C123", ts=ts, text="done")["ts"] == ts
    (seen,) = slack.conversations_history(channel="C123")["messages"]
    assert (seen["text"], "edited" in seen) == ("done", True)
    assert len(sandbox.state.ledger.of("message.updated", ts=ts)) == 1
    with pytest.raises(SlackApiError) as caught:
        slack.chat_update(channel="C123", ts="1.000001", text="x")
    assert error_of(caught) == "message_not_found"


def test_a_message_has_a_permalink(slack):
    ts = slack.chat_postMessage(channel="C123", text="hello")["ts"]
    link = slack.chat_getPermalink(channel="C123", message_ts=ts)["permalink"]
    assert link == f"https://dream11-sandbox.slack.com/archives/C123/p{ts.replace('.', '')}"


def test_missing_scopes_are_named(client):
    with pytest.raises(SlackApiError) as caught:
        client(accounts.SLACK_NO_WRITE_TOKEN).chat_postMessage(channel="C123", text="x")
    assert error_of(caught) == "missing_scope"
    assert caught.value.response["needed"] == "chat:write"
    assert "channels:read" in caught.value.response["provided"]
    with pytest.raises(SlackApiError) as caught:
        client(accounts.SLACK_NO_HISTORY_TOKEN).conversations_history(channel="C123")
    assert caught.value.response["needed"] == "channels:history"


def test_rate_limits_are_the_only_other_status(sandbox, slack):
    sandbox.state.faults.add("status", provider="slack", status=429, retry_after=30, count=1)
    with pytest.raises(SlackApiError) as caught:
        slack.chat_postMessage(channel="C123", text="x")
    response = caught.value.response
    assert (response.status_code, response["error"]) == (429, "ratelimited")
    assert response.headers["Retry-After"] == "30"
    assert slack.chat_postMessage(channel="C123", text="x")["ok"]


def test_unknown_methods_and_broken_json(web):
    assert web.post("/slack/api/chat.shout").json()["error"] == "unknown_method"
    headers = {"Content-Type": "application/json"}
    answer = web.post("/slack/api/auth.test", data="{oh", headers=headers).json()
    assert answer == {"ok": False, "error": "invalid_json"}
