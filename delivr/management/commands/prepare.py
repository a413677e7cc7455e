"""`manage.py prepare`: what `make run` does before it starts the processes."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser


class Command(BaseCommand):
    help = "Migrate, collect static files if they changed, and create the demo workspace."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--demo", action="store_true", help="on an empty database")
        parser.add_argument("--json", type=Path, metavar="FILE", help="write the demo's logins")

    def handle(self, **options: Any) -> None:
        call_command("migrate", interactive=False, verbosity=0)
        collect_static_if_changed()
        logins: dict[str, Any] = {}
        if options["demo"]:
            output = io.StringIO()
            call_command("demo", "--if-empty", "--json", stdout=output)
            logins = json.loads(output.getvalue())["logins"]
        if options["json"]:
            options["json"].touch(mode=0o600)
            options["json"].write_text(json.dumps(logins))


def collect_static_if_changed() -> bool:
    """Run collectstatic, which takes seconds, only if a source has changed."""
    mark = Path(settings.STATIC_ROOT) / "sources.sha256"
    now = hashlib.sha256("\n".join(_sources()).encode()).hexdigest()
    if mark.exists() and mark.read_text() == now:
        return False
    call_command("collectstatic", interactive=False, verbosity=0)
    mark.write_text(now)
    return True


def _sources() -> Iterator[str]:
    """Each static file with its size and modification time."""
    for finder in get_finders():
        for name, storage in finder.list([]):
            state = Path(storage.path(name)).stat()
            yield f"{storage.path(name)} {state.st_size} {state.st_mtime_ns}"
