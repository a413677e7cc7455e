"""Repository URLs, and the URL of the REST API of their GitHub server.

https://docs.github.com/en/rest/using-the-rest-api/getting-started-with-the-rest-api
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings

GITHUB, PUBLIC_API = "https://github.com", "https://api.github.com"
# Hosts of github.com, each with the prefix of `owner/name` in its paths.
# https://docs.github.com/en/authentication/troubleshooting-ssh/using-ssh-over-the-https-port
_GITHUBS = {
    "github.com": (),
    "www.github.com": (),
    "ssh.github.com": (),
    "github.dev": (),
    "raw.githubusercontent.com": (),
    "codeload.github.com": (),
    "api.github.com": ("repos",),
}
_DATA_RESIDENCY = ".ghe.com"
_WEB, _GIT = ("http", "https"), ("ssh", "git", "git+ssh", "git+https", "git+http")
_USUAL_PORT = {"http": "80", "https": "443"}
_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z+]*)://(?P<rest>.+)", re.DOTALL)
_SCP = re.compile(r"(?:[^@/:\s]+@)?(?P<host>[^@/:\s]+):(?!\d+/)(?P<path>[^\s]+)")
_HOST = re.compile(r"(?P<name>[A-Za-z0-9.-]+)(?::(?P<port>\d{1,5}))?")
_OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_NAME = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}")
_PUNCTUATION = "<>()[]\"'`,;"
_PAGES = {  # of a repository: what follows `owner/name` in the browser
    *("actions", "blame", "blob", "branches", "commit", "commits", "compare", "deployments"),
    *("discussions", "issues", "network", "projects", "pull", "pulls", "raw", "releases"),
    *("security", "settings", "tags", "tree", "wiki"),
}
_RESERVED_OWNERS = {  # no user or organization has these names: pages of GitHub itself
    *("apps", "codespaces", "enterprises", "login", "marketplace", "notifications", "orgs"),
    *("organizations", "search", "settings", "sponsors", "stars", "topics", "users"),
}


@dataclass(frozen=True)
class Repository:
    """`server` is the scheme and host of its GitHub, `full_name` its `owner/name`."""

    server: str
    full_name: str

    @property
    def url(self) -> str:
        return f"{self.server}/{self.full_name}"


def read_repository(text: str) -> Repository | None:
    """The repository named by an address in any form that browsers, git or gh use, or None. A user
    name, password or token in it is dropped."""
    words = [word.strip(_PUNCTUATION).rstrip(".").rstrip(_PUNCTUATION) for word in text.split()]
    if len(words) > 1:
        return _in_a_command(words)
    return _read(words[0]) if words else None


def _in_a_command(words: list[str]) -> Repository | None:
    """From `git clone …`, a line of `git remote -v`, or `gh repo clone owner/name`."""
    if words[0] == "gh":
        addresses = [word for word in words[1:] if "/" in word]
    else:
        addresses = [word for word in words if "://" in word or _SCP.fullmatch(word)]
    return _read(addresses[0]) if addresses else None


def _read(address: str) -> Repository | None:
    if match := _SCHEME.fullmatch(address):
        scheme = match["scheme"].lower()
        return _of_url(scheme, match["rest"]) if scheme in (*_WEB, *_GIT) else None
    if match := _SCP.fullmatch(address):
        return _of_git(match["host"], match["path"])
    return _of_url("https", address) if _starts_with_host(address) else _of_path(GITHUB, address)


def _starts_with_host(address: str) -> bool:
    """Tells `host/owner/name` from `owner/name/page`: no owner contains a dot or a port."""
    first, *others = address.lstrip("/").partition("?")[0].split("/")
    return "." in first or ":" in first or (len(others) > 1 and others[1] not in {*_PAGES, ""})


def _of_url(scheme: str, rest: str) -> Repository | None:
    authority, _slash, path = rest.partition("/")
    host = authority.rpartition("@")[2]  # without user name and password
    if scheme in _WEB:
        return _of_host(scheme, host, path)
    return _of_git(host, path)


def _of_git(host: str, path: str) -> Repository | None:
    """From an SSH address: its port is not the web's, and its host may be an alias in
    `~/.ssh/config`, usually of the form `github.com-work`."""
    name = host.partition(":")[0]
    if re.fullmatch(r"github\.com-[\w.-]+", name, re.IGNORECASE):
        name = "github.com"
    top = name.rstrip(".").rpartition(".")[2]
    is_alias = "." not in name.rstrip(".") or ("-" in top and not top.startswith("xn--"))
    return None if is_alias else _of_host("https", name, path)


def _of_host(scheme: str, host: str, path: str) -> Repository | None:
    match = _HOST.fullmatch(host)
    if match is None:
        return None
    name, port = match["name"].lower().rstrip("."), match["port"]
    if name in _GITHUBS:
        return _of_path(GITHUB, path, *_GITHUBS[name])
    if name.endswith((".github.com", ".githubusercontent.com", ".github.io")):
        return None  # a gist, a page: no repository
    if name.startswith("api.") and name.endswith(_DATA_RESIDENCY):
        return _of_path(f"{scheme}://{name.removeprefix('api.')}", path, "repos")
    server = f"{scheme}://{name}" + (f":{port}" if port and port != _USUAL_PORT[scheme] else "")
    below = ("api", "v3", "repos") if path.startswith("api/v3/") else ()
    return _of_path(server, path, *below)


def _of_path(server: str, path: str, *below: str) -> Repository | None:
    """The first two segments of the path after `below`; the path of a page may follow."""
    parts: list[str] = re.split(r"[?#]", path)[0].strip("/").split("/")
    if tuple(parts[: len(below)]) != below or ".." in parts:
        return None
    owner, name = [*parts[len(below) :], "", ""][:2]
    name = name.rstrip(".").removesuffix(".git")
    is_one = (
        _OWNER.fullmatch(owner) and _NAME.fullmatch(name) and owner.lower() not in _RESERVED_OWNERS
    )
    return Repository(server, f"{owner}/{name}") if is_one else None


def pages_of(server: str) -> str:
    """Where the pages of a server are. A stand-in for github.com's API has pages of its own."""
    api = api_url(server)
    if server == GITHUB and api != PUBLIC_API:
        parts = urlsplit(api)
        return f"{parts.scheme}://{parts.netloc}"
    return server


def api_url(server: str) -> str:
    """The base URL of the REST API: for github.com the setting, for GitHub Enterprise the server's.

    https://docs.github.com/en/enterprise-server/rest/enterprise-admin
    """
    if server == GITHUB:
        return str(settings.GITHUB_API_URL).rstrip("/")
    scheme, host = server.split("://")
    if host.endswith(_DATA_RESIDENCY):
        return f"{scheme}://api.{host}"
    return f"{server}/api/v3"
