"""Processes of the product, as a benchmark starts them, and what they use."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


@contextlib.contextmanager
def process(folder: str, name: str, *command: str) -> Iterator[int]:
    """A Python process with this one's environment, and its output in `folder`; its id."""
    with Path(folder, f"{name}.log").open("ab") as log:
        child = subprocess.Popen([sys.executable, *command], cwd=ROOT, stdout=log, stderr=log)
        try:
            yield child.pid
        finally:
            child.terminate()
            child.wait()


def worker(folder: str, name: str, *, threads: int = 16) -> Any:
    celery = ["-m", "celery", "--app", "delivr.celery", "worker", "--pool", "threads"]
    return process(folder, name, *celery, "--concurrency", str(threads), "-n", f"{name}@%h")


def family(pid: int) -> list[int]:
    """The process and all below it."""
    found = [pid]
    for one in found:
        for tasks in Path(f"/proc/{one}/task").glob("*/children"):
            found += map(int, tasks.read_text().split())
    return found


def cpu_of(pid: int) -> float:
    """Seconds of CPU that the process and those below it have used."""
    return sum(_cpu_of_one(one) for one in family(pid))


def _cpu_of_one(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_of(pid: int) -> float:
    """MB of the process and those below it; what they share is divided among them (PSS)."""
    return sum(_memory_of_one(one) for one in family(pid))


def _memory_of_one(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
