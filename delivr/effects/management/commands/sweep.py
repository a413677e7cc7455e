import json
import signal
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from delivr.effects.sweeper import Sweeper, sweep_until_idle


class Command(BaseCommand):
    help = "Find and enqueue whatever is due; without a broker, do the work here."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="do what is due now and stop")
        parser.add_argument("--json", action="store_true")

    def handle(self, **options: Any) -> None:
        if options["once"]:
            done = sweep_until_idle()
            self.stdout.write(json.dumps({"done": done}) if options["json"] else f"{done} done.")
            return
        sweeper = Sweeper()
        signal.signal(signal.SIGTERM, lambda *_: sweeper.stop())
        signal.signal(signal.SIGINT, lambda *_: sweeper.stop())
        sweeper.run()
