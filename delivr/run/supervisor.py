"""Starts several processes, watches them and stops them all: plain Python, for `delivr.run.up`.

Each process is a session of its own, so that a Ctrl-C in the terminal only reaches the supervisor,
which then stops them in order. On Linux they also end with the supervisor, even if it is killed.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

GRACE = 10.0  # seconds between SIGTERM and SIGKILL
TICK = 0.1
LOG_LIMIT = 5_000_000  # bytes; a longer log is moved aside when its process starts
_PR_SET_PDEATHSIG = 1  # https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html
_NEW_RECORD = re.compile(r"\[?\d{4}-\d\d-\d\d ")
_BAD_RECORD = re.compile(r"\b(ERROR|CRITICAL)\b|^Traceback|^\w*(Error|Exception)\b")


class Stopped(Exception):
    """Somebody asked to stop (Ctrl-C, SIGTERM, a closed terminal)."""


class Died(Exception):
    """A process ended although nobody asked it to."""


@dataclass
class Tail:
    """The new lines of a log; only problems are shown in the terminal."""

    path: Path
    offset: int = 0
    is_trouble: bool = field(default=False, init=False)

    def problems(self) -> Iterator[str]:
        with self.path.open("rb") as file:
            file.seek(self.offset)
            lines = file.read().splitlines(keepends=True)
        if lines and not lines[-1].endswith(b"\n"):
            lines.pop()  # incomplete: read again next time
        for line in lines:
            self.offset += len(line)
            text = line.decode(errors="replace").rstrip()
            if _BAD_RECORD.search(text):
                self.is_trouble = True
            elif _NEW_RECORD.match(text):
                self.is_trouble = False
            if self.is_trouble:
                yield text


@dataclass
class Child:
    name: str
    process: subprocess.Popen[bytes]
    tail: Tail

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def signal(self, number: int) -> None:
        """Signal the process, or its whole session for SIGKILL."""
        try:
            if number == signal.SIGKILL:
                os.killpg(self.process.pid, number)
            else:
                self.process.send_signal(number)
        except ProcessLookupError:
            pass


class Supervisor:
    """A context manager: on exit, all started processes are stopped, the newest first."""

    def __init__(self, log_dir: Path, env: Mapping[str, str]) -> None:
        self.log_dir = log_dir
        self.env = dict(env)
        self.children: list[Child] = []
        self.is_stopping = False

    def __enter__(self) -> Supervisor:
        self.log_dir.mkdir(parents=True, exist_ok=True)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._asked_to_stop)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _asked_to_stop(self, number: int, frame: FrameType | None) -> None:
        self.is_stopping = True

    def start(self, name: str, args: Sequence[str], *, pass_fds: Sequence[int] = ()) -> Child:
        """Start `python <args>` with its output in `<log_dir>/<name>.log` and `pass_fds` open."""
        path = self.log_dir / f"{name}.log"
        if path.exists() and path.stat().st_size > LOG_LIMIT:
            path.replace(path.with_suffix(".log.1"))
        with path.open("ab") as log:
            offset = log.tell()
            process = subprocess.Popen(  # noqa: S603 # our own command lines
                [sys.executable, *args],
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=pass_fds,
                preexec_fn=end_with_parent(os.getpid()),  # this process has no threads
            )
        child = Child(name, process, Tail(path, offset))
        self.children.append(child)
        return child

    def wait_until(self, done: Callable[[], bool], *, seconds: float, what: str) -> None:
        """Watch until `done()`. Raises Stopped, Died, or TimeoutError after `seconds`."""
        deadline = time.monotonic() + seconds
        while not done():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what} did not start within {seconds:.0f} s.")
            self.look()
            time.sleep(TICK)

    def watch(self) -> None:
        """Wait until delivr is told to stop (Stopped) or a process ends unexpectedly (Died)."""
        while True:
            self.look()
            time.sleep(TICK)

    def look(self) -> None:
        """Check everything once. Raises Stopped or Died."""
        self.show_problems()
        if self.is_stopping:
            raise Stopped
        for child in self.children:
            if not child.is_alive:
                raise Died(
                    f"{child.name} {describe_exit(child.process.returncode)}: {child.tail.path}"
                )

    def show_problems(self) -> None:
        for child in self.children:
            for line in child.tail.problems():
                print(f"{child.name} | {line}", file=sys.stderr, flush=True)  # noqa: T201

    def stop(self) -> None:
        """Ask all to stop, the newest first, and kill those that do not within `GRACE` seconds."""
        deadline = time.monotonic() + GRACE
        for child in reversed(self.children):
            child.signal(signal.SIGTERM)
        for child in reversed(self.children):
            try:
                child.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.signal(signal.SIGKILL)
                child.process.wait()
        self.show_problems()


def describe_exit(code: int) -> str:
    """How a process ended, in words."""
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with code {code}"


def end_with_parent(parent: int) -> Callable[[], None] | None:
    """For a child, between fork and exec: ask the kernel for SIGTERM when the parent has ended."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it ended before we could ask
            os._exit(1)

    return ask
