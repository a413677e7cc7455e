"""Places where a test may end the process, as `kill -9` would at the worst moment.

A no-op unless DELIVR_CRASHPOINT names the place. With DELIVR_CRASH_ONCE, the path of a file, the
process dies only while that file exists, and takes it along: the next process goes on.
"""

from __future__ import annotations

import os
from pathlib import Path

KILLED = 137  # the exit code of a process that SIGKILL ended


def crashpoint(name: str) -> None:
    """End the process here, with no clean-up at all, if the environment says so."""
    if os.environ.get("DELIVR_CRASHPOINT") == name and _takes_its_turn():
        os._exit(KILLED)


def _takes_its_turn() -> bool:
    once = os.environ.get("DELIVR_CRASH_ONCE")
    if not once:
        return True
    try:
        Path(once).unlink()  # of several processes one alone gets to remove it
    except FileNotFoundError:
        return False
    return True
