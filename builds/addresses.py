"""Checks of the URLs that others send us before they become links."""

from __future__ import annotations

from urllib.parse import urlsplit

from delivr.outbound import OutboundError, origin


def safe_build_url(url: str, server_url: str | None) -> str:
    """The URL of a build if it is on the connection's server (None: on any), else ""."""
    if not url:
        return ""
    try:
        same = origin(url) == origin(url if server_url is None else server_url)
    except OutboundError:  # not a URL, or one that contains a user name
        return ""
    return url[:500] if same and url.startswith(("http://", "https://")) else ""


def safe_artifact_url(url: str) -> str:
    """The URL if its scheme is http(s), s3 or gs, else ""."""
    try:
        scheme = urlsplit(url).scheme
    except ValueError:
        return ""
    printable = all(ord(c) > 32 and ord(c) != 127 for c in url)
    return url[:1000] if scheme in ("http", "https", "s3", "gs") and printable else ""
