"""`make run` from outside: real processes on free ports with their own data directory."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from django.conf import settings

from delivr.run import up
from delivr.tests.product import OURS, free_port
from sandbox import accounts

Start = Callable[..., subprocess.Popen[str]]


def environment(data_dir: Path, **extra: str) -> dict[str, str]:
    clean = {n: v for n, v in os.environ.items() if n not in (*OURS, "DJANGO_SETTINGS_MODULE")}
    ports = {"PORT": str(free_port()), "SANDBOX_PORT": str(free_port())}
    return clean | ports | {"DELIVR_DATA_DIR": str(data_dir), "ALLOWED_HOSTS": ""} | extra


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """`start(PORT="…")` runs the command; it is stopped at the end if it still runs."""
    running: list[subprocess.Popen[str]] = []

    def run(**extra: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "delivr.run.up"]
        env = environment(tmp_path / "data", **extra)
        out = (tmp_path / f"out{len(running)}").open("w+")
        process = subprocess.Popen(
            command, cwd=settings.BASE_DIR, env=env, stdout=out, stderr=subprocess.STDOUT, text=True
        )
        process.stdout = out
        running.append(process)
        return process

    yield run
    for process in running:
        if process.poll() is None:
            process.terminate()
            process.wait(timeout=30)
        assert process.stdout
        process.stdout.close()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    process.stdout.seek(0)
    return process.stdout.read()


def wait_for(process: subprocess.Popen[str], words: str) -> str:
    deadline = time.monotonic() + 120
    while words not in (text := said(process)):
        assert process.poll() is None, text
        assert time.monotonic() < deadline, text
        time.sleep(0.1)
    return text


def children(pid: int) -> dict[int, str]:
    """All processes below `pid`: id to command line."""
    parents = dict(filter(None, map(parent_of, Path("/proc").glob("[0-9]*"))))
    found: set[int] = {pid}
    while more := {p for p, parent in parents.items() if parent in found} - found:
        found |= more
    commands = {p: command_of(p) for p in found - {pid}}
    return {p: command for p, command in commands.items() if command is not None}


def command_of(pid: int) -> str | None:
    """Its command line, unless it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except (FileNotFoundError, ProcessLookupError):
        return None


def parent_of(proc: Path) -> tuple[int, int] | None:
    """(pid, parent's pid), unless it has ended."""
    try:
        return int(proc.name), int((proc / "stat").read_text().rsplit(")", 1)[1].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


def gone(pids: Any) -> bool:
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


def until_gone(pids: Any) -> None:
    deadline = time.monotonic() + 20
    while not gone(pids):
        assert time.monotonic() < deadline, "processes were left behind"
        time.sleep(0.1)


@pytest.mark.slow
def test_newcomer_gets_a_login_that_works(start: Start, tmp_path: Path) -> None:
    text = wait_for(process := start(), "Ctrl-C")
    url = re.search(r"ready\s+(http://127\.0\.0\.1:\d+)", text)[1]  # type: ignore[index]
    sandbox = re.search(r"sandbox\s+(http://127\.0\.0\.1:\d+)", text)[1]  # type: ignore[index]
    assert requests.get(f"{url}/readyz", timeout=10).status_code == 200
    assert requests.get(f"{sandbox}/", timeout=10).status_code == 200
    names = " ".join(children(process.pid).values())
    assert all(part in names for part in ("gunicorn", "manage.py sweep", "manage.py sandbox"))
    assert "celery" not in names
    told = up.addresses(tmp_path / "data")
    assert (told["BASE_URL"], told["SANDBOX_URL"]) == (url, sandbox)
    assert told["SLACK_API_URL"] == f"{sandbox}/slack/api/"
    assert told["OUTBOUND_ALLOW"].split(",")[-1] == sandbox.removeprefix("http://")
    assert (tmp_path / "data/keys/fernet_keys").exists()
    assert not list((tmp_path / "data/logs").glob("*.json")), "passwords were left behind"

    below = children(process.pid)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 0
    until_gone(below)
    assert up.addresses(tmp_path / "data") == {}

    again = wait_for(process := start(), "Ctrl-C")
    login = r"Sign in\s+(\S+\s+\S+)"
    assert re.findall(login, again) == re.findall(login, text)
    assert_death_of_one_ends_all(process)


def assert_death_of_one_ends_all(process: subprocess.Popen[str]) -> None:
    below = children(process.pid)
    victim = next(pid for pid, name in below.items() if "manage.py sweep" in name)
    os.kill(victim, signal.SIGKILL)
    assert process.wait(timeout=30) == 1
    assert "sweeper was killed by SIGKILL" in said(process)
    until_gone(below)


def test_addresses_left_behind_by_a_kill_are_not_believed(tmp_path: Path) -> None:
    (tmp_path / up.ADDRESSES).write_text('{"SANDBOX_URL": "http://127.0.0.1:9"}')
    with up._lock_data_dir(tmp_path):
        assert up.addresses(tmp_path) == {"SANDBOX_URL": "http://127.0.0.1:9"}
    assert up.addresses(tmp_path) == {}


@pytest.mark.slow
def test_used_port_is_reported_before_anything_is_done(start: Start, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        process = start(PORT=str(port))
        assert process.wait(timeout=30) == 1
    assert f"Port {port} is not available" in said(process)
    assert f"PORT={port + 1} make run" in said(process)
    assert not (tmp_path / "data/delivr.sqlite3").exists()


@pytest.mark.slow
def test_one_data_directory_runs_once(start: Start) -> None:
    first = start()
    wait_for(first, "Preparing")
    second = start()
    assert second.wait(timeout=30) == 1
    assert "already runs" in said(second)
    assert first.poll() is None


@pytest.mark.parametrize("port", ["x", "0", "70000", "-1"])
def test_invalid_port_is_refused_in_words(start: Start, port: str) -> None:
    process = start(PORT=port)
    assert process.wait(timeout=30) == 1
    assert "PORT must be a port between 1 and 65535" in said(process)


def test_sandbox_settings_are_the_sandboxs_own(tmp_path: Path) -> None:
    url = "http://127.0.0.1:8091"
    ours, theirs = up.sandbox_settings(url), accounts.load(tmp_path).settings(url)
    assert {**ours, "OUTBOUND_ALLOW": "127.0.0.1:8091"} == {**theirs, "SANDBOX_URL": url}


def test_operators_settings_are_kept(tmp_path: Path) -> None:
    env = {
        "DELIVR_DATA_DIR": str(tmp_path),
        "SANDBOX_PORT": "8091",
        "SLACK_API_URL": "https://slack.example.com/api/",
        "OUTBOUND_ALLOW": "10.0.0.0/8",
        "GITHUB_API_URL": "",
    }
    env_given = up.Plan.read(env).environment(env)
    assert env_given["SLACK_API_URL"] == "https://slack.example.com/api/"
    assert env_given["GITHUB_API_URL"] == "http://127.0.0.1:8091/github"
    assert env_given["OUTBOUND_ALLOW"] == "10.0.0.0/8,127.0.0.1:8091"


def test_without_sandbox_nothing_points_to_it(tmp_path: Path) -> None:
    env = {"DELIVR_DATA_DIR": str(tmp_path), "SANDBOX": "0"}
    env_given = up.Plan.read(env).environment(env)
    assert not set(env_given) & {*up.sandbox_settings(""), "OUTBOUND_ALLOW"}


def test_sandbox_keeps_its_port(tmp_path: Path) -> None:
    """The demo's connections contain addresses with that port."""
    (tmp_path / "sandbox").mkdir()
    (tmp_path / "sandbox" / "port").write_text("9123")
    assert up.Plan.read({"DELIVR_DATA_DIR": str(tmp_path)}).sandbox_port == 9123


def in_the_example() -> set[str]:
    example = (settings.BASE_DIR / ".env.example").read_text()
    return set(re.findall(r"^#([A-Z_]+)=", example, re.MULTILINE))


OF_THE_COMMAND = {"SANDBOX", "SANDBOX_PORT"}


def test_every_setting_is_in_the_example() -> None:
    source = (settings.BASE_DIR / "delivr/settings/environment.py").read_text()
    read = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', source)) | set(
        re.findall(r'_key\("([A-Z_]+)"\)', source)
    )
    assert read >= {"SECRET_KEY", "DATABASE_URL", "OUTBOUND_ALLOW"}
    assert in_the_example() - OF_THE_COMMAND == read


# What the pages name besides: of gunicorn, of make and the tests, and of examples for a shell.
FOREIGN = {
    *("GUNICORN_CMD_ARGS", "REQUIRE_SERVICES", "NAME", "ARGS", "LANGUAGE", "S"),
    *(
        "DELIVR",
        "TOKEN",
        "KEY_FILE",
        "SCM",
        "TARGET",
        "PIPELINE",
        "RELEASE",
        "NEW_RELEASE",
        "STATUS",
    ),
}


def test_the_pages_name_no_other_settings() -> None:
    pages = [*settings.BASE_DIR.glob("*.md"), *(settings.BASE_DIR / "docs").rglob("*.md")]
    named = {name for page in pages for name in re.findall(r"\b([A-Z][A-Z_]*)=", page.read_text())}
    assert named >= {"OUTBOUND_ALLOW", "FERNET_KEYS", "EFFECTS_PAUSED"}
    assert not named - in_the_example() - FOREIGN


# Others run before the settings are there, or set one; crash points are of the tests.
READ_THE_ENVIRONMENT = {
    "delivr/api/docs.py",  # writes it into examples
    "delivr/celery.py",
    "delivr/monitoring/spans.py",  # what OpenTelemetry's SDK reads by itself
    "delivr/run/crashpoints.py",
    "delivr/run/keys.py",
    "delivr/run/up.py",
    "delivr/settings/environment.py",
    "delivr/settings/framework.py",  # takes EMAIL_URL apart
    "delivr/settings_test.py",
    "delivr/wsgi.py",
}


def test_the_environment_is_read_in_one_place() -> None:
    read = {
        str(name)
        for package in ("delivr", "integrations", "releases", "builds", "submissions", "sandbox")
        for path in (settings.BASE_DIR / package).rglob("*.py")
        if "tests" not in (name := path.relative_to(settings.BASE_DIR)).parts
        and re.search(r"os\.environ|getenv|environ\.Env", path.read_text())
    }
    assert read == READ_THE_ENVIRONMENT


def test_the_example_changes_nothing_as_it_is() -> None:
    lines = (settings.BASE_DIR / ".env.example").read_text().splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == []
