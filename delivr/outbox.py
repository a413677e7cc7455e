"""The mails of the demo: in the log, and in files that the sandbox shows."""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.core.mail.backends import console

KEPT = 100  # mails


class Outbox(console.EmailBackend):
    def write_message(self, message: Any) -> None:
        super().write_message(message)
        folder = settings.DELIVR_DATA_DIR / "sandbox" / "mails"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / f"{time.time_ns()}.eml").write_bytes(message.message().as_bytes())
        for old in sorted(folder.glob("*.eml"))[:-KEPT]:
            old.unlink(missing_ok=True)
