"""Keeps secrets out of the log."""

from __future__ import annotations

import logging
import re

# Links that grant access to their holder; Django logs the paths of 4xx and 5xx responses.
_LINKS = re.compile(r"(/accounts/(?:invitations|password/reset/key|confirm-email)/)[^\s/?\"']+")


class HideLinks(logging.Filter):
    """Removes the secret from such links; records stay otherwise unchanged."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        hidden = _LINKS.sub(r"\1…", message)
        if hidden != message:
            record.msg, record.args = hidden, ()
        return True
