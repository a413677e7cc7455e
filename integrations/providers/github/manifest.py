"""Registering a GitHub App from a manifest: the person confirms it on a page of GitHub, which then
hands out the app's private key for a code.

https://docs.github.com/en/apps/sharing-github-apps/registering-a-github-app-from-a-manifest
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote, urlencode

from django.utils.translation import gettext as _

from ..base import Links, Registered, Registration
from ..http import garbage
from .addresses import Repository, pages_of
from .refusals import LABEL
from .verification import NEEDED, WANTED

LONGEST_NAME = 34
_SLUG = re.compile(r"[A-Za-z0-9-]{1,100}")


def registration_of(repository: Repository, *, links: Links, state: str) -> Registration:
    owner, pages = repository.full_name.partition("/")[0], pages_of(repository.server)
    query = urlencode({"state": state})
    organisation = f"{pages}/organizations/{quote(owner)}/settings/apps/new?{query}"
    return Registration(
        buttons=[
            (_("Create it for the organisation %(owner)s") % {"owner": owner}, organisation),
            (_("Create it for my own account"), f"{pages}/settings/apps/new?{query}"),
        ],
        fields={"manifest": json.dumps(_manifest(owner, links))},
    )


def _manifest(owner: str, links: Links) -> dict[str, Any]:
    """Without `hook_attributes`, which would need an address: the webhooks are the repository's."""
    return {
        "name": f"delivr {owner}"[:LONGEST_NAME],
        "url": links.home,
        "redirect_url": links.registered,
        "setup_url": links.installed,
        "public": False,
        "default_permissions": {**NEEDED, **WANTED},
    }


def registered_from(data: Any, *, server: str, state: str) -> Registered:
    """From GitHub's answer. Its other secrets, of OAuth and webhooks, are not used."""
    if not isinstance(data, dict):
        raise garbage(LABEL)
    number, key, slug = data.get("id"), data.get("pem"), data.get("slug")
    if not isinstance(number, int) or not isinstance(key, str) or not isinstance(slug, str):
        raise garbage(LABEL)
    page, pages = str(data.get("html_url", "")), pages_of(server)
    if not page.startswith(f"{pages}/") or not _SLUG.fullmatch(slug):
        page = f"{pages}/apps/{quote(slug, safe='')}"
    return Registered(
        values={"github_app_id": str(number), "github_private_key": key},
        page=f"{page}/installations/new?{urlencode({'state': state})}",
    )
