"""`manage.py sandbox`: the provider stand-ins on one loopback port."""

from __future__ import annotations

import signal
import threading
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from sandbox.server import SandboxServer


class Command(BaseCommand):
    help = "Serve stand-ins for GitHub, Jenkins, Slack, Jira, App Store Connect and Google Play."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8091)
        parser.add_argument("--state-dir", type=Path, default=Path(".data/sandbox"))
        parser.add_argument(
            "--auto-finish",
            type=float,
            default=20.0,
            metavar="SECONDS",
            help="builds end as SUCCESS after this time; a negative number leaves it to a person",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        seconds = options["auto_finish"]
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        with SandboxServer(
            state_dir=options["state_dir"],
            port=options["port"],
            auto_finish=None if seconds < 0 else seconds,
        ) as server:
            self.stdout.write(f"Sandbox at {server.url}")
            self.stdout.flush()
            stop.wait()
