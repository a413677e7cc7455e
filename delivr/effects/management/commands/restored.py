import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from delivr.effects.operations import mark_all_in_doubt


class Command(BaseCommand):
    help = "After a restore, before anything goes out: look at the other side first."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true")

    def handle(self, **options: Any) -> None:
        count = mark_all_in_doubt()
        words = f"{count} effects are looked for at the other side before they are sent."
        self.stdout.write(json.dumps({"doubted": count}) if options["json"] else words)
