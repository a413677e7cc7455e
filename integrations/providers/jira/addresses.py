"""The two addresses of a Jira Cloud site: the one that people open, and the API gateway."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

_CLOUD_ID = re.compile(r"[0-9a-fA-F-]{16,64}")
# What may follow it is the path of a call, as documentation shows it.
_GATEWAY = re.compile(r"(https?://[^?#]*?/ex/jira/[0-9a-zA-Z-]{16,64})(?:/[^?#]*)?")


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """Where Atlassian hosts sites, and where tokens with scopes are let in.

    A token with scopes is answered 401 at the site itself:
    https://support.atlassian.com/atlassian-account/docs/manage-api-tokens-for-your-atlassian-account/
    """

    site_suffix: str = ".atlassian.net"
    gateway: str = "https://api.atlassian.com"

    def hosts(self, site: str) -> bool:
        """True for a site whose credentials may be shown to the gateway: they are Atlassian's."""
        return (urlsplit(site).hostname or "").endswith(self.site_suffix)

    def gateway_base(self, cloud_id: object) -> str | None:
        """The base URL of the site's API at the gateway, None for what is no cloud id."""
        if not isinstance(cloud_id, str) or not _CLOUD_ID.fullmatch(cloud_id):
            return None
        return f"{self.gateway}/ex/jira/{cloud_id}"


def api_base(text: str) -> str:
    """The base URL of the API from what people enter: `x.atlassian.net`, a page's address, or the
    gateway's (`https://api.atlassian.com/ex/jira/<cloud id>`).

    Other hosts keep their path: Jira may stand below one. What cannot be read stays as it is, for
    the connection to complain about.
    """
    text = text.strip()
    text = text if "://" in text else f"https://{text}"
    try:
        parts = urlsplit(text)
    except ValueError:
        return text
    if (parts.hostname or "").endswith(Cloud.site_suffix):
        return f"https://{parts.netloc}"
    if gateway := _GATEWAY.fullmatch(text):
        return gateway[1]
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def is_gateway(base: str) -> bool:
    """True where only the API is: no page of an issue can be opened there."""
    return _GATEWAY.fullmatch(base) is not None


def site_in(server_info: object) -> str:
    """The site's own address as Jira tells it, "" where it tells none that a browser can open.

    https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-server-info/
    """
    found = server_info.get("baseUrl") if isinstance(server_info, dict) else None
    if not isinstance(found, str) or not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", found):
        return ""
    site = found.rstrip("/")
    return "" if is_gateway(site) or len(site) > 300 else site
