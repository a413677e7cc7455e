"""Real child processes: started, watched, stopped; none is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from delivr.run.supervisor import Died, Stopped, Supervisor, Tail

SLEEPER = ["-c", "import time; print('up', flush=True); time.sleep(600)"]
STUBBORN = [
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('up', flush=True); time.sleep(600)",
]


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """A supervisor replaces the signal handlers: restore those of the tests."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def until(done: Callable[[], Any], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_output_goes_to_a_log_of_its_own(tmp_path: Path) -> None:
    with Supervisor(tmp_path, os.environ) as supervisor:
        supervisor.start("one", SLEEPER)
        until(lambda: (tmp_path / "one.log").read_text() == "up\n")


def test_all_are_stopped_on_leaving(tmp_path: Path) -> None:
    with Supervisor(tmp_path, os.environ) as supervisor:
        pids = [supervisor.start(name, SLEEPER).process.pid for name in ("one", "two")]
        assert all(map(is_running, pids))
    assert not any(map(is_running, pids))


def test_a_process_that_does_not_stop_is_killed(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("delivr.run.supervisor.GRACE", 0.5)  # seconds; a number, not a function
    with Supervisor(tmp_path, os.environ) as supervisor:
        child = supervisor.start("one", STUBBORN)
        until(lambda: (tmp_path / "one.log").read_text() == "up\n")
    assert child.process.returncode == -signal.SIGKILL


def test_death_of_a_process_is_explained(tmp_path: Path) -> None:
    with Supervisor(tmp_path, os.environ) as supervisor:
        supervisor.start("one", SLEEPER)
        victim = supervisor.start("two", SLEEPER).process
        victim.kill()
        with pytest.raises(Died, match=r"two was killed by SIGKILL: .*two\.log"):
            supervisor.watch()


def test_early_end_counts_as_death(tmp_path: Path) -> None:
    with Supervisor(tmp_path, os.environ) as supervisor:
        supervisor.start("one", ["-c", "raise SystemExit(3)"])
        with pytest.raises(Died, match="one ended with code 3"):
            supervisor.wait_until(lambda: False, seconds=30, what="It")


def test_slow_start_times_out(tmp_path: Path) -> None:
    late = pytest.raises(TimeoutError, match="The web server did not start")
    with Supervisor(tmp_path, os.environ) as supervisor, late:
        supervisor.wait_until(lambda: False, seconds=0.2, what="The web server")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_asks_to_stop(tmp_path: Path, number: int) -> None:
    with Supervisor(tmp_path, os.environ) as supervisor:
        supervisor.start("one", SLEEPER)
        os.kill(os.getpid(), number)
        with pytest.raises(Stopped):
            supervisor.watch()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells children")
def test_children_end_with_a_killed_supervisor(tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from delivr.run.supervisor import Supervisor\n"
        f"with Supervisor(Path({str(tmp_path)!r}), os.environ) as s:\n"
        f"    print(s.start('one', {SLEEPER!r}).process.pid, flush=True); s.watch()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script], cwd=settings.BASE_DIR, stdout=subprocess.PIPE, text=True
    )
    with parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        assert is_running(child)
        parent.kill()
    until(lambda: not is_running(child))


def test_terminal_only_shows_problems(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    log.write_text(
        "2026-01-02 10:00:00,000 INFO delivr all is well\n"
        "2026-01-02 10:00:01,000 ERROR delivr it broke\n"
        "Traceback (most recent call last):\n"
        '  File "x.py", line 1, in <module>\n'
        "ValueError: bad\n"
        "2026-01-02 10:00:02,000 INFO delivr all is well again\n"
        "[2026-01-02 10:00:03 +0000] [7] [ERROR] gunicorn has a word\n"
        "[2026-01-02 10:00:04 +0000] [7] [INFO] and another\n"
    )
    assert [line.split()[-1] for line in Tail(log).problems()] == [
        "broke",
        "last):",
        "<module>",
        "bad",
        "word",
    ]


def test_incomplete_line_waits_for_its_end(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    tail = Tail(log)
    log.write_text("2026-01-02 10:00:01,000 ERROR it br")
    assert list(tail.problems()) == []
    with log.open("a") as file:
        file.write("oke\n")
    assert list(tail.problems()) == ["2026-01-02 10:00:01,000 ERROR it broke"]


def test_long_log_is_moved_aside(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("delivr.run.supervisor.LOG_LIMIT", 10)
    (tmp_path / "one.log").write_text("of yesterday\n")
    with Supervisor(tmp_path, os.environ) as supervisor:
        supervisor.start("one", SLEEPER)
        until(lambda: (tmp_path / "one.log").read_text() == "up\n")
    assert (tmp_path / "one.log.1").read_text() == "of yesterday\n"
