"""A store with two steps and a staged roll-out, whose answers a test decides on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

from integrations.providers.base import Check, Outcome, ProviderError
from integrations.providers.stores import (
    UPLOAD,
    Act,
    BuildFile,
    StoreProvider,
    StoreState,
    SubmissionPlan,
    SubmissionState,
)


class FakeStore(StoreProvider):
    label = "Fake Store"
    platform = "IOS"
    console = "Fake Console"
    tracks = ("production", "beta")
    picks_shares = True
    notes_limit = 20
    uploads = ".app"
    preflight_names: ClassVar[Mapping[str, Any]] = {"build": "Build", "contact": "Contact"}

    checks_found: ClassVar[list[Check]] = []
    done: ClassVar[dict[str, dict[str, str]]] = {}  # by step
    taken: ClassVar[list[tuple[str, float | None]]] = []
    failures: ClassVar[list[Exception]] = []  # of the next calls, before anything is done
    lost: ClassVar[list[Exception]] = []  # of the next calls, after it was done
    unseen: ClassVar[list[Exception]] = []  # of the next looks
    state: ClassVar[StoreState] = StoreState(
        state=SubmissionState.WAITING_FOR_REVIEW, word="WAITING"
    )
    key: ClassVar[str] = ""

    @classmethod
    def reset(cls) -> None:
        cls.checks_found, cls.done, cls.taken, cls.failures, cls.lost = [], {}, [], [], []
        cls.unseen = []
        cls.state = StoreState(state=SubmissionState.WAITING_FOR_REVIEW, word="WAITING")
        cls.key = ""

    @classmethod
    def from_connection(cls, connection: Any) -> Self:
        return cls()

    @staticmethod
    def console_page(options: Mapping[str, Any]) -> str:
        return "https://console.example.com/app"

    @property
    def lock_key(self) -> str:
        return self.key

    def checks(self) -> Iterator[Check]:
        return iter(())

    def preflight(self, plan: SubmissionPlan) -> Iterator[Check]:
        return iter(self.checks_found or [Check(name="build", ok=True, message=plan.build)])

    @classmethod
    def steps(cls, plan: SubmissionPlan) -> Sequence[str]:
        return (*([UPLOAD] if plan.file else []), "version", "submit")

    def find_step(self, step: str, plan: SubmissionPlan) -> Mapping[str, str] | None:
        if self.unseen:
            raise self.unseen.pop(0)
        return self.done.get(step)

    def take_step(self, step: str, plan: SubmissionPlan) -> Mapping[str, str]:
        if self.failures:
            raise self.failures.pop(0)
        self.taken.append((step, plan.share))
        self.done[step] = {step: f"id-{len(self.taken)}"}
        if self.lost:
            raise self.lost.pop(0)
        return self.done[step]

    def upload(self, plan: SubmissionPlan, file: BuildFile) -> Mapping[str, str]:
        for _part in file.open():
            if not file.may_go_on():
                raise ProviderError("interrupted", "It gave way.", "", outcome=Outcome.NOT_YET)
        self.taken.append((UPLOAD, None))
        self.done[UPLOAD] = {"uploaded": file.name}
        return self.done[UPLOAD]

    def read_submission(self, plan: SubmissionPlan) -> StoreState:
        return self.state

    @classmethod
    def refusal(cls, act: Act, plan: SubmissionPlan, state: StoreState) -> str:
        return "The Fake Store cannot pause." if act is Act.PAUSE else ""

    @classmethod
    def consequence(cls, act: Act, plan: SubmissionPlan, state: StoreState) -> str:
        share = f"{plan.share:g} %" if plan.share is not None else "all users"
        return f"{act}: to {share}."
