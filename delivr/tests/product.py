"""The product as started by `make run`, and what the browser's console reports."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.conf import settings
from playwright.sync_api import Page

# Of the tests.
OURS = ("DATABASE_URL", "CELERY_BROKER_URL", "SECRET_KEY", "FERNET_KEYS", "GITHUB_API_URL")


@dataclass(frozen=True)
class Product:
    url: str
    sandbox_url: str
    data_dir: Path
    env: dict[str, str]  # of its processes


@pytest.fixture
def console(page: Page) -> list[str]:
    """Messages of the browser's console: errors, warnings, violations of the content policy."""
    found: list[str] = []
    page.on("console", lambda m: found.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: found.append(str(error)))
    return found


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database after all migrations, for copies: they take most of a first start. Tests of
    `make run` start from nothing (test_up.py, test_api_guide.py)."""
    path = tmp_path_factory.mktemp("migrated") / "delivr.sqlite3"
    env = os.environ | {
        "DJANGO_SETTINGS_MODULE": "delivr.settings_test",
        "DATABASE_URL": f"sqlite:///{path}",
    }
    migrate = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(migrate, cwd=settings.BASE_DIR, env=env, check=True)
    return path


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> Iterator[Product]:
    """The whole product on free ports with its own data directory."""
    with started(tmp_path_factory.mktemp("product"), migrated) as running:
        yield running


@contextmanager
def started(data_dir: Path, database: Path | None = None) -> Iterator[Product]:
    """The product as started by `make run`, with a copy of the database; stopped at the end."""
    if database:
        shutil.copy(database, data_dir)
    port, sandbox_port = free_port(), free_port()
    env = {name: value for name, value in os.environ.items() if name not in OURS} | {
        "DJANGO_SETTINGS_MODULE": "delivr.settings",
        "DELIVR_DATA_DIR": str(data_dir),
        "PORT": str(port),
        "SANDBOX_PORT": str(sandbox_port),
        "ALLOWED_HOSTS": "127.0.0.1,localhost",
        "OUTBOUND_ALLOW": "",
    }
    log = data_dir / "up.log"
    with log.open("wb") as out:
        child = subprocess.Popen(
            [sys.executable, "-m", "delivr.run.up"],
            cwd=settings.BASE_DIR,
            env=env,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            wait_for(f"{url}/readyz", child, log)
            yield Product(url, f"http://127.0.0.1:{sandbox_port}", data_dir, env)
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(timeout=30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def wait_for(url: str, child: subprocess.Popen[bytes], log: Path, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and child.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310 # our own loopback address
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"The product did not come up:\n{log.read_text()[-3000:]}")
