"""Keys that `make run` generates once and keeps in the data directory.

Plain Python, since it runs before Django's settings, which need the keys, can be loaded.
"""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Callable
from pathlib import Path


def keep(path: Path, make: Callable[[], str]) -> str:
    """The content of `path`, created on first use, readable only by its owner, never overwritten.

    If two processes create it at once, one wins and both read the winner's text: a hard link
    appears with all of its content or not at all.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(make())
            file.flush()
            os.fsync(file.fileno())  # a lost key makes every stored secret unreadable
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()


def ensure(data_dir: Path) -> None:
    """Generate the keys that Django's settings need and the environment lacks."""
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not os.environ.get("SECRET_KEY"):
        keep(data_dir / "keys" / "secret_key", lambda: secrets.token_urlsafe(50))
    if not os.environ.get("FERNET_KEYS"):
        keep(data_dir / "keys" / "fernet_keys", new_fernet_key)


def new_fernet_key() -> str:
    """A key for FERNET_KEYS: 256 random bits, urlsafe base64."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
