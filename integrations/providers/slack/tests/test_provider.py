"""Messages are posted and found, channels listed; no answer gives the token away."""

import json
import logging
import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import override_settings

from integrations.providers.base import Option, Outcome, ProviderError
from integrations.providers.chat import Message
from integrations.providers.slack.provider import MARGIN, Slack
from integrations.providers.slack.tests.answers import (
    HELLO,
    SCOPES,
    SINCE,
    TOKEN,
    HastySlack,
    failed,
    find,
    payload,
    post,
    slack,
)
from integrations.providers.slack.text import blocks, escape
from integrations.providers.tests.wire import LOGIN_PAGE, Reply, everything_in

pytestmark = pytest.mark.usefixtures("slack_is_here")


# --- post ----------------------------------------------------------------------------------------


SITE = "https://example-mobile.slack.com/"
LINK = f"{SITE}archives/C0RELEASES/p1763800000000247"


def test_a_posted_message_has_its_link(wire):
    known = Slack(bot_token=TOKEN, site=SITE)
    assert post(known).url == LINK
    reply = post(known, message=Message(text="done", thread="1763800000.000001"))
    assert reply.url == f"{LINK}?thread_ts=1763800000.000001&cid=C0RELEASES"
    assert find(known).url.startswith(f"{SITE}archives/C0RELEASES/p")
    assert post().url == ""  # not verified since delivr keeps the address


@pytest.mark.parametrize("site", ["http://x.slack.com/", "https://evil.example/", "javascript:"])
def test_no_other_address_is_taken_for_slacks(wire, site):
    wire.routes["/api/auth.test"] = Reply(
        payload("auth.test__bot") | {"url": site},
        headers={"x-oauth-scopes": SCOPES},
    )
    assert "site" not in {check.name for check in slack().verify()}


def test_a_message_is_posted_once_with_its_correlation(wire):
    posted = post()
    assert (posted.channel, posted.id) == ("C0RELEASES", "1763800000.000247")
    sent = wire.last("/api/chat.postMessage")
    assert sent.headers["authorization"] == f"Bearer {TOKEN}"
    assert sent.json == {
        "channel": "C0RELEASES",
        "text": HELLO.text,
        "metadata": {"event_type": "delivr_message", "event_payload": {"id": "eff_sought"}},
        "link_names": False,
        "unfurl_links": False,
        "unfurl_media": False,
    }
    assert wire.count("/api/chat.postMessage") == 1


def test_an_answer_in_a_thread_names_the_thread_and_may_be_shown_to_all(wire):
    post(message=Message(text="done", thread="1763800000.000247", broadcast=True))
    sent = wire.last("/api/chat.postMessage").json
    assert (sent["thread_ts"], sent["reply_broadcast"]) == ("1763800000.000247", True)


def test_blocks_go_along(wire):
    post(message=Message(text="hi", detail="*there*"))
    assert wire.last("/api/chat.postMessage").json["blocks"] == [
        {"type": "section", "text": {"type": "mrkdwn", "text": "hi", "verbatim": True}},
        {
            "type": "context",
            "elements": [{"type": "mrkdwn", "text": "*there*", "verbatim": True}],
        },
    ]


@pytest.mark.parametrize(
    ("reply", "outcome", "code"),
    [
        (Reply({"ok": False, "error": "invalid_auth"}), Outcome.CREDENTIALS, "invalid_auth"),
        (Reply({"ok": False, "error": "token_revoked"}), Outcome.CREDENTIALS, "token_revoked"),
        (Reply(payload("error__missing_scope")), Outcome.CREDENTIALS, "missing_scope"),
        (Reply({"ok": False, "error": "not_in_channel"}), Outcome.REFUSED, "not_in_channel"),
        (Reply({"ok": False, "error": "is_archived"}), Outcome.REFUSED, "is_archived"),
        (Reply({"ok": False, "error": "brand_new_word"}), Outcome.REFUSED, "brand_new_word"),
        (Reply({"ok": False, "error": "rate_limited"}), Outcome.RATE_LIMITED, "rate_limited"),
        (Reply({"ok": False, "error": "fatal_error"}), Outcome.UNCERTAIN, "fatal_error"),
        (Reply({"ok": False}), Outcome.REFUSED, "unknown"),
        (Reply({"ok": False, "error": ["odd"]}), Outcome.REFUSED, "unknown"),
        (Reply({"ok": True}), Outcome.UNCERTAIN, "garbage"),
        (Reply({"ok": True, "ts": {"a": 1}}), Outcome.UNCERTAIN, "garbage"),
        (Reply([1, 2]), Outcome.UNCERTAIN, "garbage"),
        (Reply(b"[" * 100_000), Outcome.UNCERTAIN, "garbage"),
        (Reply(b'{"ok": tru'), Outcome.UNCERTAIN, "garbage"),
        (LOGIN_PAGE, Outcome.UNCERTAIN, "garbage"),
        (Reply(status=500), Outcome.UNCERTAIN, "server_error"),
        (
            Reply(status=302, headers={"Location": "http://127.0.0.1:9/"}),
            Outcome.REFUSED,
            "redirect",
        ),
        (Reply(fault="reset"), Outcome.UNCERTAIN, "reset"),
    ],
)
def test_each_failure_says_what_it_means_and_is_never_sent_again(wire, reply, outcome, code):
    wire.routes["/api/chat.postMessage"] = reply
    with pytest.raises(ProviderError) as failure:
        post()
    assert (failure.value.outcome, failure.value.code) == (outcome, code)
    assert failure.value.message
    assert wire.count("/api/chat.postMessage") == 1


def test_a_rate_limit_says_for_how_long(wire):
    limited = {"ok": False, "error": "ratelimited"}
    wire.routes["/api/chat.postMessage"] = Reply(limited, 429, {"Retry-After": "30"})
    with pytest.raises(ProviderError) as failure:
        post()
    assert (failure.value.outcome, failure.value.retry_after) == (Outcome.RATE_LIMITED, 30.0)


def test_an_answer_that_never_comes_is_uncertain(wire):
    wire.routes["/api/chat.postMessage"] = Reply(fault="hang")
    with pytest.raises(ProviderError) as failure:
        post(HastySlack(bot_token=TOKEN))
    assert (failure.value.outcome, failure.value.code) == (Outcome.UNCERTAIN, "timeout")


def test_a_server_that_is_not_there_was_sent_nothing():
    nobody = override_settings(
        SLACK_API_URL="http://127.0.0.1:9/api/", OUTBOUND_ALLOW=["127.0.0.1:9"]
    )
    with nobody, pytest.raises(ProviderError) as failure:
        post()
    assert failure.value.outcome is Outcome.NOT_SENT


def test_a_proxy_in_the_environment_is_not_used(wire, monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert post().id


# --- find ----------------------------------------------------------------------------------------


def test_a_message_is_found_by_its_correlation(wire):
    assert find().id == "1763800000.000247"
    assert wire.last("/api/conversations.history").form["include_all_metadata"] == "1"


@pytest.mark.parametrize("correlation", ["eff_absent", "eff_foreign", ""])
def test_what_is_not_there_is_not_found(correlation):
    assert slack().find(channel="C0RELEASES", correlation=correlation, since=SINCE) is None


def test_all_pages_are_searched(wire):
    first = {"ok": True, "messages": [], "response_metadata": {"next_cursor": "bmV4dA=="}}
    last = Reply(payload("conversations.history__with_metadata"))
    wire.routes["/api/conversations.history"] = [Reply(first), last]
    assert find() is not None
    assert wire.last("/api/conversations.history").form["cursor"] == "bmV4dA=="


def test_an_answer_is_looked_for_in_its_thread(wire):
    replies = Reply(payload("conversations.history__with_metadata"))
    wire.routes["/api/conversations.replies"] = replies
    assert find(thread="1763799000.000001") is not None
    assert wire.last("/api/conversations.replies").form["ts"] == "1763799000.000001"


def page(*times):
    """A page of messages of others, with more behind it."""
    messages = [{"ts": f"{time.timestamp():.6f}", "text": "hi"} for time in times]
    return {"ok": True, "messages": messages, "response_metadata": {"next_cursor": "bmV4dA=="}}


def test_the_search_ends_at_messages_older_than_the_sending(wire):
    older = SINCE - MARGIN - timedelta(minutes=1)
    wire.routes["/api/conversations.history"] = Reply(page(SINCE, older))
    assert find() is None
    assert wire.count("/api/conversations.history") == 1


def test_the_search_goes_on_where_slacks_clock_is_behind_ours(wire):
    behind = {"Date": format_datetime(datetime.now(UTC) - timedelta(minutes=10), usegmt=True)}
    recent = Reply(page(SINCE - MARGIN - timedelta(minutes=5)), headers=behind)
    last = Reply(payload("conversations.history__with_metadata"))
    wire.routes["/api/conversations.history"] = [recent, last]
    assert find() is not None


def test_a_channel_with_too_much_in_it_is_not_called_free_of_the_message(wire):
    endless = {"ok": True, "messages": [], "response_metadata": {"next_cursor": "bmV4dA=="}}
    wire.routes["/api/conversations.history"] = Reply(endless)
    with pytest.raises(ProviderError) as failure:
        find()
    assert failure.value.code == "cannot_correlate"
    assert wire.count("/api/conversations.history") == 40


@pytest.mark.parametrize(
    "answer", [payload("error__missing_scope"), {"ok": False, "error": "not_in_channel"}]
)
def test_history_that_may_not_be_read_cannot_be_correlated(wire, answer):
    wire.routes["/api/conversations.history"] = Reply(answer)
    with pytest.raises(ProviderError) as failure:
        find()
    assert (failure.value.code, failure.value.outcome) == ("cannot_correlate", Outcome.REFUSED)


# --- edit ---------------------------------------------------------------------------------------


def edit(**more):
    slack().edit(channel="C0RELEASES", id="1763800000.000247", message=Message(text="hi", **more))


def test_an_edit_replaces_text_and_blocks(wire):
    wire.routes["/api/chat.update"] = Reply(payload("chat.postMessage__ok"))
    edit(lines=("one", "two"), detail="below")
    sent = wire.last("/api/chat.update").json
    assert (sent["channel"], sent["ts"], sent["text"]) == ("C0RELEASES", "1763800000.000247", "hi")
    heading, lines, context = sent["blocks"]
    assert heading["text"] == {"type": "plain_text", "text": "hi", "emoji": True}
    assert lines["text"]["text"] == "one\ntwo"
    assert context["elements"][0]["text"] == "below"


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("message_not_found", "message_lost"),
        ("thread_not_found", "message_lost"),
        ("cant_update_message", "cannot_edit"),
        ("edit_window_closed", "cannot_edit"),
        ("is_inactive", "cannot_edit"),
        ("is_archived", "is_archived"),
    ],
)
def test_a_refused_edit_says_whether_the_message_is_gone(wire, word, code):
    wire.routes["/api/chat.update"] = Reply({"ok": False, "error": word})
    with pytest.raises(ProviderError) as caught:
        edit()
    assert (caught.value.code, caught.value.outcome) == (code, Outcome.REFUSED)


def test_blocks_never_exceed_what_slack_accepts():
    long = Message(text="x" * 200, lines=("y" * 1000,) * 400, detail="z" * 5000)
    made = blocks(long)
    assert len(made) <= 50
    texts = [b["text"]["text"] for b in made if "text" in b]
    assert len(texts[0]) == 150
    assert max(map(len, texts)) <= 3000
    assert re.fullmatch(r"… \d+ more", texts[-1])
    assert len(made[-1]["elements"][0]["text"]) == 3000


# --- channels ------------------------------------------------------------------------------------


def test_channels_of_all_pages_are_offered_also_behind_an_empty_one(wire):
    names = ("page_1", "page_2_empty", "page_3")
    pages = [Reply(payload(f"conversations.list__{name}")) for name in names]
    wire.routes["/api/conversations.list"] = pages
    assert slack().channels() == [
        Option(value="C0RELEASES", label="#releases"),
        Option(value="C0SECRET01", label="🔒 release-captains"),
    ]


def test_private_channels_are_left_out_where_the_token_may_not_see_them(wire):
    def answer(seen):
        if "private_channel" in seen.form["types"]:
            return Reply({"ok": False, "error": "missing_scope", "needed": "groups:read"})
        return Reply(payload("conversations.list__page_3"))

    wire.routes["/api/conversations.list"] = answer
    assert len(slack().channels()) == 1


@pytest.mark.parametrize(
    ("word", "field"),
    [
        ("thread_not_found", "thread_ts"),
        ("cannot_reply_to_message", "thread_ts"),
        ("restricted_action_thread_locked", "thread_ts"),
        ("invalid_blocks", "blocks"),
        ("msg_blocks_too_long", "blocks"),
    ],
)
def test_what_is_refused_in_one_form_is_said_in_a_simpler_one(wire, word, field):
    def answer(seen):
        if field in json.loads(seen.body):
            return Reply({"ok": False, "error": word})
        return Reply(payload("chat.postMessage__ok"))

    wire.routes["/api/chat.postMessage"] = answer
    posted = post(message=Message(text="x", detail="y", thread="1.2", broadcast=True))
    assert posted.id
    assert wire.count("/api/chat.postMessage") == 2


def test_a_message_whose_thread_is_gone_is_found_in_the_channel(wire):
    wire.routes["/api/conversations.replies"] = Reply({"ok": False, "error": "thread_not_found"})
    assert find(thread="1763802000.000100") is not None


def test_the_channels_of_all_workspaces_of_an_organization_are_listed(wire):
    """A token that is installed for the whole organization names no workspace by itself."""
    teams = [{"id": "T1", "name": "Apps"}, {"id": "T2", "name": "Web"}]

    def answer(seen):
        team = seen.form.get("team_id")
        if team is None:
            return Reply({"ok": False, "error": "missing_argument"})
        channel = {"id": f"C0{team}", "name": "releases"}
        return Reply({"ok": True, "channels": [channel]})

    wire.routes["/api/auth.teams.list"] = Reply({"ok": True, "teams": teams})
    wire.routes["/api/conversations.list"] = answer
    assert slack().channels() == [
        Option(value="C0T1", label="#releases · Apps"),
        Option(value="C0T2", label="#releases · Web"),
    ]


@pytest.mark.parametrize(
    "word",
    [
        "restricted_action",
        "restricted_action_read_only_channel",
        "restricted_action_thread_only_channel",
        "restricted_action_thread_locked",
        "a_word_that_is_new",
    ],
)
def test_every_refusal_of_a_message_says_what_to_do(wire, word):
    wire.routes["/api/chat.postMessage"] = Reply({"ok": False, "error": word})
    with pytest.raises(ProviderError) as caught:
        post()
    assert (caught.value.code, caught.value.outcome) == (word, Outcome.REFUSED)
    assert len(caught.value.hint) > 20


@pytest.mark.parametrize("status", [403, 404])
def test_what_a_proxy_answers_is_no_refusal_of_slack(wire, status):
    wire.routes["/api/chat.postMessage"] = Reply(b"<html>Blocked</html>", status)
    with pytest.raises(ProviderError) as caught:
        post()
    assert (caught.value.code, caught.value.outcome) == ("not_the_system", Outcome.NOT_SENT)


def test_the_link_to_a_new_app_has_the_scopes_and_no_setting_that_breaks_it():
    given = parse_qs(urlsplit(Slack.new_app_url).query)
    [text] = given["manifest_json"]
    manifest = json.loads(text)
    assert given["new_app"] == ["1"]
    assert {"chat:write", "channels:history"} <= set(manifest["oauth_config"]["scopes"]["bot"])
    assert manifest["settings"]["socket_mode_enabled"]  # interactivity has no address
    assert not manifest["settings"]["token_rotation_enabled"]
    assert len(Slack.new_app_url) < 2000


# --- secrets -------------------------------------------------------------------------------------


def echo(seen):
    shown = seen.headers["authorization"]
    return Reply({"ok": False, "error": shown, "needed": shown, "response_metadata": {"m": shown}})


@pytest.mark.parametrize(
    "script",
    [
        echo,
        lambda seen: Reply(seen.headers["authorization"].encode()),
        lambda seen: Reply(seen.headers["authorization"].encode(), status=500),
        lambda seen: Reply({"ok": False, "error": "missing_scope", "needed": TOKEN}),
        lambda seen: Reply(fault="reset"),
    ],
)
def test_no_failure_shows_the_token_even_if_slack_echoes_it(wire, caplog, script):
    caplog.set_level(logging.DEBUG)
    wire.routes["/api/chat.postMessage"] = script
    with pytest.raises(ProviderError) as failure:
        post()
    assert TOKEN not in everything_in(failure.value)
    assert TOKEN not in caplog.text
    assert failure.value.__context__ is None


def test_names_that_echo_the_token_are_not_shown(wire):
    named = {**payload("conversations.info__member")["channel"], "name": TOKEN, "is_member": False}
    wire.routes["/api/conversations.info"] = Reply({"ok": True, "channel": named})
    wire.routes["/api/auth.test"] = Reply(
        {**payload("auth.test__bot"), "user": TOKEN}, headers={"x-oauth-scopes": SCOPES}
    )
    wire.routes["/api/conversations.list"] = Reply({"ok": True, "channels": [named]})
    assert TOKEN not in repr(slack().verify())
    assert TOKEN not in repr(slack().channels())


# --- text ----------------------------------------------------------------------------------------


def test_text_is_escaped_so_that_nobody_is_called():
    assert escape("<!channel> & <@U1>") == "&lt;!channel&gt; &amp; &lt;@U1&gt;"


def test_from_connection_reads_the_fields_of_the_model():
    class Secret:
        def reveal(self):
            return TOKEN

    class Connection:
        token = Secret()
        app_token = None
        recipients = ["C0RELEASES"]
        options = {"site": SITE}  # as the row has it

    assert failed(Slack.from_connection(Connection()).verify()) == {}


@pytest.mark.parametrize("word", [None, 7, [None], {"a": None}, "\ud800"])
def test_a_refusal_without_a_word_is_a_refusal(slack_is_here, wire, word):
    wire.routes["/api/chat.postMessage"] = Reply({"ok": False, "error": word})
    with pytest.raises(ProviderError) as caught:
        post()
    assert caught.value.outcome is Outcome.REFUSED
