"""What a Slack answers, and how the tests ask it."""

from datetime import UTC, datetime

from integrations.providers.chat import Message
from integrations.providers.slack.provider import Slack
from integrations.providers.tests.wire import Reply, payloads

TOKEN = "xoxb-canary-0123456789-token"
SCOPES = "chat:write,channels:read,groups:read,channels:history,users:read,users:read.email"
SINCE = datetime(2025, 11, 22, 8, 0, tzinfo=UTC)
HELLO = Message(text="📦 Release 1.5.0 created")
ELSEWHERE = Reply(status=302, headers={"Location": "http://127.0.0.1:9/"})
payload = payloads(__file__)


class HastySlack(Slack):
    deadline = 0.5


def auth(scopes):
    return Reply(payload("auth.test__bot"), headers={"x-oauth-scopes": scopes})


def slack(token=TOKEN, channels=("C0RELEASES",)):
    return Slack(bot_token=token, channels=channels)


def post(provider=None, message=HELLO):
    provider = provider or slack()
    return provider.post(channel="C0RELEASES", message=message, correlation="eff_sought")


def find(provider=None, **more):
    provider = provider or slack()
    return provider.find(channel="C0RELEASES", correlation="eff_sought", since=SINCE, **more)


def failed(checks):
    return {check.name: check for check in checks if not check.ok}
