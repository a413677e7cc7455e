"""Maps Slack's error codes to ours.

https://docs.slack.dev/reference/methods/chat.postMessage#errors and the pages of the other methods.
Slack responds to nearly everything with HTTP 200 and `{"ok": false, "error": "<word>"}`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..base import Outcome, ProviderError
from ..chat import CANNOT_EDIT, MESSAGE_LOST
from ..http import retry_after_seconds

LABEL = "Slack"
_REINSTALL = (
    "Reinstall the app at api.slack.com/apps > OAuth & Permissions and enter its new Bot User OAuth"
    " Token."
)
_INVITE = "Invite the app: type /invite @ and its name in the channel."
_ADMINISTRATOR = "Ask an administrator of the Slack workspace."
_LATER = "delivr retries automatically."
_POSTING = "Allow the app in the posting permissions of the channel, or choose another one."
_UNKNOWN = (
    "Look up the error at docs.slack.dev/reference/methods/chat.postMessage, or ask an "
    "administrator"
    " of the Slack workspace."
)

# By outcome: Slack's word, what happened, and what to do.
_WORDS: dict[Outcome, dict[str, tuple[str, str]]] = {
    Outcome.CREDENTIALS: {
        "invalid_auth": ("Slack refused the bot token.", _REINSTALL),
        "not_authed": ("Slack received no bot token.", _REINSTALL),
        "token_revoked": ("The bot token was revoked.", _REINSTALL),
        "token_expired": ("The bot token has expired.", _REINSTALL),
        "account_inactive": (
            "The app was removed from the Slack workspace, or its account was closed.",
            _REINSTALL,
        ),
        "not_allowed_token_type": (
            "Slack does not allow this with a token of this kind.",
            "Enter the Bot User OAuth Token: it begins with xoxb-.",
        ),
        "no_permission": ("The app lacks a permission for this.", _ADMINISTRATOR),
        "access_denied": ("Slack denied the app access to this.", _ADMINISTRATOR),
        "team_access_not_granted": (
            "The app was not given access to this Slack workspace.",
            "Ask an administrator of the Slack organization to add the app to it.",
        ),
        "ekm_access_denied": (
            "An administrator has suspended posting in this Slack workspace.",
            _ADMINISTRATOR,
        ),
    },
    Outcome.REFUSED: {
        "channel_not_found": (
            "Slack does not know this channel, or it is private and the app is not in it.",
            "Enter the channel's ID (it begins with C) and invite the app if the channel is "
            "private.",
        ),
        "not_in_channel": ("The app is not in the channel.", _INVITE),
        "is_archived": (
            "The channel is archived.",
            "Choose another channel, or unarchive this one.",
        ),
        "restricted_action": (
            "The rules of the workspace keep the app from posting in this channel.",
            _POSTING,
        ),
        "restricted_action_read_only_channel": (
            "The channel is read-only: the app may not post there.",
            _POSTING,
        ),
        "restricted_action_non_threadable_channel": (
            "The channel does not allow replies in threads.",
            _POSTING,
        ),
        "restricted_action_thread_only_channel": (
            "The channel allows only replies in threads.",
            _POSTING,
        ),
        "restricted_action_thread_locked": (
            "The thread is locked.",
            "Unlock it, or choose another channel.",
        ),
        "missing_argument": (
            "Slack needs to know the workspace, because the token belongs to a whole organization.",
            "Install the app in the workspace with the channels, and enter the token from there.",
        ),
        "no_text": ("The message is empty.", "Check its template."),
        "msg_too_long": ("The message is too long.", "Shorten its template."),
        "msg_blocks_too_long": ("The message is too long.", "Shorten its template."),
        "invalid_blocks": ("Slack cannot read the message.", "Check its template."),
        "invalid_blocks_format": ("Slack cannot read the message.", "Check its template."),
        "too_many_attachments": ("The message has too many parts.", "Shorten its template."),
        "thread_not_found": ("The message to reply to was deleted.", ""),
        "message_not_found": ("The message was deleted.", ""),
        "cant_update_message": ("Slack does not let the app edit this message.", ""),
        "edit_window_closed": ("The time for editing this message is over.", ""),
        "is_inactive": ("The message is in a part of the conversation that is frozen.", ""),
        "cannot_reply_to_message": ("This message cannot be replied to.", ""),
    },
    # Slack on internal_error and fatal_error: "Some aspect of the operation may have succeeded"
    Outcome.UNCERTAIN: {
        "org_login_required": ("The Slack workspace is being moved.", _LATER),
        "internal_error": ("Slack reported an internal error.", _LATER),
        "fatal_error": ("Slack reported an internal error.", _LATER),
        "service_unavailable": ("Slack is not available.", _LATER),
        "request_timeout": ("Slack timed out waiting for the request.", _LATER),
        "team_added_to_org": ("The Slack workspace is being moved.", _LATER),
    },
    Outcome.RATE_LIMITED: {
        "ratelimited": ("Slack is rate limiting requests.", _LATER),
        "rate_limited": ("Slack is rate limiting requests.", _LATER),
        "message_limit_exceeded": ("The workspace has reached its limit of messages.", _LATER),
    },
}
_KNOWN = {
    word: (outcome, *texts) for outcome, words in _WORDS.items() for word, texts in words.items()
}
_ALIASES = {"ratelimited": "rate_limited"}


def error_from_answer(data: Mapping[str, Any], retry_after: str | None = None) -> ProviderError:
    """The error for a response with `"ok": false`. An unknown code is a refusal."""
    word = data.get("error")
    word = word if isinstance(word, str) and re.fullmatch(r"[a-z0-9_]{1,60}", word) else "unknown"
    if word == "missing_scope":
        return missing_scope(data.get("needed"))
    outcome, message, hint = _KNOWN.get(
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


_OF_EDITS = {
    "message_not_found": MESSAGE_LOST,
    "thread_not_found": MESSAGE_LOST,
    "cant_update_message": CANNOT_EDIT,
    "edit_window_closed": CANNOT_EDIT,
    "is_inactive": CANNOT_EDIT,
}


def error_from_edit(error: ProviderError) -> ProviderError:
    """The same in the words of `ChatProvider.edit`.

    https://docs.slack.dev/reference/methods/chat.update#errors
    """
    if error.code in _OF_EDITS:
        return ProviderError.refused(_OF_EDITS[error.code], error.message, error.hint)
    return error


def cannot_correlate(why: str) -> ProviderError:
    return ProviderError.refused(
        "cannot_correlate",
        f"delivr cannot check whether the message was posted: {why}",
        "Check the channel.",
    )
