import json
import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from delivr.encryption.key_usage import KeyUsage, forget_lost_keys, lost_keys, measure_key_usage
from delivr.encryption.rotation import Rotation, rotate_secrets


class Command(BaseCommand):
    help = (
        "Re-encrypt every stored secret with the first of FERNET_KEYS. Can be interrupted, "
        "killed and run again during normal operation. At the end it says which keys are still "
        "needed. Exit code 1 if a secret could not be opened."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true")
        parser.add_argument(
            "--check",
            action="store_true",
            help=(
                "Change nothing; say how many secrets need which key, and which ones no key opens."
            ),
        )
        parser.add_argument(
            "--accept-loss",
            action="store_true",
            help="The missing keys are lost for good: have /readyz answer 200 without them.",
        )

    def handle(self, **options: Any) -> None:
        result = None if options["check"] else rotate_secrets(on_batch=self._show_progress)
        usage = measure_key_usage()
        if options["accept_loss"]:
            forget_lost_keys()
        if options["json"]:
            self.stdout.write(json.dumps(_as_json(result, usage)))
        else:
            self.stdout.write("\n".join(_in_words(result, usage)))
        if usage.unreadable:
            sys.exit(1)

    def _show_progress(self, result: Rotation) -> None:
        self.stderr.write(
            f"{result.seen} of {result.rows} rows ({result.table}), "
            f"{result.rotated} secrets rotated …"
        )


def _as_json(result: Rotation | None, usage: KeyUsage) -> dict[str, Any]:
    rotated = {"rotated": result.rotated, "rows": result.seen} if result else {}
    return {**rotated, **asdict(usage), "isRotated": usage.is_rotated, "lostKeys": lost_keys()}


def _in_words(result: Rotation | None, usage: KeyUsage) -> list[str]:
    lines = [f"{result.rotated} secrets rotated."] if result else []
    for place, count in enumerate(usage.keys, start=1):
        lines.append(f"Key {place} of {len(usage.keys)} is needed by {count} secrets.")
    if usage.is_rotated and len(usage.keys) > 1:
        lines.append(
            "The first key opens everything: once all processes run with it, take the others out "
            "of FERNET_KEYS. Keep them with the backups that are older than this."
        )
    if usage.unreadable:
        lines.append(
            "Not readable with any key (put the key back, or enter the credentials again): "
            + ", ".join(usage.unreadable)
        )
    if lost := lost_keys():
        lines.append(f"{lost} key(s) that secrets need are missing: /readyz answers 503.")
    return lines
