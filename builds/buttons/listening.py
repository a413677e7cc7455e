"""Keeps a connection open to every chat app whose buttons can be pressed.

Any number of listeners may run: the chat reports each press to one of them, and reports it again if
it was not told that it arrived.
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict

from django.db import close_old_connections
from django.db.models import QuerySet

from builds.buttons.presses import store
from delivr.effects import clock
from delivr.effects.models import Heartbeat
from delivr.encryption.fields import SecretUnreadable
from delivr.failures import Outcome, ProviderError
from integrations.models import CommunicationIntegration
from integrations.providers.chat import Press
from integrations.providers.registry import provider_for

log = logging.getLogger(__name__)

LOOK_EVERY = 10.0  # seconds until a new, changed or removed connection is noticed
PAUSES = (1.0, 5.0, 30.0)  # seconds before the next try; the last one for all further tries
REFUSED_PAUSE = 300.0


class Listener:
    def __init__(self) -> None:
        self.stopping = threading.Event()
        self._ears: dict[str, tuple[threading.Thread, threading.Event]] = {}
        self._apps: dict[str, list[CommunicationIntegration]] = {}  # as last seen

    def run(self) -> None:
        """Until `stop()`."""
        while not self.stopping.is_set():
            try:
                self.look()
                beat()
            except Exception:
                log.exception("The listener could not read the connections; it tries again.")
            close_old_connections()
            self.stopping.wait(LOOK_EVERY)
        for _thread, stop in self._ears.values():
            stop.set()
        for thread, _stop in self._ears.values():
            thread.join(timeout=5)

    def stop(self) -> None:
        self.stopping.set()

    def look(self) -> None:
        """Start a thread for each new app, and stop those of apps that are gone."""
        wanted = self._apps = apps()
        for key in [key for key in self._ears if key not in wanted]:
            self._ears.pop(key)[1].set()
        for key in wanted:
            if key not in self._ears or not self._ears[key][0].is_alive():
                stop = threading.Event()
                thread = threading.Thread(target=self._listen, args=[key, stop], daemon=True)
                self._ears[key] = (thread, stop)
                thread.start()

    def _listen(self, key: str, stopping: threading.Event) -> None:
        failures = 0
        while not stopping.is_set():
            connections = apps().get(key, [])
            close_old_connections()
            if not connections:
                return
            try:
                provider_for(connections[0]).listen(lambda press: self.take(key, press), stopping)
                failures, pause = 0, 0.2
            except ProviderError as error:
                pause = PAUSES[min(failures, len(PAUSES) - 1)]
                if error.outcome in (Outcome.CREDENTIALS, Outcome.REFUSED):
                    pause = REFUSED_PAUSE
                pause = max(pause, error.retry_after or 0)
                failures += 1
                log.warning("Presses of buttons do not arrive: %s", error.message)
            except Exception:
                pause = PAUSES[min(failures, len(PAUSES) - 1)]
                failures += 1
                log.exception("Listening for presses failed; it is tried again.")
            stopping.wait(pause)

    def take(self, key: str, press: Press) -> None:
        """Store a press for the workspace that it belongs to."""
        ids = [connection.pk for connection in self._apps.get(key, [])]
        try:
            store(press, connected().filter(pk__in=ids))
        finally:
            close_old_connections()


def beat() -> None:
    """Record that a listener runs: monitoring tells if it stays away."""
    Heartbeat.objects.update_or_create(name="listener", defaults={"at": clock.now()})


def apps() -> dict[str, list[CommunicationIntegration]]:
    """The connected apps with buttons, each with its connections, in one query."""
    found: dict[str, list[CommunicationIntegration]] = defaultdict(list)
    for connection in connected().order_by("created_at"):
        try:
            key = connection.provider_class.button_key(connection)
        except SecretUnreadable:
            continue
        if key:
            found[key].append(connection)
    return found


def connected() -> QuerySet[CommunicationIntegration]:
    """The connections of chats with buttons, of all workspaces."""
    return CommunicationIntegration.objects.filter(
        app_token__isnull=False, disconnected_at=None, tenant__closed_at=None
    )
