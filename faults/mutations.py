"""`make mutations`: remove each safeguard from a copy of the code and check that tests fail.

The tests of a mutation must pass in the unchanged copy and fail in the changed one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
POSTGRES = os.environ.get("TEST_DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")
REDIS = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/9")
RUNNER = "delivr/effects/tests/test_runner.py::"
QUICK = ("-x", "--nomigrations")  # tables made from the models; the first failure is enough
FAILED = 1  # pytest's exit code where tests ran and some failed


@dataclass(frozen=True)
class Mutation:
    """Replaces `old` by `new` in `path`, which `tests` must notice."""

    name: str
    path: str
    old: str
    new: str
    tests: tuple[str, ...]
    needs_services: bool = False


MUTATIONS = (
    Mutation(
        "no write-ahead",
        "delivr/effects/runner.py",
        "            self._write_ahead()\n",
        "",
        (
            f"{RUNNER}test_the_write_ahead_precedes_the_call",
            f"{RUNNER}test_a_lost_answer_is_found_and_nothing_is_sent_again",
        ),
    ),
    Mutation(
        "no fence",
        "delivr/effects/runner.py",
        "pk=self.effect.pk, state=EffectState.LEASED, lease_token=self.effect.lease_token",
        "pk=self.effect.pk",
        (f"{RUNNER}test_a_frozen_worker_is_fenced_off",),
    ),
    Mutation(
        "no settle wait",
        "delivr/effects/runner.py",
        "        if now < settled_at:\n",
        "        if False:\n",
        (f"{RUNNER}test_an_absent_effect_waits_until_it_had_time_to_appear",),
    ),
    Mutation(
        "no release lock",
        "releases/operations.py",
        'Release.objects.select_for_update(of=("self",)).get(pk=release_id)',
        "Release.objects.get(pk=release_id)",
        ("builds/tests/test_services.py::test_two_last_builds_at_once_never_hang_the_release",),
        needs_services=True,
    ),
)


def copy_tree(folder: Path) -> Path:
    """Copy the working tree's files that git does not ignore."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


def run_tests(mutation: Mutation, tree: Path) -> int:
    """Run a mutation's tests in `tree`; pytest's exit code."""
    services = {
        "DATABASE_URL": urlsplit(POSTGRES)._replace(path=f"/delivr_{os.getpid()}").geturl(),
        "TEST_DATABASE_URL": POSTGRES,
        "TEST_REDIS_URL": REDIS,
        "CELERY_BROKER_URL": REDIS,
    }
    embedded = {"DATABASE_URL": "sqlite:///:memory:", "CELERY_BROKER_URL": ""}
    env = {**os.environ, **(services if mutation.needs_services else embedded)}
    command = [sys.executable, "-m", "pytest", "-q", *QUICK, *mutation.tests]
    return subprocess.run(command, cwd=tree, env=env, capture_output=True).returncode


def try_out(mutation: Mutation, tree: Path) -> str:
    """What is wrong; empty if the tests notice the mutation."""
    file = tree / mutation.path
    text = file.read_text()
    if text.count(mutation.old) != 1:
        return f"{mutation.path} does not contain the text exactly once"
    if code := run_tests(mutation, tree):
        return f"the tests do not pass without it (pytest: {code})"
    file.write_text(text.replace(mutation.old, mutation.new))
    try:
        code = run_tests(mutation, tree)
    finally:
        file.write_text(text)
    return "" if code == FAILED else f"no test notices it (pytest: {code})"


def main() -> int:
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="delivr-mutations-") as folder:
        tree = copy_tree(Path(folder))
        for mutation in MUTATIONS:
            start = time.monotonic()
            why = try_out(mutation, tree)
            wrong += bool(why)
            seconds = time.monotonic() - start
            print(f"{mutation.name:<18} {why or 'noticed'}  ({seconds:.0f} s)", flush=True)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
