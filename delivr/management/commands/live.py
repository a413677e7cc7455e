import asyncio
import signal
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from delivr.pages.events import Events


class Command(BaseCommand):
    help = "Tell open pages at once what has changed (server-sent events); needs PostgreSQL."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--bind", default=settings.LIVE_BIND, help="host:port")

    def handle(self, *, bind: str, **options: Any) -> None:
        host, _, port = bind.rpartition(":")
        if connection.vendor != "postgresql":
            raise CommandError("Only PostgreSQL notes what changes. With SQLite, pages poll.")
        with suppress(asyncio.CancelledError):
            asyncio.run(_until_told(host, int(port)))


async def _until_told(host: str, port: int) -> None:
    running = asyncio.ensure_future(Events().run(host, port))
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, running.cancel)
    await running
