"""Places where tests can end the process, like `kill -9` at the worst moment.

Does nothing unless DELIVR_CRASHPOINT names the place; `scm.tag:after_send` means only effects of
that kind. With DELIVR_CRASH_ONCE, the path of a file,
the process only dies while that file exists, and removes it: the next process goes on.
"""

from __future__ import annotations

import os
from pathlib import Path

KILLED = 137  # the exit code of a process that SIGKILL ended


def crashpoint(name: str, kind: str = "") -> None:
    """End the process here, without any clean-up, if the environment says so."""
    if os.environ.get("DELIVR_CRASHPOINT") in (name, f"{kind}:{name}") and _may_crash():
        os._exit(KILLED)


def _may_crash() -> bool:
    once = os.environ.get("DELIVR_CRASH_ONCE")
    if not once:
        return True
    try:
        Path(once).unlink()  # only one of several processes can remove it
    except FileNotFoundError:
        return False
    return True
