"""Run a command and end everything that it started: `python scripts/contained.py COMMAND …`.

However the command ends (by itself, by Ctrl-C or SIGTERM, or because its parent or any of its
processes is killed), the servers, workers and browsers that it started end too, in whatever session
they are. Two processes ensure that, each in case the other is killed: the outer one, which the
caller knows, and the inner one, which runs the command in a new session. Orphaned descendants
become their children, so none is missed. Only on Linux; elsewhere the command runs without this.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from delivr.run.supervisor import end_with_parent  # needs the path

GRACE = 20.0  # seconds for tests to stop their processes and to drop their database
TICK = 0.1  # seconds
KILL_TIMEOUT = 10.0  # seconds for killed processes to disappear
INNER = "--inner"
# https://man7.org/linux/man-pages/man2/prctl.2.html
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(command: Sequence[str]) -> int:
    if not sys.platform.startswith("linux"):
        os.execvp(command[0], command)  # noqa: S606 # what the caller wants to run
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)
    if command[0] == INNER:
        return run(command[1:], GRACE)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    return run([sys.executable, __file__, INNER, *command], GRACE + 10)


def run(command: Sequence[str], grace: float) -> int:
    """Run the command; its exit code, or 128 plus the number of a stop signal. After the first
    signal the command is interrupted as by Ctrl-C and has `grace` seconds; after another one it is
    killed."""
    received: list[tuple[float, int]] = []  # time and number of each stop signal
    for number in STOP_SIGNALS:
        signal.signal(number, lambda number, _frame: received.append((time.monotonic(), number)))
    child = subprocess.Popen(  # what the caller wants to run
        command, start_new_session=True, preexec_fn=end_with_parent(os.getpid())
    )
    deadline = float("inf")
    while child.poll() is None and time.monotonic() < deadline and not is_repeated(received):
        if received and deadline == float("inf"):
            os.killpg(child.pid, signal.SIGINT)
            deadline = time.monotonic() + grace
        time.sleep(TICK)
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    kill_descendants()
    if received:
        return 128 + received[0][1]
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


def is_repeated(received: Sequence[tuple[float, int]]) -> bool:
    """Signals within one second count as one: `timeout` and `make` each pass theirs on."""
    return bool(received) and received[-1][0] - received[0][0] > 1


def kill_descendants() -> None:
    """Send SIGKILL to every descendant of this process until there is none."""
    deadline = time.monotonic() + KILL_TIMEOUT
    while (found := descendants(os.getpid())) and time.monotonic() < deadline:
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.01)


def descendants(pid: int) -> list[int]:
    """The process's children and theirs, including zombies."""
    children: list[int] = []
    with suppress(FileNotFoundError, ProcessLookupError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            children += map(int, (thread / "children").read_text().split())
    return children + [deeper for child in children for deeper in descendants(child)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
