"""The manifest with which Slack creates an app for delivr in one step.

https://docs.slack.dev/reference/app-manifest and https://docs.slack.dev/app-manifests
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

SCOPES = (
    "chat:write",  # post and edit messages
    "channels:read",  # list the channels to choose from, public and private
    "groups:read",
    "channels:history",  # find a message whose response was lost
    "groups:history",
    "users:read",  # find a member by the email address, to mention them
    "users:read.email",
    "usergroups:read",  # list the groups to choose from, to mention one
)
# Interactivity without a public address takes Socket Mode. Rotating tokens expire after 12 hours.
MANIFEST: dict[str, Any] = {
    "display_information": {
        "name": "delivr",
        "description": "Tells how releases and their builds are doing",
    },
    "features": {"bot_user": {"display_name": "delivr", "always_online": True}},
    "oauth_config": {"scopes": {"bot": list(SCOPES)}},
    "settings": {
        "interactivity": {"is_enabled": True},
        "socket_mode_enabled": True,
        "org_deploy_enabled": False,
        "token_rotation_enabled": False,
    },
}


def new_app_url() -> str:
    """Where a person chooses a workspace and creates the app, with everything filled in."""
    manifest = json.dumps(MANIFEST, separators=(",", ":"))
    return "https://api.slack.com/apps?" + urlencode({"new_app": 1, "manifest_json": manifest})
