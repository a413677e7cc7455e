"""The checks of a Slack connection. They only read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..base import Check, ProviderError
from ..http import garbage
from .errors import LABEL, missing_scope
from .links import is_site

if TYPE_CHECKING:
    from .client import SlackClient

_PERMISSIONS_PAGE = "api.slack.com/apps > OAuth & Permissions"
_LOST_ANSWERS = (
    "If Slack's response to a message is lost, delivr cannot check whether it was posted, and it"
    " may be posted twice."
)


def check_token_form(token: str) -> Iterator[Check]:
    """Check by its prefix that it is a bot token that does not expire.

    https://docs.slack.dev/authentication/tokens : xoxb- bot, xoxp- user, xapp- app level, xoxe
    rotating (12 hours).
    """
    if token.startswith("xoxb-"):
        return
    message, hint = _wrong_form(token)
    yield Check.failed("token", "wrong_token_kind", message, hint)


def _wrong_form(token: str) -> tuple[str, str]:
    if token.startswith("xoxe"):
        return (
            "This is a rotating token: it expires after 12 hours.",
            "A long-lived bot token (xoxb-…) is needed. Rotation cannot be turned off again: create"
            " a new app without it.",
        )
    kinds = {"xoxp-": "a user token", "xapp-": "an app-level token"}
    kind = next((name for start, name in kinds.items() if token.startswith(start)), "no bot token")
    return (
        f"This is {kind}.",
        f"Enter the Bot User OAuth Token of {_PERMISSIONS_PAGE}: it begins with xoxb-.",
    )


class Verification:
    """The steps in order; each uses results of the ones before."""

    def __init__(self, channels: Sequence[str], client: Callable[[], SlackClient]) -> None:
        self._channel_ids = channels
        self._make_client = client
        self._scopes: frozenset[str] | None = None
        self._bot_name = ""
        self.team = ""
        self._site = ""

    def sign_in(self) -> None:
        self._client = self._make_client()
        answer = self._client.call("auth.test")
        self._scopes = answer.scopes
        self._bot_name = self._client.words(answer.data.get("user"))
        self.team = self._client.words(answer.data.get("team_id"))
        self._site = self._client.words(answer.data.get("url"))

    def access(self) -> Iterator[Check]:
        """The workspace, which is kept for links to messages (`Slack.discovered`), and what the
        token may do there."""
        if is_site(self._site):
            yield Check(name="site", ok=True, message=self._site)
        yield from self._scopes_granted()

    def _scopes_granted(self) -> Iterator[Check]:
        if self._scopes is None:
            words = "Slack did not list the scopes of the token."
            yield replace(Check.warning("scopes", "unknown_scopes", words), tested=False)
            return
        if "chat:write" not in self._scopes:
            yield Check.from_error("scopes", missing_scope("chat:write"))
            return
        yield Check(name="scopes", ok=True)
        yield self._correlation("correlation", "channels:history")
        yield self._people()

    def _people(self) -> Check:
        """Mentions find people by their email address, and presses of buttons members."""
        missing = [scope for scope in ("users:read", "users:read.email") if self._lacks(scope)]
        if not missing:
            return Check(name="people", ok=True)
        scopes = " and ".join(missing)
        return Check.warning(
            "people",
            "no_people_scope",
            f"The bot token lacks the scope {scopes}. Failures mention nobody, and who presses a"
            " button has to link their account first.",
            f"Add {scopes} at {_PERMISSIONS_PAGE} and reinstall the app.",
        )

    def _correlation(self, name: str, scope: str) -> Check:
        if self._lacks(scope):
            return Check.warning(
                name,
                "no_history_scope",
                f"The bot token lacks the scope {scope}. {_LOST_ANSWERS}",
                f"Add {scope} at {_PERMISSIONS_PAGE} and reinstall the app.",
            )
        return Check(name=name, ok=True)

    def _lacks(self, scope: str) -> bool:
        return self._scopes is not None and scope not in self._scopes

    def channels(self) -> Iterator[Check]:
        if not self._channel_ids:
            yield Check.failed(
                "channels",
                "no_channels",
                "No channel is chosen.",
                "Choose at least one channel to post to.",
            )
        for channel_id in self._channel_ids:
            yield from self._channel(channel_id)

    def _channel(self, channel_id: str) -> Iterator[Check]:
        name = f"channel:{channel_id}"
        try:
            channel = self._client.call("conversations.info", channel=channel_id).data.get(
                "channel"
            )
            if not isinstance(channel, dict) or not channel.get("id"):
                raise garbage(LABEL)
        except ProviderError as error:
            yield _unseen(name, channel_id, error)
            return
        title = self._client.words(channel.get("name"))
        shown = f"#{title}" if title else channel_id
        yield replace(self._postable(name, shown, channel), subject=shown)
        if channel.get("is_private") and self._lacks("groups:history"):
            found = self._correlation(f"correlation:{channel_id}", "groups:history")
            yield replace(found, subject=shown)

    def _postable(self, name: str, shown: str, channel: Mapping[str, Any]) -> Check:
        if channel.get("is_archived"):
            return Check.failed(
                name,
                "is_archived",
                f"{shown} is archived.",
                "Choose another channel, or unarchive this one.",
            )
        if channel.get("is_read_only") or channel.get("is_frozen"):
            return Check.failed(
                name,
                "read_only",
                f"{shown} is read-only: the app may not post there.",
                "Allow the app in the posting permissions of the channel, or choose another one.",
            )
        if channel.get("is_member") or channel.get("is_im") or self._may_post_anywhere(channel):
            return Check(name=name, ok=True, message=shown)
        return Check.failed(
            name,
            "not_in_channel",
            f"The app is not in {shown}.",
            f"Type /invite @{self._bot_name or ' and its name'} in that channel.",
        )

    def _may_post_anywhere(self, channel: Mapping[str, Any]) -> bool:
        is_public = not channel.get("is_private")
        return is_public and self._scopes is not None and "chat:write.public" in self._scopes


def _unseen(name: str, channel_id: str, error: ProviderError) -> Check:
    """A channel that cannot be read. If only the scope is missing, posting may still work."""
    if error.code == "missing_scope":
        words = f"delivr could not check whether the app can post to {channel_id}. {error.message}"
        found = Check.warning(name, "channel_not_checked", words, error.hint)
        return replace(found, tested=False)
    return replace(Check.from_error(name, error), message=f"{channel_id}: {error.message}")
