"""Maps Slack's error codes to ours.

https://docs.slack.dev/reference/methods/chat.postMessage#errors and the pages of the other methods.
Slack answers nearly everything with HTTP 200 and `{"ok": false, "error": "<word>"}`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..base import Outcome, ProviderError
from ..http import retry_after_seconds

LABEL = "Slack"
_REINSTALL = (
    "Reinstall the app at api.slack.com/apps > OAuth & Permissions and enter its new Bot User OAuth"
    " Token."
)
_INVITE = "Invite the app to the channel: type /invite @ and its name there."
_LATER = "It is tried again by itself."
_POSTING = "Allow the app in the posting permissions of the channel, or choose another one."
_UNKNOWN = (
    "Look the word up at docs.slack.dev/reference/methods/chat.postMessage, or ask an administrator"
    " of the Slack workspace."
)

_WORDS: dict[str, tuple[Outcome, str, str]] = {
    # The token
    "invalid_auth": (Outcome.CREDENTIALS, "Slack refused the bot token.", _REINSTALL),
    "not_authed": (Outcome.CREDENTIALS, "Slack got no bot token.", _REINSTALL),
    "token_revoked": (Outcome.CREDENTIALS, "The bot token was revoked.", _REINSTALL),
    "token_expired": (Outcome.CREDENTIALS, "The bot token has expired.", _REINSTALL),
    "account_inactive": (
        Outcome.CREDENTIALS,
        "The app was removed from the Slack workspace, or its account was closed.",
        _REINSTALL,
    ),
    "not_allowed_token_type": (
        Outcome.CREDENTIALS,
        "Slack does not allow this with a token of this kind.",
        "Enter the Bot User OAuth Token: it begins with xoxb-.",
    ),
    "no_permission": (
        Outcome.CREDENTIALS,
        "The app lacks a permission for this.",
        "Ask an administrator of the Slack workspace.",
    ),
    "access_denied": (
        Outcome.CREDENTIALS,
        "Slack denied the app access to this.",
        "Ask an administrator of the Slack workspace.",
    ),
    "team_access_not_granted": (
        Outcome.CREDENTIALS,
        "The app was not given access to this Slack workspace.",
        "Ask an administrator of the Slack organisation to add the app to it.",
    ),
    "ekm_access_denied": (
        Outcome.CREDENTIALS,
        "An administrator has suspended posting in this Slack workspace.",
        "Ask an administrator of the Slack workspace.",
    ),
    # The channel
    "channel_not_found": (
        Outcome.REFUSED,
        "Slack does not know this channel, or it is private and the app is not in it.",
        "Enter the channel's ID (it begins with C) and invite the app if the channel is private.",
    ),
    "not_in_channel": (Outcome.REFUSED, "The app is not in the channel.", _INVITE),
    "is_archived": (
        Outcome.REFUSED,
        "The channel is archived.",
        "Choose another channel, or take this one out of the archive.",
    ),
    "restricted_action": (
        Outcome.REFUSED,
        "The rules of the workspace keep the app from posting in this channel.",
        "Allow the app in the posting permissions of the channel, or choose another one.",
    ),
    "restricted_action_read_only_channel": (
        Outcome.REFUSED,
        "The channel is read-only: the app may not post there.",
        _POSTING,
    ),
    "restricted_action_non_threadable_channel": (
        Outcome.REFUSED,
        "The channel takes no answers in threads.",
        _POSTING,
    ),
    "restricted_action_thread_only_channel": (
        Outcome.REFUSED,
        "The channel takes nothing but answers in threads.",
        _POSTING,
    ),
    "restricted_action_thread_locked": (
        Outcome.REFUSED,
        "The thread is locked.",
        "Unlock it, or choose another channel.",
    ),
    "org_login_required": (Outcome.UNCERTAIN, "The Slack workspace is being moved.", _LATER),
    "missing_argument": (
        Outcome.REFUSED,
        "Slack wants to know of which workspace: the token is one of a whole organisation.",
        "Install the app in the workspace of the channels, and enter the token made there.",
    ),
    # The message
    "no_text": (Outcome.REFUSED, "The message is empty.", "Check its template."),
    "msg_too_long": (Outcome.REFUSED, "The message is too long.", "Shorten its template."),
    "msg_blocks_too_long": (Outcome.REFUSED, "The message is too long.", "Shorten its template."),
    "invalid_blocks": (Outcome.REFUSED, "Slack cannot read the message.", "Check its template."),
    "invalid_blocks_format": (
        Outcome.REFUSED,
        "Slack cannot read the message.",
        "Check its template.",
    ),
    "too_many_attachments": (
        Outcome.REFUSED,
        "The message has too many parts.",
        "Shorten its template.",
    ),
    "thread_not_found": (Outcome.REFUSED, "The message to answer to is gone.", ""),
    "message_not_found": (Outcome.REFUSED, "The message is gone.", ""),
    "cannot_reply_to_message": (Outcome.REFUSED, "This message cannot be answered.", ""),
    # Temporary
    "ratelimited": (Outcome.RATE_LIMITED, "Slack asks to slow down.", _LATER),
    "rate_limited": (Outcome.RATE_LIMITED, "Slack asks to slow down.", _LATER),
    "message_limit_exceeded": (
        Outcome.RATE_LIMITED,
        "The workspace has reached its limit of messages.",
        _LATER,
    ),
    # Slack on both: "Some aspect of the operation may have succeeded"
    "internal_error": (Outcome.UNCERTAIN, "Slack has a trouble of its own.", _LATER),
    "fatal_error": (Outcome.UNCERTAIN, "Slack has a trouble of its own.", _LATER),
    "service_unavailable": (Outcome.UNCERTAIN, "Slack is not available.", _LATER),
    "request_timeout": (Outcome.UNCERTAIN, "Slack gave up waiting for the request.", _LATER),
    "team_added_to_org": (Outcome.UNCERTAIN, "The Slack workspace is being moved.", _LATER),
}
_ALIASES = {"ratelimited": "rate_limited"}


def error_from_answer(data: Mapping[str, Any], retry_after: str | None = None) -> ProviderError:
    """The error for an answer with `"ok": false`. An unknown code is a refusal."""
    word = data.get("error")
    word = word if isinstance(word, str) and re.fullmatch(r"[a-z0-9_]{1,60}", word) else "unknown"
    if word == "missing_scope":
        return missing_scope(data.get("needed"))
    outcome, message, hint = _WORDS.get(
        word, (Outcome.REFUSED, f"Slack refused the request ({word}).", _UNKNOWN)
    )
    return ProviderError(
        _ALIASES.get(word, word),
        message,
        hint,
        outcome=outcome,
        retry_after=retry_after_seconds(retry_after),
    )


def missing_scope(needed: object) -> ProviderError:
    """`needed` is Slack's own list of scopes, separated by commas."""
    readable = isinstance(needed, str) and re.fullmatch(r"[a-z:._, -]{1,120}", needed)
    return ProviderError(
        "missing_scope",
        f"The bot token lacks the scope {needed if readable else 'that this takes'}.",
        "Add it at api.slack.com/apps > OAuth & Permissions > Bot Token Scopes and reinstall the"
        " app.",
        outcome=Outcome.CREDENTIALS,
    )


def cannot_correlate(why: str) -> ProviderError:
    return ProviderError.refused(
        "cannot_correlate",
        f"Whether the message was posted cannot be looked up: {why}",
        "Look in the channel.",
    )
