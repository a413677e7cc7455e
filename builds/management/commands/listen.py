import signal
from typing import Any

from django.core.management.base import BaseCommand

from builds.buttons.listening import Listener


class Command(BaseCommand):
    help = "Receive presses of the buttons below messages, through connections opened from here."

    def handle(self, **options: Any) -> None:
        listener = Listener()
        signal.signal(signal.SIGTERM, lambda *_: listener.stop())
        signal.signal(signal.SIGINT, lambda *_: listener.stop())
        listener.run()
