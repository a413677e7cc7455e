"""The two addresses of a receiver: where it is told to build, and where it is asked how it is."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from delivr.outbound import OutboundError, origin
from integrations.providers.fields import clean_address

BUILD_ID = "{buildId}"
_SAMPLE = "bld_0buildid0"


def clean_trigger_url(value: str) -> str:
    """An http(s) address, which may have a query; a slash at its end stays. Raises ValueError."""
    text = value.strip()
    if "#" in text:
        raise ValueError(_("Enter the address without what follows #."))
    before, mark, query = text.partition("?")
    slash = "/" if before.endswith("/") else ""
    address = f"{clean_address(before)}{slash}{mark}{query}"
    try:
        origin(address)  # its query has only characters that an address has
    except OutboundError as error:
        raise ValueError(error.message) from None
    return address


def clean_status_url(value: str) -> str:
    """The same with `{buildId}` in its path or query. Raises ValueError."""
    if BUILD_ID not in value:
        raise ValueError(_("Put {buildId} where the address names the build."))
    cleaned = clean_trigger_url(value.replace(BUILD_ID, _SAMPLE))
    if _SAMPLE in urlsplit(cleaned).netloc:
        raise ValueError(_("{buildId} cannot be part of the host."))
    return cleaned.replace(_SAMPLE, BUILD_ID)


def status_address(status_url: str, build_id: str) -> str:
    return status_url.replace(BUILD_ID, build_id)


def is_same_server(one: str, other: str) -> bool:
    return origin(one) == origin(other.replace(BUILD_ID, _SAMPLE))


def shown(trigger_url: str) -> str:
    """The address in a few words: host and path."""
    parts = urlsplit(trigger_url)
    return f"{parts.netloc}{parts.path}".rstrip("/")
