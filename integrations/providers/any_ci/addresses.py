"""The two addresses of a receiver: where it is told to build, and where it is asked how it is."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from delivr.outbound import origin
from integrations.providers.fields import clean_full_address

BUILD_ID = "{buildId}"
_SAMPLE = "bld_0buildid0"


def clean_status_url(value: str) -> str:
    """The same with `{buildId}` in its path or query. Raises ValueError."""
    if BUILD_ID not in value:
        raise ValueError(_("Put {buildId} where the address names the build."))
    cleaned = clean_full_address(value.replace(BUILD_ID, _SAMPLE))
    if _SAMPLE in urlsplit(cleaned).netloc:
        raise ValueError(_("{buildId} cannot be part of the host."))
    return cleaned.replace(_SAMPLE, BUILD_ID)


def status_address(status_url: str, build_id: str) -> str:
    return status_url.replace(BUILD_ID, build_id)


def is_same_server(one: str, other: str) -> bool:
    return origin(one) == origin(other.replace(BUILD_ID, _SAMPLE))
