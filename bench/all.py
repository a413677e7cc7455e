"""Runs the short form of each benchmark, one after the other, and prints one table.

`python bench/all.py`, with TEST_DATABASE_URL and TEST_REDIS_URL. `bench/explain.py` and
`bench/lists.py`, which fill large databases, are not among them.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = {
    "webhook.py": ["--rounds", "3", "--seconds", "2"],
    "effects.py": ["--rounds", "3", "--clicks", "20"],
    "live.py": ["--watchers", "200", "--pages", "20"],
    "tables.py": ["--seconds", "120"],
    "server.py": ["--minutes", "1"],
}


def main() -> int:
    failed = 0
    for name, options in PROGRAMS.items():
        command = [sys.executable, str(ROOT / "bench" / name), *options]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        failed += done.returncode != 0
        lines = done.stdout.splitlines() if done.returncode == 0 else done.stderr.splitlines()[-3:]
        for line in lines:
            print(f"{name:<12} {line}", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
