import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from delivr.effects.operations import mark_all_in_doubt


class Command(BaseCommand):
    help = "After a restore: have delivr check the providers before it sends anything."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true")

    def handle(self, **options: Any) -> None:
        count = mark_all_in_doubt()
        words = f"delivr looks for {count} effects at their providers before it sends them."
        self.stdout.write(json.dumps({"doubted": count}) if options["json"] else words)
