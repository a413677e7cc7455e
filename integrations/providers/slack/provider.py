"""Slack as the place where releases and builds are announced."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Event
from typing import TYPE_CHECKING, Any, Self

from ..base import Check, Option, ProviderError
from ..chat import Message, PostedMessage, Press
from ..http import DEADLINE, dicts, garbage, objects, only_provider_errors
from ..verifying import first_contact, try_in_order
from .errors import LABEL, cannot_correlate, error_from_edit
from .links import TIMESTAMP, permalink
from .manifest import new_app_url
from .paging import next_cursor
from .people import People
from .text import blocks, escape
from .verification import Verification, check_token_form

if TYPE_CHECKING:
    from .client import SlackClient

EVENT_TYPE = "delivr_message"
_CHANNEL_ID = re.compile(r"[A-Z0-9]{2,30}")
MAX_TEAMS = 10  # workspaces of an organization whose channels are listed
MARGIN = timedelta(minutes=11)  # the clocks of our own machines may be ten apart
"""Slack stamps messages by its own clock, which we know to a second or so: look further back."""


class Slack(People):
    label = LABEL
    threads = True
    edits_in_place = True
    new_app_url = new_app_url()
    # https://docs.slack.dev/apis/web-api/rate-limits : one message per second and channel
    pace = timedelta(seconds=1)
    edit_pace = timedelta(seconds=3)
    deadline = DEADLINE

    has_buttons = True
    discovered = ("site",)

    def __init__(
        self,
        *,
        bot_token: str,
        channels: Sequence[str] = (),
        app_token: str = "",
        site: str = "",
    ) -> None:
        self._token = bot_token.strip()
        self._app_token = app_token.strip()
        self._channels = list(channels)
        self._site = site

    @classmethod
    def from_connection(cls, connection: Any) -> Self:
        app_token = connection.app_token.reveal() if connection.app_token else ""
        return cls(
            bot_token=connection.token.reveal(),
            channels=connection.recipients,
            app_token=app_token,
            site=connection.options.get("site", ""),
        )

    escape = staticmethod(escape)

    def checks(self) -> Iterator[Check]:
        check = Verification(self._channels, self._client)
        yield from try_in_order(
            self.label,
            [
                ("token", lambda: check_token_form(self._token)),
                ("credentials", lambda: first_contact(self.label, check.sign_in)),
                ("scopes", check.access),
                ("channels", check.channels),
                *([("buttons", self._check_buttons)] if self._app_token else []),
            ],
        )
        self.account = check.team

    @staticmethod
    def link(url: str, label: str) -> str:
        return f"<{escape(url)}|{escape(label)}>"

    @only_provider_errors
    def channels(self) -> list[Option]:
        """The channels that the token can see, except archived ones."""
        try:
            found = self._list("public_channel,private_channel")
        except ProviderError as error:
            if error.code != "missing_scope":
                raise
            found = self._list("public_channel")  # the token lacks groups:read
        return sorted(found, key=lambda option: option.label)

    def _list(self, types: str) -> list[Option]:
        try:
            return self._list_of(types, team="", after="")
        except ProviderError as error:
            if error.code != "missing_argument":
                raise
        return self._list_of_all_teams(types)

    def _list_of_all_teams(self, types: str) -> list[Option]:
        """For a token of a whole organization, which belongs to no single workspace.

        https://docs.slack.dev/reference/methods/auth.teams.list
        """
        client, found = self._client(), []
        teams = [
            team
            for page in client.pages("auth.teams.list", limit=100)
            for team in dicts(page.data.get("teams"))
        ]
        for team in teams[:MAX_TEAMS]:
            after = f" · {client.words(team.get('name'))}" if len(teams) > 1 else ""
            found += self._list_of(types, team=str(team.get("id")), after=after)
        return found

    def _list_of(self, types: str, *, team: str, after: str) -> list[Option]:
        client = self._client()
        pages = client.pages(
            "conversations.list",
            types=types,
            exclude_archived=True,
            limit=200,
            team_id=team or None,
        )
        return [
            Option(
                value=channel["id"],
                label=_mark(channel) + client.words(channel.get("name")) + after,
            )
            for page in pages
            for channel in dicts(page.data.get("channels"))
            if _CHANNEL_ID.fullmatch(str(channel.get("id")))
        ]

    @only_provider_errors
    def post(self, *, channel: str, message: Message, correlation: str) -> PostedMessage:
        """Post once, with `correlation` in the message's metadata for `find`.

        A message that Slack refuses because of its thread or its blocks is posted without them: a
        refusal means that nothing was posted.
        https://docs.slack.dev/reference/methods/chat.postMessage has no idempotency key.
        """
        client = self._client()  # one limit of time for all tries
        while True:
            try:
                return self._post(client, channel, message, correlation)
            except ProviderError as error:
                simpler = _without_what_is_refused(message, error.code)
                if simpler == message:
                    raise
            self._pause()
            message = simpler

    @only_provider_errors
    def edit(self, *, channel: str, id: str, message: Message) -> None:
        """What is left out stays as it was, so blocks are always sent, and the metadata never is.

        https://docs.slack.dev/reference/methods/chat.update
        """
        client = self._client()
        while True:
            try:
                client.call(
                    "chat.update",
                    channel=channel,
                    ts=id,
                    text=message.text,
                    blocks=blocks(message),
                    link_names=False,
                )
            except ProviderError as error:
                simpler = _without_what_is_refused(message, error.code)
                if simpler == message:
                    failure = error_from_edit(error)
                else:
                    self._pause()
                    message = simpler
                    continue
            else:
                return
            raise failure

    def _pause(self) -> None:
        """Another try is another call into the channel."""
        time.sleep(self.pace.total_seconds())

    def _post(
        self, client: SlackClient, channel: str, message: Message, correlation: str
    ) -> PostedMessage:
        answer = client.call(
            "chat.postMessage",
            channel=channel,
            text=message.text,
            blocks=blocks(message) or None,
            thread_ts=message.thread or None,
            reply_broadcast=True if message.thread and message.broadcast else None,
            metadata={"event_type": EVENT_TYPE, "event_payload": {"id": correlation}},
            link_names=False,
            unfurl_links=False,
            unfurl_media=False,
        )
        return self._posted(answer.data, channel, thread=message.thread)

    def _posted(self, data: Mapping[str, Any], channel: str, *, thread: str) -> PostedMessage:
        stamp, place = str(data.get("ts")), str(data.get("channel"))
        if not TIMESTAMP.fullmatch(stamp):
            raise garbage(LABEL)
        place = place if _CHANNEL_ID.fullmatch(place) else channel
        link = permalink(self._site, place, stamp, thread)
        return PostedMessage(channel=place, id=stamp, url=link)

    @only_provider_errors
    def find(
        self, *, channel: str, correlation: str, since: datetime, thread: str = ""
    ) -> PostedMessage | None:
        """Search for a message by its metadata, in the thread first if there is one.

        https://docs.slack.dev/reference/methods/conversations.history : needs `channels:history`
        (`groups:history` in private channels), and membership.
        """
        if thread and (found := self._find_in_thread(channel, correlation, since, thread)):
            return found
        return self._find(channel, correlation, since, thread="")

    def _find_in_thread(
        self, channel: str, correlation: str, since: datetime, thread: str
    ) -> PostedMessage | None:
        """None also if the thread is gone: the message was then posted in the channel."""
        try:
            return self._find(channel, correlation, since, thread)
        except ProviderError as error:
            if error.code != "thread_not_found":
                raise
        return None

    def _find(
        self, channel: str, correlation: str, since: datetime, thread: str
    ) -> PostedMessage | None:
        for message in self._history(channel, since, thread):
            if _correlation(message) == correlation:
                root = str(message.get("thread_ts") or "")
                return self._posted({"ts": message.get("ts")}, channel, thread=root)
        return None

    def _history(self, channel: str, since: datetime, thread: str) -> Iterator[Mapping[str, Any]]:
        method = "conversations.replies" if thread else "conversations.history"
        pages = self._client().pages(
            method, channel=channel, ts=thread or None, include_all_metadata=True, limit=200
        )
        try:
            for page in pages:
                messages = objects(page.data.get("messages"), LABEL)
                yield from messages
                is_last = not next_cursor(page.data)
                # The history begins with the newest message, a thread with the oldest.
                if is_last or (not thread and _reaches(messages, since + page.clock_lead - MARGIN)):
                    return
        except ProviderError as error:
            failure = _history_failure(error)
        else:
            failure = cannot_correlate("too many messages were posted in the channel since then.")
        raise failure

    @classmethod
    def button_key(cls, connection: Any) -> str:
        """A digest of the app-level token: Slack hands each press to one connection of an app."""
        if not connection.app_token:
            return ""
        return hashlib.sha256(connection.app_token.reveal().strip().encode()).hexdigest()

    @only_provider_errors
    def listen(self, on_press: Callable[[Press], None], stopping: Event) -> None:
        from .socket_mode.client import Socket, open_address

        Socket(open_address(self._app_token, deadline=self.deadline), on_press).run(stopping)

    def _check_buttons(self) -> Iterator[Check]:
        """Nothing is connected: only an address is asked for."""
        if not self._app_token.startswith("xapp-"):
            message = "This is no app-level token."
            hint = "Its page is api.slack.com/apps > Basic Information. It begins with xapp-."
            yield Check.failed("buttons", "wrong_token_kind", message, hint)
            return
        from .socket_mode.client import check

        error = check(self._app_token, deadline=self.deadline)
        yield Check.from_error("buttons", error) if error else Check(name="buttons", ok=True)

    @only_provider_errors
    def email_of(self, user: str) -> str:
        """https://docs.slack.dev/reference/methods/users.info : needs users:read.email.

        A guest may have entered any address, and the administrators of another organization with
        whom a channel is shared may give their people any: so only full members of the bot's own
        workspace or organization count.
        """
        client = self._client()
        found = client.call("users.info", user=user).data.get("user")
        if not isinstance(found, dict) or found.get("deleted") or found.get("is_bot"):
            return ""
        if not _is_of(found, client.call("auth.test").data):
            return ""
        if found.get("is_restricted") or found.get("is_stranger"):
            return ""
        if not found.get("is_email_confirmed"):
            return ""
        profile = found.get("profile")
        return str(profile.get("email") or "") if isinstance(profile, dict) else ""

    @only_provider_errors
    def answer(self, *, channel: str, user: str, thread: str, text: str) -> None:
        """https://docs.slack.dev/reference/methods/chat.postEphemeral"""
        self._client().call(
            "chat.postEphemeral", channel=channel, user=user, thread_ts=thread or None, text=text
        )

    def _client(self) -> SlackClient:
        from .client import SlackClient  # slack_sdk costs 0.3 s to import

        return SlackClient(self._token, deadline=self.deadline)


def _is_of(user: Mapping[str, Any], bot: Mapping[str, Any]) -> bool:
    """True if the user belongs to the bot's workspace, or to its organization (Enterprise Grid)."""
    team, organization = bot.get("team_id"), bot.get("enterprise_id")
    theirs = user.get("enterprise_user")
    is_colleague = isinstance(theirs, dict) and theirs.get("enterprise_id") == organization
    return bool((team and user.get("team_id") == team) or (organization and is_colleague))


_OF_THREADS = (
    "thread_not_found",
    "message_not_found",
    "cannot_reply_to_message",
    "restricted_action_thread_locked",
    "restricted_action_non_threadable_channel",
)
_OF_BLOCKS = ("invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long")


def _without_what_is_refused(message: Message, code: str) -> Message:
    if code in _OF_THREADS:
        return replace(message, thread="", broadcast=False)
    return replace(message, lines=(), detail="", buttons=()) if code in _OF_BLOCKS else message


def _history_failure(error: ProviderError) -> ProviderError:
    if error.code in ("missing_scope", "not_in_channel"):
        return cannot_correlate(error.message)
    return error


def _reaches(messages: Iterable[Mapping[str, Any]], moment: datetime) -> bool:
    """True if one of the messages is older than `moment`."""
    stamps = [str(message.get("ts")) for message in messages]
    return any(float(s) < moment.timestamp() for s in stamps if TIMESTAMP.fullmatch(s))


def _correlation(message: Mapping[str, Any]) -> object:
    metadata = message.get("metadata")
    if not isinstance(metadata, dict) or metadata.get("event_type") != EVENT_TYPE:
        return None
    payload = metadata.get("event_payload")
    return payload.get("id") if isinstance(payload, dict) else None


def _mark(channel: Mapping[str, Any]) -> str:
    return "🔒 " if channel.get("is_private") else "#"
