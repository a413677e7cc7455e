"""Where a repository lies, and under which address its GitHub answers the REST API.

https://docs.github.com/en/rest/using-the-rest-api/getting-started-with-the-rest-api
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.conf import settings

GITHUB = "https://github.com"
_ALIASES = {"github.com", "www.github.com"}
_DATA_RESIDENCY = ".ghe.com"
_REPOSITORY = re.compile(
    r"(?:(?:(?P<scheme>https?)://)?(?P<host>[A-Za-z0-9.-]+(?::\d{1,5})?)/|git@(?P<ssh>[A-Za-z0-9.-]+):)?"
    r"(?P<owner>[A-Za-z0-9][A-Za-z0-9_-]{0,99})/(?P<name>[A-Za-z0-9._-]{1,100}?)(?:\.git)?/?"
)


@dataclass(frozen=True)
class Repository:
    """`server` is the scheme and host of its GitHub, `full_name` its `owner/name`."""

    server: str
    full_name: str

    @property
    def url(self) -> str:
        return f"{self.server}/{self.full_name}"


def read_repository(text: str) -> Repository | None:
    """The repository that an address names, from any way in which people write it; else None."""
    match = _REPOSITORY.fullmatch(text.strip())
    if match is None or match["name"] in (".", ".."):
        return None
    host = (match["host"] or match["ssh"] or "github.com").lower()
    server = GITHUB if host in _ALIASES else f"{match['scheme'] or 'https'}://{host}"
    return Repository(server, f"{match['owner']}/{match['name']}")


def api_url(server: str) -> str:
    """The base of the REST API: of github.com that of the settings, of GitHub Enterprise its own.

    https://docs.github.com/en/enterprise-server/rest/enterprise-admin
    """
    if server == GITHUB:
        return str(settings.GITHUB_API_URL).rstrip("/")
    scheme, host = server.split("://")
    if host.endswith(_DATA_RESIDENCY):
        return f"{scheme}://api.{host}"
    return f"{server}/api/v3"
