"""The mails that delivr would have sent, which it leaves as files in the state directory."""

from __future__ import annotations

import email
import email.message
import email.policy
from pathlib import Path
from typing import Any

SHOWN = 50


def mails_in(state_dir: Path | None) -> list[dict[str, Any]]:
    """The newest ones first."""
    files = sorted((state_dir / "mails").glob("*.eml")) if state_dir else []
    return [_read(path) for path in files[: -SHOWN - 1 : -1]]


def mail_of(state_dir: Path | None, mail_id: int) -> dict[str, Any] | None:
    """One of them by its id."""
    path = state_dir / "mails" / f"{mail_id}.eml" if state_dir else None
    return _read(path) if path and path.exists() else None


def _read(path: Path) -> dict[str, Any]:
    mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    return {
        "id": int(path.stem),
        "to": str(mail["To"] or ""),
        "subject": str(mail["Subject"] or ""),
        "at": int(path.stem) / 1e9,
        "text": _part(mail, "plain"),
        "html": _part(mail, "html"),
        "headers": [(name, str(value)) for name, value in mail.items()],
    }


def _part(mail: email.message.EmailMessage, kind: str) -> str:
    body = mail.get_body((kind,))
    return body.get_content().strip() if body else ""
