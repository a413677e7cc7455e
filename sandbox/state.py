"""The state of all stand-ins together, and its snapshot.

States are computed from the clock when they are read; nothing sleeps. A snapshot in the state
directory keeps builds, messages and issues over a restart of the sandbox.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sandbox import store_uploads
from sandbox.actions import Actions
from sandbox.chat import Chat
from sandbox.ci import Ci
from sandbox.faults import Faults
from sandbox.github_apps import Apps
from sandbox.health import Health
from sandbox.ledger import Ledger, RequestLog
from sandbox.listeners import Listeners
from sandbox.pipelines import Pipelines
from sandbox.projects import Projects
from sandbox.receivers import Receivers
from sandbox.repositories import Repositories
from sandbox.shared import Shared
from sandbox.sockets import Sockets
from sandbox.stores import Stores
from sandbox.tickets import Tickets
from sandbox.webhooks import Sender

VERSION = 1
SNAPSHOT = "state.json"
SAVE_EVERY = 0.5  # seconds; the minimum between two snapshots


class SandboxState(Shared):
    """The state of all stand-ins. Hold `lock` while reading or changing more than one part."""

    def __init__(
        self,
        state_dir: Path | None = None,
        *,
        clock: Callable[[], float] = time.time,
        auto_finish: float | None = None,
    ) -> None:
        super().__init__(clock)
        self.state_dir = state_dir
        self.auto_finish = auto_finish
        self.faults = Faults()
        self.sender = Sender(self)
        self.sockets = Sockets()
        self._saved_at = 0.0
        self._begin()
        self._load()

    def _begin(self) -> None:
        self.offset = 0.0
        self.ledger = Ledger()
        self.requests = RequestLog()
        self.github = Repositories(self)
        self.gitlab = Projects(self)
        self.github_apps = Apps(self)
        self.jenkins = Ci(
            self,
            sender=self.sender,
            github=self.github,
            gitlab=self.gitlab,
            auto_finish=self.auto_finish,
        )
        self.actions = Actions(
            self, github=self.github, sender=self.sender, auto_finish=self.auto_finish
        )
        self.pipelines = Pipelines(
            self, projects=self.gitlab, sender=self.sender, auto_finish=self.auto_finish
        )
        self.receivers = Receivers(self, sender=self.sender, auto_finish=self.auto_finish)
        self.slack = Chat(self)
        self.listeners = Listeners(self)
        self.jira = Tickets(self)
        self.stores = Stores(self, sender=self.sender)
        self.health = Health(self)

    def record(self, kind: str, provider: str, **facts: Any) -> None:
        """Also let the stores have what a CI server has built."""
        super().record(kind, provider, **facts)
        is_over = kind == "build.finished"
        if is_over and (uploaded := store_uploads.take(self.stores, facts)):
            self.health.take_build(*uploaded)

    def advance(self, seconds: float) -> None:
        """Move the clock forward: quiet periods end, builds finish, issues become searchable."""
        with self.lock:
            self.offset += seconds
            self.settle()
            self.touch()

    def settle(self) -> None:
        """Apply everything that is due by now."""
        with self.lock:
            self.jenkins.settle(self.clock())
            self.actions.settle(self.clock())
            self.pipelines.settle(self.clock())
            self.receivers.settle(self.clock())
            self.stores.settle()

    def restart_jenkins(self, *, starting: int = 5, loading: int = 5) -> None:
        """The next `starting` requests get Jenkins' start page, the next `loading` ones find no
        jobs. Builds go on; the queue is kept, but items that have left it are forgotten."""
        self.jenkins.forget_left_items()
        self.jenkins.cancel_quiet_down()
        self.faults.add("starting", provider="jenkins", count=starting)
        self.faults.add("status", provider="jenkins", path="/job/*", status=404, count=loading)

    def reset(self) -> None:
        """Return to the initial state. The accounts are kept."""
        with self.lock:
            self.faults.clear()
            self.sender.forget()
            self._begin()
            self.touch()

    # Snapshot

    def save_if_due(self) -> None:
        if self._dirty.is_set() and time.monotonic() - self._saved_at >= SAVE_EVERY:
            self.save()

    def save(self) -> None:
        """Write the snapshot atomically."""
        if self.state_dir is None:
            return
        with self.lock:
            self._dirty.clear()
            text = json.dumps(self._dump())
        path = self.state_dir / SNAPSHOT
        draft = path.with_suffix(f".{os.getpid()}.tmp")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        draft.replace(path)
        self._saved_at = time.monotonic()

    def _parts(self) -> dict[str, Any]:
        return {
            "ledger": self.ledger,
            "requests": self.requests,
            "jenkins": self.jenkins,
            "slack": self.slack,
            "listeners": self.listeners,
            "jira": self.jira,
            "github": self.github,
            "gitlab": self.gitlab,
            "github_apps": self.github_apps,
            "actions": self.actions,
            "pipelines": self.pipelines,
            "receivers": self.receivers,
            "stores": self.stores,
            "health": self.health,
        }

    def _dump(self) -> dict[str, Any]:
        parts = {name: part.dump() for name, part in self._parts().items()}
        return {"version": VERSION, "offset": self.offset, **parts}

    def _load(self) -> None:
        if self.state_dir is None:
            return
        self.state_dir.mkdir(parents=True, exist_ok=True)
        path = self.state_dir / SNAPSHOT
        if not path.exists():
            return
        try:
            self._restore(json.loads(path.read_text()))
        except (ValueError, KeyError, TypeError):
            path.replace(path.with_suffix(".broken"))
            self._begin()

    def _restore(self, data: dict[str, Any]) -> None:
        if data["version"] != VERSION:
            raise ValueError("a snapshot of another version")
        self.offset = data["offset"]
        for name, part in self._parts().items():
            if name in data:  # older snapshots lack what came later
                part.load(data[name])
