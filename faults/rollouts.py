"""Releases on their way through the stores, for the scenarios: what people do in delivr and in the
stores' consoles, one move after another."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.db import transaction

from delivr.effects import clock
from delivr.effects.models import Effect, EffectState, IntegrationHealth
from faults.clients import Answer, Client
from faults.killing import LONG
from faults.outcome import SETTLE
from faults.stack import Product, until
from faults.workspaces import Workspace
from integrations.providers.stores import Act, SubmissionState
from releases.models import Release
from releases.operations import lock_release, recompute
from sandbox.accounts import APP_IDENTIFIER, APPLE_ISSUER_ID, APPLE_KEY_ID, Accounts
from submissions.models import Submission

S = SubmissionState
SHARES = (5, 20, 50, 100)


@dataclass(frozen=True)
class Move:
    """What happens next: somebody acts in delivr (`act`), or in the store (`there`, with `facts`).
    Then delivr shows `state` and `percent`."""

    state: SubmissionState
    act: Act | None = None
    there: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    percent: float | None = None


@dataclass(frozen=True)
class Way:
    """Through one store: `platform` and `store` are the names of workspaces and of the sandbox."""

    platform: str
    store: str
    wishes: Mapping[str, Any]
    waits: SubmissionState  # once it is submitted
    moves: Sequence[Move]


APP_STORE = Way(
    "ios",
    "appstore",
    {"phased": True, "usesEncryption": False, "notes": {"en-US": "Faster."}},
    S.WAITING_FOR_REVIEW,
    (
        Move(S.IN_REVIEW, there="start-review"),
        Move(S.APPROVED, there="decide", facts={"verdict": "approve"}),
        Move(S.ROLLING_OUT, Act.PUBLISH),
        Move(S.PAUSED, Act.PAUSE),
        Move(S.ROLLING_OUT, Act.RESUME),
        Move(S.ROLLING_OUT, there="next-day", percent=2),
        Move(S.LIVE, Act.COMPLETE),
    ),
)
PLAY_STORE = Way(
    "android",
    "play",
    {"steps": SHARES, "notes": {"en-US": "Faster."}},
    S.IN_REVIEW,
    (
        Move(S.ROLLING_OUT, there="approve", percent=5),
        Move(S.ROLLING_OUT, Act.ADVANCE, percent=20),
        Move(S.HALTED, Act.HALT),
        Move(S.ROLLING_OUT, Act.RESUME, percent=20),
        Move(S.ROLLING_OUT, Act.ADVANCE, percent=50),
        Move(S.LIVE, Act.COMPLETE),
    ),
)
WAYS = (APP_STORE, PLAY_STORE)
# What Google must have been asked for by then, each exactly once and in this order.
PLAY_STEPS = [
    ("inProgress", 0.05),
    ("inProgress", 0.2),
    ("halted", 0.2),
    ("inProgress", 0.2),
    ("inProgress", 0.5),
    ("completed", None),
]


@dataclass
class Journey:
    """One target of a release on its way through its store."""

    stack: Product
    client: Client
    space: Workspace
    release: Release
    way: Way
    build: str = ""
    id: str = ""

    @property
    def row(self) -> Submission:
        found: Submission = Submission.objects.get(pk=self.id)
        return found

    def in_store(self, act: str, **facts: Any) -> Any:
        return self.stack.sandbox.ask("POST", f"{self.way.store}/acts/{act}", facts)

    def upload(self) -> None:
        """What CI does: the build is in the store."""
        version = self.release.version
        if self.way is APP_STORE:
            self.build = version.rpartition(".")[2]
            self.in_store("upload", version=version, number=self.build)
            return
        app = self.in_store("upload", version=version, number=0)["apps"][0]
        self.build = max(app["used"], key=int)

    @property
    def submit_path(self) -> str:
        return f"releases/{self.release.pk}/submissions"

    @property
    def submit_body(self) -> dict[str, Any]:
        target = self.space.wired.targets[self.way.platform]
        name = "buildNumber" if self.way is APP_STORE else "versionCode"
        return {"targetId": target.pk, "storeBuild": {name: self.build}, **self.way.wishes}

    def submit(self) -> None:
        answer = self.client.api(self.space.token, "POST", self.submit_path, self.submit_body)
        self._accepted(answer)
        self.id = answer.body["id"]

    def ask_for(self, act: Act) -> None:
        path = f"submissions/{self.id}/{act}"
        self._accepted(self.client.api(self.space.token, "POST", path))

    def _accepted(self, answer: Answer) -> None:
        if answer.status != 202:
            raise RuntimeError(f"{self.way.store}: {answer.status} {answer.body}")

    def make(self, move: Move) -> None:
        """The move, without waiting for what follows."""
        if move.act:
            self.ask_for(move.act)
        else:
            self.in_store(move.there, **move.facts)

    def is_at(self, move: Move) -> bool:
        row = self.row
        is_there = row.state == move.state and move.percent in (None, row.percent)
        return is_there and not self.open()

    def open(self) -> list[Effect]:
        mine = Effect.objects.open().filter(payload__submission=self.id)
        return list(mine.filter(kind__startswith="store."))

    def whole(self) -> None:
        """From the upload to everybody's phone."""
        self.upload()
        self.submit()
        self.arrive(Move(self.way.waits))
        for move in self.way.moves:
            self.make(move)
            self.arrive(move)

    def arrive(self, move: Move, *, in_a_hurry: bool = True) -> None:
        what = f"{self.way.store} {self.release.version}: {move.act or move.there} {move.state}"

        def is_there() -> bool:
            if in_a_hurry:
                hurry()
            return self.is_at(move)

        try:
            until(is_there, seconds=SETTLE, what=what, pause=0.5)
        except TimeoutError as late:
            seen = [f"{one} {one.attempts} × {one.last_error}" for one in self.open()]
            raise TimeoutError(f"{late}; {self.row.state} {self.row.message} {seen}") from None


def use_stores(stack: Product, space: Workspace) -> None:
    """Connect the workspace's targets to the sandbox's stores, which work without waiting."""
    accounts = Accounts(Path(stack.folder) / "sandbox")
    ios, android = space.wired.targets["ios"], space.wired.targets["android"]
    ios.issuer_id, ios.key_id = APPLE_ISSUER_ID, APPLE_KEY_ID
    ios.credentials = accounts.apple_api_key
    android.credentials = json.dumps(accounts.google_service_account)
    for target in (ios, android):
        target.app_identifier = APP_IDENTIFIER
        target.save()
    quick = dict.fromkeys(("processing_seconds", "item_ready_seconds", "distribution_seconds"), 0)
    stack.sandbox.ask("POST", "appstore/acts/settings", {**quick, "hidden_reads": 0})


@transaction.atomic
def built(space: Workspace, *platforms: str) -> Release:
    """A release as if all its builds were complete."""
    release = lock_release(space.wired.release(*platforms).pk)
    release.pipelines.update(build_status="SUCCESS")
    recompute(release, cause="bld_all")
    return release


def journeys(stack: Product, client: Client, space: Workspace) -> list[Journey]:
    """A release's ways through both stores."""
    release = built(space)
    return [Journey(stack, client, space, release, way) for way in WAYS]


def hurry() -> None:
    """Cut the pauses between attempts and looks short, and those of the circuit breaker; also the
    time in which a request may still arrive: the sandbox acts at once or never."""
    now = clock.now()
    waiting = Effect.objects.filter(kind__startswith="store.", state=EffectState.PENDING)
    waiting.filter(dispatched_at__gt=now - LONG).update(dispatched_at=now - LONG)
    waiting.filter(next_at__gt=now).update(next_at=now, enqueued_at=None)
    hurry_looks()
    IntegrationHealth.objects.filter(open_until__gt=now).update(open_until=now)


def hurry_looks() -> None:
    now = clock.now()
    Submission.objects.filter(read_at__gt=now).update(read_at=now)
