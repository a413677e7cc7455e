"""What a verification of a connection finds, one trouble after the other."""

import pytest

from integrations.providers.base import Level
from integrations.providers.slack.tests.answers import SCOPES, auth, failed, payload, slack
from integrations.providers.tests.wire import LOGIN_PAGE, Reply

pytestmark = pytest.mark.usefixtures("slack_is_here")


def test_a_good_token_passes_every_check_in_order():
    checks = slack().verify()
    assert [check.name for check in checks] == [
        "token",
        "address",
        "credentials",
        "site",
        "scopes",
        "correlation",
        "people",
        "channel:C0RELEASES",
    ]
    assert failed(checks) == {}


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("xoxe.xoxb-1-abc", "rotating"),
        ("xoxp-123", "user token"),
        ("xapp-1-A", "app-level"),
        ("hello", "no bot token"),
    ],
)
def test_another_kind_of_token_is_refused_before_anything_is_sent(wire, token, words):
    (check,) = slack(token=token).verify()
    assert (check.name, check.ok, check.code) == ("token", False, "wrong_token_kind")
    assert words in check.message
    assert wire.seen == []


def test_a_token_with_a_line_break_inside_is_refused_before_anything_is_sent(wire):
    checks = failed(slack(token="xoxb-one\nxoxb-two").verify())
    assert checks["credentials"].code == "malformed_secret"
    assert wire.seen == []


def test_a_refused_token_is_a_failure_of_the_credentials_and_ends_the_verification(wire):
    wire.routes["/api/auth.test"] = Reply(payload("auth.test__invalid_auth"))
    checks = slack().verify()
    assert failed(checks)["credentials"].code == "invalid_auth"
    assert not failed(checks)["credentials"].is_temporary
    assert wire.count("/api/conversations.info") == 0


def test_a_login_page_is_a_failure_of_the_address(wire):
    wire.routes["/api/auth.test"] = LOGIN_PAGE
    assert failed(slack().verify())["address"].code == "garbage"


def test_a_token_that_may_not_write_is_an_error(wire):
    wire.routes["/api/auth.test"] = auth("channels:read")
    check = failed(slack().verify())["scopes"]
    assert (check.level, check.code) == (Level.ERROR, "missing_scope")
    assert "chat:write" in check.message


def test_a_token_that_may_not_read_history_is_a_warning_that_says_what_is_lost(wire):
    wire.routes["/api/auth.test"] = auth("chat:write,channels:read")
    check = failed(slack().verify())["correlation"]
    assert check.level is Level.WARNING
    assert "posted twice" in check.message


def test_a_token_that_may_not_read_addresses_is_a_warning_that_says_what_is_lost(wire):
    wire.routes["/api/auth.test"] = auth(SCOPES.replace(",users:read.email", ""))
    check = failed(slack().verify())["people"]
    assert check.level is Level.WARNING
    assert "users:read.email" in check.message
    assert "mention nobody" in check.message


def test_unknown_scopes_are_a_warning(wire):
    wire.routes["/api/auth.test"] = Reply(payload("auth.test__bot"))
    assert failed(slack().verify())["scopes"].level is Level.WARNING


@pytest.mark.parametrize(
    ("answer", "code"),
    [("archived", "is_archived"), ("not_member", "not_in_channel")],
)
def test_a_channel_that_cannot_be_posted_to_is_an_error(wire, answer, code):
    wire.routes["/api/conversations.info"] = Reply(payload(f"conversations.info__{answer}"))
    check = failed(slack().verify())["channel:C0RELEASES"]
    assert (check.code, check.level) == (code, Level.ERROR)


def test_a_public_channel_needs_no_membership_where_the_scope_is_there(wire):
    wire.routes["/api/auth.test"] = auth(SCOPES + ",chat:write.public")
    wire.routes["/api/conversations.info"] = Reply(payload("conversations.info__not_member"))
    assert failed(slack().verify()) == {}


def test_a_private_channel_needs_its_own_scope_to_be_looked_up(wire):
    wire.routes["/api/conversations.info"] = Reply(payload("conversations.info__private"))
    check = failed(slack(channels=["C0SECRET01"]).verify())["correlation:C0SECRET01"]
    assert (check.level, check.code) == (Level.WARNING, "no_history_scope")
    assert "groups:history" in check.message


def test_an_unknown_channel_is_an_error_and_the_others_are_checked_too(wire):
    found = Reply(payload("conversations.info__member"))
    unknown = Reply({"ok": False, "error": "channel_not_found"})
    wire.routes["/api/conversations.info"] = [unknown, found]
    checks = slack(channels=["C0NOWHERE1", "C0RELEASES"]).verify()
    assert list(failed(checks)) == ["channel:C0NOWHERE1"]
    assert checks[-1].name == "channel:C0RELEASES"


def test_a_channel_that_may_not_be_looked_at_is_only_a_warning(wire):
    wire.routes["/api/conversations.info"] = Reply(payload("error__missing_scope"))
    assert failed(slack().verify())["channel:C0RELEASES"].level is Level.WARNING


def test_no_channel_at_all_is_an_error():
    assert failed(slack(channels=[]).verify())["channels"].code == "no_channels"


def test_a_temporary_failure_is_marked_as_such(wire):
    wire.routes["/api/auth.test"] = Reply(status=503)
    assert failed(slack().verify())["address"].is_temporary


def test_verifying_posts_nothing(wire):
    slack().verify()
    assert wire.count("/api/chat.postMessage") == 0


@pytest.mark.parametrize("mark", ["is_read_only", "is_frozen"])
def test_a_channel_that_takes_no_message_is_seen_before_one_is_sent(wire, mark):
    info = payload("conversations.info__member")
    wire.routes["/api/conversations.info"] = Reply(
        {**info, "channel": {**info["channel"], mark: True}}
    )
    check = failed(slack().verify())["channel:C0RELEASES"]
    assert check.code == "read_only"
    assert "posting permissions" in check.hint
