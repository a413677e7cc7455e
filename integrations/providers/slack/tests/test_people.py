"""People are found by their email address, and groups named by their id."""

import pytest

from integrations.providers.base import ProviderError
from integrations.providers.slack.provider import Slack
from integrations.providers.slack.tests.answers import slack
from integrations.providers.tests.wire import Reply

pytestmark = pytest.mark.usefixtures("slack_is_here")
PATH = "/api/users.lookupByEmail"


@pytest.mark.parametrize(
    ("answer", "mention"),
    [
        ({"ok": True, "user": {"id": "U0ADA", "deleted": False}}, "<@U0ADA>"),
        ({"ok": True, "user": {"id": "U0ADA", "deleted": True}}, ""),
        ({"ok": True, "user": {"id": "<!channel>"}}, ""),
        ({"ok": True, "user": None}, ""),
        ({"ok": False, "error": "users_not_found"}, ""),
    ],
)
def test_a_person_is_found_by_email(wire, answer, mention):
    wire.routes[PATH] = Reply(answer)
    assert slack().mention("ada@example.com") == mention
    assert "ada%40example.com" in str(wire.last(PATH).body) + str(wire.last(PATH).path)


def test_a_missing_scope_is_an_error_that_names_it(wire):
    refused = {"ok": False, "error": "missing_scope", "needed": "users:read.email"}
    wire.routes[PATH] = Reply(refused)
    with pytest.raises(ProviderError, match=r"users:read\.email"):
        slack().mention("ada@example.com")


def test_groups_that_can_be_mentioned_are_offered(wire):
    groups = [
        {"id": "S0ONCALL", "handle": "on-call", "name": "On call", "date_delete": 0},
        {"id": "S0ANDROID", "handle": "android", "name": "Android", "date_delete": 0},
        {"id": "S0GONE", "handle": "gone", "name": "Gone", "date_delete": 1764500000},
        {"id": "<!channel>", "handle": "x", "name": "X"},
    ]
    wire.routes["/api/usergroups.list"] = Reply({"ok": True, "usergroups": groups})
    found = [(option.value, option.label) for option in slack().groups()]
    assert found == [("S0ANDROID", "@android · Android"), ("S0ONCALL", "@on-call · On call")]


def test_a_group_is_named_by_its_id():
    assert Slack.mention_group(Slack.clean_group(" S0123ABCD ")) == "<!subteam^S0123ABCD>"
    with pytest.raises(ValueError, match="not its name"):
        Slack.clean_group("<!channel>")
