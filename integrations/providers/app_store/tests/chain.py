"""Takes a submission through the stand-in, as delivr's effects do: each step is looked for, taken
if it is not there, and waited for if Apple is not ready."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from integrations.providers.app_store.provider import AppStore
from integrations.providers.base import Check, Outcome, ProviderError
from integrations.providers.stores import ReleaseType, StoreState, SubmissionPlan
from sandbox import accounts
from sandbox.apple import builds, reviews
from sandbox.server import SandboxServer

NOTES = {"en-US": "Faster line-ups."}
MOST_ATTEMPTS = 30
MADE = (
    "version.created",
    "version.build",
    "submission.created",
    "submission.item",
    "submission.submitted",
)


class Chain:
    """One submission, and Apple's side of it."""

    def __init__(self, sandbox: SandboxServer, **wishes: Any) -> None:
        self.sandbox, self.apple = sandbox, sandbox.state.stores.apple
        given = {"version": "1.5.0", "build": "57", "notes": NOTES, "uses_encryption": False}
        self.plan = SubmissionPlan(**{**given, **wishes})

    @classmethod
    def phasing(cls, sandbox: SandboxServer) -> Chain:
        """A version on its first day of seven."""
        chain = cls(sandbox, phased=True, release_type=ReleaseType.AFTER_APPROVAL)
        chain.upload()
        chain.submit()
        chain.decide("approve")
        sandbox.state.advance(60)
        return chain

    def made_once(self) -> bool:
        """Each thing that a submission makes at Apple."""
        return [self.count(kind) for kind in MADE] == [1] * len(MADE)

    # Ours

    def store(self, key_id: str = accounts.APPLE_KEY_ID) -> AppStore:
        return AppStore(
            issuer_id=accounts.APPLE_ISSUER_ID,
            key_id=key_id,
            api_key=self.sandbox.accounts.apple_api_key,
            app_identifier=accounts.APP_IDENTIFIER,
            app_id="6450000001",
        )

    def problems(self) -> dict[str, Check]:
        return {check.code: check for check in self.store().preflight(self.plan) if not check.ok}

    def submit(self) -> None:
        for step in self.store().steps(self.plan):
            self.run(step)

    def run(self, step: str) -> bool:
        """Whether it had to be taken. What a lost response leaves in doubt is looked for."""
        is_taken = False
        for _ in range(MOST_ATTEMPTS):
            try:
                found = self.store().find_step(step, self.plan)
                if found is None:
                    is_taken = True
                    found = self.store().take_step(step, self.plan)
            except ProviderError as error:
                self._wait(error)
                continue
            self._keep(found)
            return is_taken
        raise AssertionError(f"{step} never ends")

    def _wait(self, error: ProviderError) -> None:
        if error.outcome is Outcome.NOT_YET:
            self.sandbox.state.advance(error.retry_after or 30)
        elif error.outcome is not Outcome.UNCERTAIN:
            raise error

    def _keep(self, found: Mapping[str, str]) -> None:
        self.plan = replace(self.plan, references={**self.plan.references, **found})

    def read(self) -> StoreState:
        return self.store().read_submission(self.plan)

    # Apple's

    def upload(self, *, is_processed: bool = True, **more: Any) -> Any:
        with self.sandbox.state.lock:
            build = builds.upload(self.apple, self.plan.version, self.plan.build, **more)
            if is_processed:
                builds.finish(self.apple, build)
        return build

    def submission(self) -> Any:
        return self.apple.records.all("reviewSubmissions")[-1]

    def decide(self, verdict: str) -> None:
        with self.sandbox.state.lock:
            reviews.decide(self.apple, self.submission(), verdict)
        self.sandbox.state.advance(10)

    def of(self, kind: str) -> list[Any]:
        return self.apple.records.all(kind)

    def by_hand(self, name: str = "jane.doe@example.com") -> list[str]:
        return list(self.apple.actor(name))

    def count(self, kind: str, **facts: Any) -> int:
        """How often something happened at Apple."""
        return len(self.sandbox.state.ledger.of(kind, **facts))
