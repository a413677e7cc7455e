"""Chromium for pytest-playwright, and the product as `make run` starts it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--no-sandbox",  # root may not use Chromium's own sandbox
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    # It would reach for the network by itself:
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--metrics-recording-only",
    "--disable-breakpad",
    "--disable-features=OptimizationHints,MediaRouter,Translate",
]
OURS = ("SECRET_KEY", "FERNET_KEYS", "DATABASE_URL", "CELERY_BROKER_URL", "ALLOWED_HOSTS")


def find_chromium() -> str | None:
    """The program of CHROMIUM, or the first one on the path."""
    given = os.environ.get("CHROMIUM")
    return shutil.which(given) if given else next(filter(None, map(shutil.which, NAMES)), None)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Overrides pytest-playwright's; without a Chromium its tests are skipped."""
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium found: install it or set CHROMIUM")
    # Playwright's synchronous API runs an event loop, in which Django refuses the database.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    return {**browser_type_launch_args, "executable_path": path, "args": FLAGS}


@pytest.fixture
def console(page: Any) -> list[str]:
    """What the page's console and its scripts complained of."""
    said: list[str] = []
    page.on("console", lambda m: said.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    return said


@dataclass(frozen=True)
class Product:
    """A running delivr of its own data directory: web server, sweeper and sandbox."""

    url: str
    sandbox_url: str
    email: str  # the demo workspace's owner
    password: str
    data_dir: Path
    process: subprocess.Popen[bytes]


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """Started as `make run` starts it, once for all tests."""
    folder = tmp_path_factory.mktemp("product")
    with started(folder) as running:
        yield running


class started:
    """`with started(folder) as product:` runs the command and ends it with SIGINT."""

    def __init__(self, folder: Path, **env: str) -> None:
        self.folder, self.out = folder, folder / "out.txt"
        clean = {name: value for name, value in os.environ.items() if name not in OURS}
        ports = {"PORT": str(free_port()), "SANDBOX_PORT": str(free_port())}
        clean.pop("DJANGO_SETTINGS_MODULE", None)  # pytest's own
        self.env = {**clean, **ports, "DELIVR_DATA_DIR": str(folder / "data"), **env}

    def __enter__(self) -> Product:
        with self.out.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "delivr.up"],
                cwd=ROOT,
                env=self.env,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        try:
            said = self._until_it_says("Ctrl-C")
        except BaseException:
            self.__exit__()
            raise
        email, password = re.search(r"Sign in\s+(\S+)\s+(\S+)", said).groups()  # type: ignore[union-attr]
        return Product(
            url=f"http://127.0.0.1:{self.env['PORT']}",
            sandbox_url=f"http://127.0.0.1:{self.env['SANDBOX_PORT']}",
            email=email,
            password=password,
            data_dir=self.folder / "data",
            process=self.process,
        )

    def _until_it_says(self, words: str) -> str:
        deadline = time.monotonic() + 120
        while words not in (said := self.out.read_text()):
            assert self.process.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.1)
        return said

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(timeout=30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
