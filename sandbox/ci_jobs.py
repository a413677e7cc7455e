"""The data classes of the Jenkins stand-in, and the jobs of a new sandbox."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

PIPELINE, FREESTYLE = "pipeline", "freestyle"
FOLDER, MULTIBRANCH = "folder", "multibranch"
CONTAINERS = (FOLDER, MULTIBRANCH)
RESULTS = ("SUCCESS", "UNSTABLE", "FAILURE", "NOT_BUILT", "ABORTED")
RETRIES = ("rebuild", "replay", "naginator")  # ways in which Jenkins runs a build again


@dataclass
class Parameter:
    name: str
    kind: str = "String"  # String, Text, Choice, Boolean or Password, as in Jenkins' class names
    default: str = ""
    choices: list[str] = field(default_factory=list)
    description: str = ""


@dataclass
class Webhook:
    """Where a job sends its reports. `style`: "signed" (Standard Webhooks), "notification" (the
    Notification plugin's body under HTTP Basic) or "none"."""

    url: str = ""
    secret: str = ""
    style: str = "none"


@dataclass
class Job:
    full_name: str
    kind: str = PIPELINE
    parameters: list[Parameter] = field(default_factory=list)
    known_parameters: bool = (
        True  # False until the first run of a Pipeline that declares in its file
    )
    buildable: bool = True
    hidden: bool = False  # nobody has Item.Read
    concurrent: bool = True  # False: one build at a time, the next one is blocked
    refuses: bool = False  # a plugin's QueueDecisionHandler refuses to queue
    executors: int = 8  # agents with this job's label
    quiet_period: float = 5.0  # seconds
    next_number: int = 1
    artifact: str = ""  # "ios-{number}.ipa"
    bundle_size: int = 0  # bytes that its app bundles have at least
    logs: int = 0  # number of archived logs, listed before the artifact
    auto_finish_seconds: float | None = None  # None: a person ends the build
    auto_finish_result: str = "SUCCESS"
    asks: str = ""  # what each build asks a person before it goes on: an `input` step
    exports_input: bool = True  # False: an older plugin, of which only /wfapi tells
    builds_found: bool = True  # of a multibranch project: new branches are built when found
    late_executable: bool = True  # the first read of an item that left shows no executable yet
    webhook: Webhook = field(default_factory=Webhook)

    @property
    def name(self) -> str:
        return self.full_name.rpartition("/")[2]

    @property
    def parent(self) -> str:
        return self.full_name.rpartition("/")[0]

    @property
    def is_container(self) -> bool:
        return self.kind in CONTAINERS

    @property
    def declared(self) -> list[Parameter]:
        """The parameters that Jenkins knows about now."""
        return self.parameters if self.known_parameters else []

    @classmethod
    def revive(cls, data: dict[str, Any]) -> Job:
        parameters = [Parameter(**item) for item in data["parameters"]]
        return cls(**{**data, "parameters": parameters, "webhook": Webhook(**data["webhook"])})


@dataclass
class QueueItem:
    id: int
    job: str
    parameters: dict[str, str]
    user: str
    since: float
    quiet_until: float
    ready_at: float | None = None  # when the quiet period ended
    left_at: float | None = None
    cancelled: bool = False
    number: int | None = None
    executable_hidden: bool = False
    rebuilds: int | None = None  # the number of the build that is run again …
    retried_by: str = ""  # … and by which of RETRIES

    @property
    def is_queued(self) -> bool:
        return self.left_at is None


@dataclass
class Build:
    job: str
    number: int
    queue_id: int
    parameters: dict[str, str]
    user: str
    started_at: float
    ended_at: float | None = None
    result: str | None = None  # a Pipeline may set it while still building
    artifact: str = ""
    logs: int = 0
    commit: str = ""  # the checked-out commit
    rebuilds: int | None = None
    retried_by: str = ""
    question: str = ""  # that is open
    questions: int = 0  # asked so far

    @property
    def building(self) -> bool:
        return self.ended_at is None

    @property
    def branch(self) -> str:
        return self.parameters.get("BRANCH") or "main"

    @property
    def files(self) -> list[str]:
        """The archived files, in Jenkins' order: by path."""
        logs = [f"build/logs/step-{n:03}.log" for n in range(1, self.logs + 1)]
        return [*logs, self.artifact] if self.artifact else logs


def _release_parameters(*more: Parameter) -> list[Parameter]:
    return [
        Parameter("VERSION", description="Version to build, such as 1.5.0"),
        Parameter("BRANCH", default="main", description="Branch to build"),
        *more,
    ]


BUILD_ID = Parameter("DELIVR_BUILD_ID", description="Set by delivr, to find this build again")
TRACK = Parameter("TRACK", "Choice", "internal", ["internal", "production"], "Where it goes")
CLEAN = Parameter("CLEAN", "Boolean", "true", description="Build from scratch")
NOTES = Parameter("NOTES", "Text", description="Release notes")
KEY = Parameter("SIGNING_KEY", "Password", description="Left empty, that of the server is used")

IPA, AAB = "ios-{number}.ipa", "android-{number}.aab"


def _app_job(full_name: str, artifact: str, next_number: int, *more: Parameter) -> Job:
    return Job(
        full_name,
        parameters=_release_parameters(*more),
        artifact=artifact,
        next_number=next_number,
    )


def first_jobs(auto_finish: float | None) -> dict[str, Job]:
    """Jobs by full name. Each unusual one stands for a peculiarity of real jobs."""
    jobs = [
        _app_job("ios-prod", IPA, 245, BUILD_ID),
        _app_job("android-prod", AAB, 512, BUILD_ID),
        _app_job("ios-typed", IPA, 7, BUILD_ID, TRACK, CLEAN, NOTES, KEY),
        Job("mobile", FOLDER),
        _app_job("mobile/ios-beta", IPA, 31, BUILD_ID, TRACK),
        Job("app", MULTIBRANCH),
        Job("app/main", parameters=_release_parameters(BUILD_ID)),
        Job("app/release%2F1.5.0", parameters=_release_parameters(BUILD_ID)),
        _app_job("ios-no-build-id", IPA, 88),
        Job("ios-misnamed", parameters=[Parameter("RELEASE"), BUILD_ID]),
        Job("nightly", FREESTYLE, next_number=12),
        Job("ios-disabled", FREESTYLE, parameters=_release_parameters(BUILD_ID), buildable=False),
        Job("ios-fresh", parameters=_release_parameters(BUILD_ID), known_parameters=False),
        Job("ios-hidden", parameters=_release_parameters(BUILD_ID), hidden=True),
    ]
    for job in jobs:
        job.auto_finish_seconds = auto_finish
    return {job.full_name: job for job in jobs}


def dump(item: Job | QueueItem | Build) -> dict[str, Any]:
    return asdict(item)
