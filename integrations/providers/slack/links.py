"""Links to messages, as chat.getPermalink returns them, without a call for each message.

https://docs.slack.dev/reference/methods/chat.getPermalink
"""

from __future__ import annotations

import re

# The address of a workspace or an organization, also in GovSlack.
_SITE = re.compile(r"https://([a-z0-9-]+\.)+slack(-gov)?\.com/")
TIMESTAMP = re.compile(r"[0-9]{1,20}\.[0-9]{1,10}")


def is_site(url: str) -> bool:
    return _SITE.fullmatch(url) is not None


def permalink(site: str, channel: str, stamp: str, thread: str) -> str:
    """The link to a message, or to a reply in `thread`; "" if the site is not known yet."""
    if not site:
        return ""
    link = f"{site}archives/{channel}/p{stamp.replace('.', '')}"
    is_reply = thread != stamp and TIMESTAMP.fullmatch(thread)
    return f"{link}?thread_ts={thread}&cid={channel}" if is_reply else link
