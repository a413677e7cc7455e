"""App Store Connect's webhook notifications: how they are signed, and what they are about.

https://developer.apple.com/documentation/appstoreconnectapi/webhook-notifications
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping

SIGNATURE = "x-apple-signature"
_PREFIX = "hmacsha256="
_EVENT = re.compile(r"[A-Za-z0-9_]{1,80}")


def is_signed_with(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """The hex HMAC-SHA256 of the raw body, behind a prefix that some receivers saw missing."""
    sent = headers.get(SIGNATURE, "").strip().lower().removeprefix(_PREFIX)
    wanted = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(sent.encode(errors="replace"), wanted.encode())


def notified_of(body: bytes) -> str:
    """Apple's `type` of the event, such as `appStoreVersionAppVersionStateUpdated`."""
    try:
        event = json.loads(body)["data"]["type"]
    except (ValueError, RecursionError, TypeError, KeyError):
        return ""
    return event if isinstance(event, str) and _EVENT.fullmatch(event) else ""
