import re

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.providers.fields import ConnectionField, matching

_CHANNEL = re.compile(r"[CGD][A-Z0-9]{2,20}")
MAX_CHANNELS = 20


def clean_channels(value: list[str]) -> list[str]:
    """Ids of channels without duplicates, in the given order."""
    channels = list(dict.fromkeys(str(item).strip() for item in value if str(item).strip()))
    if not channels:
        raise ValueError(_("Choose at least one channel."))
    if len(channels) > MAX_CHANNELS:
        raise ValueError(_("At most %(most)d channels.") % {"most": MAX_CHANNELS})
    if bad := [c for c in channels if not _CHANNEL.fullmatch(c)]:
        raise ValueError(
            _("“%(channel)s” is not a channel ID. Enter the ID (C0123ABCD), not the name.")
            % {"channel": bad[0]}
        )
    return channels


FIELDS = (
    ConnectionField(
        name="slack_bot_token",
        column="token",
        label=gettext_lazy("Bot token"),
        audit_label=gettext_lazy("Slack bot token"),
        help=gettext_lazy(
            "The Bot User OAuth Token of your Slack app. Needed scopes: chat:write, channels:read "
            "and groups:read; channels:history and groups:history, to find messages after a lost "
            "response; users:read and users:read.email, to mention people; usergroups:read, to "
            "mention groups."
        ),
        placeholder="xoxb-…",
        secret=True,
        clean=matching(r"\S{4,400}", gettext_lazy("Enter the token without spaces.")),
        shared=True,
        checks=("token", "credentials", "scopes"),
    ),
    ConnectionField(
        name="slack_app_token",
        column="app_token",
        label=gettext_lazy("App-level token"),
        audit_label=gettext_lazy("Slack app-level token"),
        help=gettext_lazy(
            "For buttons in messages, which need no public address: an app-level token with the "
            "scope connections:write, with Socket Mode and interactivity switched on."
        ),
        placeholder="xapp-…",
        required=False,
        secret=True,
        clean=matching(r"\S{4,400}", gettext_lazy("Enter the token without spaces.")),
        shared=True,
        checks=("buttons",),
        group=gettext_lazy("Buttons in messages"),
    ),
    ConnectionField(
        name="slack_channels",
        column="recipients",
        label=gettext_lazy("Channels"),
        audit_label=gettext_lazy("Slack channels"),
        help=gettext_lazy("One channel ID per line; the bot must be a member."),
        placeholder="C0123ABCD",
        kind="list",
        clean=clean_channels,
        options="channels",
        load=gettext_lazy("Load channels"),
        checks=("channels", "channel"),
    ),
)

# To take the shared fields over from another connection
SAME = gettext_lazy("Same bot as %(name)s")

NEEDS = gettext_lazy("leave to install an app in your Slack")

# The names of its checks.
CHECKS = {
    "buttons": gettext_lazy("Buttons in messages"),
    "address": gettext_lazy("Reaching Slack"),
    "channel": gettext_lazy("Channel %(subject)s"),
    "channels": gettext_lazy("Channels"),
    "site": gettext_lazy("Slack workspace"),
    "correlation": gettext_lazy("Finding a message again"),
    "credentials": gettext_lazy("Bot token"),
    "people": gettext_lazy("Finding people"),
    "scopes": gettext_lazy("Token scopes"),
    "token": gettext_lazy("Token type"),
}
