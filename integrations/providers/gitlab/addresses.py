"""The address of a project on gitlab.com, or on a host where GitLab may lie below a path."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

GITLAB = "https://gitlab.com"
_HOSTS = {"gitlab.com", "www.gitlab.com", "altssh.gitlab.com"}  # of gitlab.com
_URL = re.compile(r"(?P<scheme>https?|ssh|git|git\+ssh)://(?:[^@/\s]*@)?(?P<rest>.+)", re.I)
_SCP = re.compile(r"(?:[^@/:\s]+@)?(?P<host>[^@/:\s]+):(?!\d+/)(?P<path>[^\s]+)")
_HOST = re.compile(r"(?P<name>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(?::(?P<port>\d{1,5}))?")
# https://docs.gitlab.com/user/reserved_names/
_NAME = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]{0,254}")
_USUAL_PORT = {"http": "80", "https": "443"}
DEEPEST_PATH = 3  # segments below which GitLab is looked for
_PUNCTUATION = "<>()[]\"'`,;"


@dataclass(frozen=True)
class Address:
    """`host` with its scheme; `path` is all that follows, the server's own part included."""

    host: str
    path: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        return "/".join([self.host, *self.path])

    def servers(self) -> Iterator[str]:
        """Where GitLab may be, the likeliest first: https://docs.gitlab.com/install/relative_url/"""
        most = 0 if self.host == GITLAB else min(len(self.path), DEEPEST_PATH)
        for depth in range(most + 1):
            yield "/".join([self.host, *self.path[:depth]])

    def project(self, server: str) -> str:
        """The project's path with its groups; "" if the address names none."""
        below = self.url.removeprefix(server).strip("/")
        return below if "/" in below else ""


def read_address(text: str) -> Address | None:
    """The address in any form that browsers or git use, or None. A user name, password or token in
    it is dropped; without a host it is a project on gitlab.com."""
    words = [word.strip(_PUNCTUATION) for word in text.split()]
    if len(words) > 1:  # `git clone …`, or a line of `git remote -v`
        words = [word for word in words[1:] if "://" in word or _SCP.fullmatch(word)]
    return _read(words[0]) if words else None


def _read(text: str) -> Address | None:
    if url := _URL.fullmatch(text):
        host, _slash, path = url["rest"].partition("/")
        is_web = url["scheme"].lower() in _USUAL_PORT
        return _of(url["scheme"].lower() if is_web else "https", host, path, keep_port=is_web)
    if "://" in text:
        return None
    if scp := _SCP.fullmatch(text):
        return _of("https", scp["host"], scp["path"], keep_port=False)
    first, _slash, path = text.strip("/").partition("/")
    if "." in first or ":" in first:
        return _of("https", first, path, keep_port=True)
    return _of("https", "gitlab.com", text, keep_port=True) if path else None


def _of(scheme: str, host: str, path: str, *, keep_port: bool) -> Address | None:
    """The port of an SSH address is not the web's."""
    found, parts = _HOST.fullmatch(host), _parts(path)
    if found is None or parts is None:
        return None
    name, port = found["name"].lower().rstrip("."), found["port"]
    if name in _HOSTS:
        return Address(GITLAB, parts)
    ends = f":{port}" if port and keep_port and port != _USUAL_PORT[scheme] else ""
    return Address(f"{scheme}://{name}{ends}", parts)


def _parts(path: str) -> tuple[str, ...] | None:
    """The groups and the project; the path of a page may follow after `/-/`."""
    path = re.split(r"[?#]", path)[0].strip("/")
    path = re.split(r"(?:^|/)-(?:/|$)", path)[0].removesuffix(".git")
    parts = tuple(path.split("/")) if path else ()
    usable = all(_NAME.fullmatch(part) and part not in (".", "..") for part in parts)
    return parts if usable else None


def enc(name: str) -> str:
    """A name as one segment of the API's path: https://docs.gitlab.com/api/rest/#namespaced-paths"""
    return quote(name, safe="")
