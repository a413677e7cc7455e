"""Addresses from outside that become links."""

from __future__ import annotations

from urllib.parse import urlsplit

from delivr.outbound import OutboundError, origin


def safe_build_url(url: str, server_url: str) -> str:
    """The build's address if it lies on our CI server, else nothing: it becomes a link."""
    if not url:
        return ""
    try:
        same = origin(url) == origin(server_url)
    except OutboundError:  # no address at all, or one with a user's name in it
        return ""
    return url[:500] if same and url.startswith(("http://", "https://")) else ""


def safe_artifact_url(url: str) -> str:
    """http(s), s3 and gs addresses are kept; anything else is refused."""
    try:
        scheme = urlsplit(url).scheme
    except ValueError:
        return ""
    printable = all(ord(c) > 32 and ord(c) != 127 for c in url)
    return url[:1000] if scheme in ("http", "https", "s3", "gs") and printable else ""
