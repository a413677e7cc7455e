"""The data classes of GitHub Actions in the stand-in: runs, their attempts, and webhooks."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Attempt:
    number: int
    actor: str
    created_at: float
    status: str = "queued"
    conclusion: str = ""
    started_at: float = 0.0
    ended_at: float = 0.0
    approved: bool = False
    artifacts: list[int] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        return self.status == "completed"


@dataclass
class Run:
    id: int
    file: str
    number: int
    repository: str
    branch: str
    commit: str
    event: str
    actor: str
    title: str
    inputs: dict[str, str]
    created_at: float
    group: str = ""
    environment: str = ""
    job: str = "build"
    attempts: list[Attempt] = field(default_factory=list)
    has_jobs: bool = True
    is_stubborn: bool = False  # does not react when it is cancelled

    @property
    def last(self) -> Attempt:
        return self.attempts[-1]

    def attempt(self, number: int) -> Attempt | None:
        return next((one for one in self.attempts if one.number == number), None)

    def job_id(self, attempt: Attempt) -> int:
        return self.id * 100 + attempt.number


@dataclass
class Hook:
    """A repository's webhook. `trouble`: how it misbehaves: "" or doubled, shuffled or dropped."""

    id: int
    url: str
    secret: str
    trouble: str = ""
    events: list[str] = field(default_factory=lambda: ["workflow_run", "workflow_job"])
