"""The mails that delivr would have sent, which it leaves as files in the state directory."""

from __future__ import annotations

import email
import email.policy
from pathlib import Path
from typing import Any

SHOWN = 50


def mails_in(state_dir: Path | None) -> list[dict[str, Any]]:
    """The newest ones first."""
    files = sorted((state_dir / "mails").glob("*.eml")) if state_dir else []
    return [_read(path) for path in files[: -SHOWN - 1 : -1]]


def _read(path: Path) -> dict[str, Any]:
    mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    body = mail.get_body(("plain",))
    return {
        "to": str(mail["To"] or ""),
        "subject": str(mail["Subject"] or ""),
        "at": int(path.stem) / 1e9,
        "text": body.get_content().strip() if body else "",
    }
