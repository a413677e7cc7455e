"""The two addresses of a Jira Cloud site: its own and the API gateway's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

_CLOUD_ID = re.compile(r"[0-9a-fA-F-]{16,64}")
# The path of a call may follow, as shown in documentation.
_GATEWAY = re.compile(r"(https?://[^?#]*?/ex/jira/[0-9a-zA-Z-]{16,64})(?:/[^?#]*)?")


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """Atlassian's hosts for sites, and the API gateway, which accepts tokens with scopes.

    The site itself answers 401 to a token with scopes:
    https://support.atlassian.com/atlassian-account/docs/manage-api-tokens-for-your-atlassian-account/
    """

    site_suffix: str = ".atlassian.net"
    gateway: str = "https://api.atlassian.com"

    def hosts(self, site: str) -> bool:
        """True for a site at Atlassian, whose credentials may be sent to the gateway."""
        return (urlsplit(site).hostname or "").endswith(self.site_suffix)

    def gateway_base(self, cloud_id: object) -> str | None:
        """The base URL of the site's API at the gateway; None for an invalid cloud id."""
        if not isinstance(cloud_id, str) or not _CLOUD_ID.fullmatch(cloud_id):
            return None
        return f"{self.gateway}/ex/jira/{cloud_id}"


def api_base(text: str) -> str:
    """The base URL of the API from an entered address: `x.atlassian.net`, a page's URL, or the
    gateway's (`https://api.atlassian.com/ex/jira/<cloud id>`).

    On other hosts the path is kept, since Jira may have a context path. An invalid address is
    returned unchanged, so that connecting to it reports the error.
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
    """True for the gateway, which has no pages of issues."""
    return _GATEWAY.fullmatch(base) is not None


def site_in(server_info: object) -> str:
    """The site's own URL according to Jira; "" unless a browser can open it.

    https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-server-info/
    """
    found = server_info.get("baseUrl") if isinstance(server_info, dict) else None
    if not isinstance(found, str) or not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", found):
        return ""
    site = found.rstrip("/")
    return "" if is_gateway(site) or len(site) > 300 else site
