"""People and groups of a Slack workspace, for mentions.

https://docs.slack.dev/messaging/formatting-message-text/#mentioning-users : `<@U…>` and
`<!subteam^S…>`.
"""

from __future__ import annotations

import re
from typing import ClassVar

from django.utils.translation import gettext_lazy

from ..base import Option, ProviderError
from ..chat import ChatProvider
from ..fields import Words, matching
from ..http import dicts, only_provider_errors

DEADLINE = 5.0  # seconds: a message waits for it
_GROUP_ID = r"S[A-Z0-9]{2,20}"
_group_id = matching(
    _GROUP_ID, gettext_lazy("Enter the ID of a user group (S0123ABCD), not its name.")
)
_USER_ID = re.compile(r"[UW][A-Z0-9]{2,20}")


class People(ChatProvider):
    """The part of Slack that mentions people."""

    mentions = True
    mention_help: ClassVar[Words] = gettext_lazy(
        "People are found by their email address, for which the bot needs the scope "
        "users:read.email. Anyone who is not found is named without a mention."
    )
    group_help: ClassVar[Words] = gettext_lazy(
        "The ID of a user group: it begins with S. Load the groups, for which the bot needs the "
        "scope usergroups:read; or open the group in Slack under People > User groups: its address "
        "ends with the ID."
    )
    _token: str

    @only_provider_errors
    def mention(self, email: str) -> str:
        """https://docs.slack.dev/reference/methods/users.lookupByEmail"""
        from .client import SlackClient  # slack_sdk costs 0.3 s to import

        client = SlackClient(self._token, deadline=DEADLINE)
        try:
            user = client.call("users.lookupByEmail", email=email).data.get("user")
        except ProviderError as error:
            if error.code != "users_not_found":
                raise
            return ""
        if not isinstance(user, dict) or user.get("deleted"):
            return ""
        found = str(user.get("id"))
        return f"<@{found}>" if _USER_ID.fullmatch(found) else ""

    @only_provider_errors
    def groups(self) -> list[Option]:
        """https://docs.slack.dev/reference/methods/usergroups.list"""
        from .client import SlackClient

        client = SlackClient(self._token, deadline=DEADLINE)
        found = [
            Option(
                str(group["id"]),
                f"@{client.words(group.get('handle'))} · {client.words(group.get('name'))}",
            )
            for group in dicts(client.call("usergroups.list").data.get("usergroups"))
            if re.fullmatch(_GROUP_ID, str(group.get("id"))) and not group.get("date_delete")
        ]
        return sorted(found, key=lambda option: option.label)

    @staticmethod
    def mention_group(group: str) -> str:
        return f"<!subteam^{group}>"

    @staticmethod
    def clean_group(text: str) -> str:
        return _group_id(text)
