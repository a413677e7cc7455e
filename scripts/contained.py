"""Run a command so that nothing of it stays behind: `python scripts/contained.py COMMAND …`.

However it ends (by itself, Ctrl-C, SIGTERM, its parent or any of its processes killed outright),
the servers, workers and browsers that it started end too, whatever session they are in. Two
processes see to that, each for the case that the other one is killed: the outer one, which the
caller knows, and the inner one, in a session of its own, which starts the command. Orphans below
them become their children, so nothing gets lost from sight. On Linux alone; elsewhere the
command just runs.
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

GRACE = 20.0  # seconds for tests to stop what they started and to drop their database
TICK = 0.1
PATIENCE = 10.0  # seconds for killed processes to be gone
INNER = "--inner"
# https://man7.org/linux/man-pages/man2/prctl.2.html
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
ASKING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


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
    """Its exit code, or 128 and the signal's number if an end was asked for. Asked once, the
    command is interrupted as by Ctrl-C and has `grace` seconds; asked again, it ends at once."""
    wishes: list[tuple[float, int]] = []  # when, and which signal
    for number in ASKING:
        signal.signal(number, lambda number, _frame: wishes.append((time.monotonic(), number)))
    child = subprocess.Popen(  # what the caller wants to run
        command, start_new_session=True, preexec_fn=end_with_parent(os.getpid())
    )
    deadline = float("inf")
    while child.poll() is None and time.monotonic() < deadline and not is_impatient(wishes):
        if wishes and deadline == float("inf"):
            os.killpg(child.pid, signal.SIGINT)
            deadline = time.monotonic() + grace
        time.sleep(TICK)
    for number in ASKING:
        signal.signal(number, signal.SIG_IGN)
    end_all_below()
    if wishes:
        return 128 + wishes[0][1]
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


def is_impatient(wishes: Sequence[tuple[float, int]]) -> bool:
    """What comes within a second is one wish: `timeout` and `make` each pass it on."""
    return bool(wishes) and wishes[-1][0] - wishes[0][0] > 1


def end_all_below() -> None:
    """SIGKILL for every process below this one, until there is none."""
    deadline = time.monotonic() + PATIENCE
    while (found := below(os.getpid())) and time.monotonic() < deadline:
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.01)


def below(pid: int) -> list[int]:
    """Its children and theirs, dead ones that nobody has waited for included."""
    children: list[int] = []
    with suppress(FileNotFoundError, ProcessLookupError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            children += map(int, (thread / "children").read_text().split())
    return children + [deeper for child in children for deeper in below(child)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
