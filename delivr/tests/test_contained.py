"""`make test` and similar commands leave no process behind, however they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings

from delivr.tests.test_supervisor import is_running, until
from delivr.tests.test_up import children

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only on Linux"),
    pytest.mark.slow,
]
CONTAINED = [sys.executable, "scripts/contained.py"]
# What a run may start: a process that ignores all signals in its own session, one that is stopped,
# and one whose parent has ended.
STARTS = """import os, signal, subprocess, time
ignored = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
before = [signal.signal(number, signal.SIG_IGN) for number in ignored]
subprocess.Popen(["sleep", "601"], start_new_session=True)
os.kill(subprocess.Popen(["sleep", "602"]).pid, signal.SIGSTOP)
subprocess.run(["sh", "-c", "setsid sleep 603 &"])"""
POLITE = STARTS + "; list(map(signal.signal, ignored, before)); time.sleep(600)"
STUBBORN = STARTS + "; time.sleep(600)"
SLEEPERS = {f"sleep {n} " for n in (601, 602, 603)}


def start(*command: str, **extra: Any) -> tuple[subprocess.Popen[bytes], dict[int, str]]:
    """The process and, once all have started, everything below it."""
    process = subprocess.Popen(command, cwd=settings.BASE_DIR, **extra)
    until(lambda: set(children(process.pid).values()) >= SLEEPERS)
    return process, children(process.pid)


def inner(_outer: int, found: dict[int, str]) -> int:
    [pid] = (pid for pid, command in found.items() if "--inner" in command)
    return pid


def command(_outer: int, found: dict[int, str]) -> int:
    [pid] = (pid for pid, text in found.items() if "import os" in text and "contained" not in text)
    return pid


def assert_gone(found: dict[int, str]) -> None:
    until(lambda: not any(map(is_running, found)))


def test_an_exit_code_is_passed_on_and_the_rest_ended() -> None:
    child = f"{STARTS}; input(); os._exit(3)"
    process, found = start(*CONTAINED, sys.executable, "-c", child, stdin=subprocess.PIPE)
    process.communicate(b"\n", timeout=15)
    assert process.returncode == 3
    assert_gone(found)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all_processes(number: int) -> None:
    process, found = start(*CONTAINED, sys.executable, "-c", POLITE)
    process.send_signal(number)
    assert process.wait(timeout=15) == 128 + number
    assert_gone(found)


def test_a_second_signal_does_not_wait() -> None:
    process, found = start(*CONTAINED, sys.executable, "-c", STUBBORN)
    until(lambda: process.poll() is not None or process.send_signal(signal.SIGINT), seconds=15)
    assert process.returncode == 128 + signal.SIGINT
    assert_gone(found)


@pytest.mark.parametrize(
    "victim",
    [lambda outer, _found: outer, inner, command],
    ids=["the outer process", "the inner process", "the command"],
)
def test_killing_one_process_ends_all(
    victim: Callable[[int, dict[int, str]], int],
) -> None:
    process, found = start(*CONTAINED, sys.executable, "-c", POLITE)
    os.kill(victim(process.pid, found), signal.SIGKILL)
    process.wait(timeout=15)
    assert_gone(found)


def test_killing_the_parent_ends_all() -> None:
    command = [*CONTAINED, sys.executable, "-c", POLITE]
    parent, found = start(sys.executable, "-c", f"import subprocess; subprocess.run({command!r})")
    parent.kill()
    parent.wait(timeout=15)
    assert_gone(found)
