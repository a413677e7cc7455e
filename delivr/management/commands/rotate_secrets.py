import json
import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from delivr.rotation import Rotation, rotate_secrets


class Command(BaseCommand):
    help = (
        "Re-encrypt every stored secret with the first of FERNET_KEYS; may be interrupted and run "
        "again. Ends with code 1 if a secret could not be opened."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true")

    def handle(self, **options: Any) -> None:
        result = rotate_secrets(on_batch=self._tell)
        if options["json"]:
            self.stdout.write(json.dumps(asdict(result)))
        else:
            self.stdout.write(_in_words(result))
        if result.unreadable:
            sys.exit(1)

    def _tell(self, result: Rotation) -> None:
        self.stderr.write(f"{result.rotated} rotated …")


def _in_words(result: Rotation) -> str:
    words = f"{result.rotated} secrets rotated."
    if result.unreadable:
        words += (
            "\nNot readable with any key (put the key back, or enter the credentials again): "
            + ", ".join(result.unreadable)
        )
    return words
