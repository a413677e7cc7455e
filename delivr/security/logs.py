"""What must not be written into the log."""

from __future__ import annotations

import logging
import re

# Links that let in whoever has them; Django logs the path of what it answers with 4xx and 5xx.
_LINKS = re.compile(r"(/accounts/(?:invitations|password/reset/key|confirm-email)/)[^\s/?\"']+")


class HideLinks(logging.Filter):
    """Cuts the secret out of such links; records stay otherwise as they are."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        hidden = _LINKS.sub(r"\1…", message)
        if hidden != message:
            record.msg, record.args = hidden, ()
        return True
