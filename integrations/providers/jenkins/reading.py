"""Parses Jenkins' JSON. Its URLs are never requested; those that are shown are built from ours.

The exported fields are those of hudson.model.Queue, Run and ParameterDefinition:
https://javadoc.jenkins.io/hudson/model/Queue.Item.html, https://javadoc.jenkins.io/hudson/model/Run.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, unquote

from delivr.date_bounds import within_a_build, within_reason

from ..ci import Artifact, BuildState, BuildStatus, Parameter, Retry
from ..http import dicts
from ..scm import short_branch
from .paths import path_of_task

BUILD_ID = "DELIVR_BUILD_ID"
MAX_CHOICES = 500  # values of a longer list are not checked here, only by Jenkins
# Limits for what is requested of a job, a build or an item, which have far fewer.
_PARTS, _PARAMETERS, _CAUSES = 200, 1000, 50


def _parameters_tree(definition: str) -> str:
    parts = f"[parameterDefinitions[{definition}]{{0,{_PARAMETERS}}}]{{0,{_PARTS}}}"
    return f"property{parts},actions{parts}"


def _job_tree(definition: str) -> str:
    return f"_class,buildable,queueItem[id],{_parameters_tree(definition)}"


JOB_TREE = _job_tree(f"name,type,choices{{0,{MAX_CHOICES}}},defaultParameterValue[value]")
DESCRIBED_JOB_TREE = JOB_TREE.replace("[name,type,", "[name,type,description,", 1)
PARAMETERS_TREE = _parameters_tree("name,type")
PLAIN_JOB_TREE = _job_tree("name,type")  # where choices and defaults are too large to be read
_GIVEN = f"parameters[name,value]{{0,{_PARAMETERS}}}"
_ACTIONS = f"actions[{_GIVEN}]{{0,{_PARTS}}}"
# A build without its parameters, whose values may exceed the size limit.
PLAIN_TREE = "number,queueId,building,inProgress,result,timestamp,duration,estimatedDuration"
# Lists leave out artifacts: fifty builds with their test reports exceed the size limit.
LIST_TREE = f"{PLAIN_TREE},{_ACTIONS}"
MAX_ARTIFACTS = 5000  # that are read …
KEPT_ARTIFACTS = 20  # … and kept
_CHECKOUT = "lastBuiltRevision[SHA1,branch[name]]"
_QUESTIONS = f"executions[settled,input[message,submitter]]{{0,{_CAUSES}}}"
BUILD_TREE = (
    f"{PLAIN_TREE},actions[{_GIVEN},{_CHECKOUT},{_QUESTIONS}]{{0,{_PARTS}}},"
    f"artifacts[relativePath]{{0,{MAX_ARTIFACTS}}}"
)
# `_class` is always sent. A rebuild, a replay or a restarted stage has another cause besides the
# user's, which distinguishes it from a trigger even if a person uses our account.
_ORIGIN = f"actions[{_GIVEN},causes[userId]{{0,{_CAUSES}}}]{{0,{_PARTS}}}"
# A rebuild names the original build (`upstreamBuild`).
RETRY_TREE = (
    f"{PLAIN_TREE},actions[{_GIVEN},causes[userId,userName,upstreamBuild]{{0,{_CAUSES}}},"
    f"{_CHECKOUT}]{{0,{_PARTS}}}"
)
DUPLICATE_TREE = f"number,building,inProgress,result,{_ORIGIN}"
_USER_CAUSE = "hudson.model.Cause$UserIdCause"
PLAIN_ITEM_TREE = "_class,id,why,cancelled,executable[number],task[url]"
ITEM_TREE = f"{PLAIN_ITEM_TREE},{_ACTIONS}"
DUPLICATE_ITEM_TREE = f"{PLAIN_ITEM_TREE},{_ORIGIN}"

RESULTS = {
    "SUCCESS": BuildStatus.SUCCESS,
    "UNSTABLE": BuildStatus.UNSTABLE,
    "FAILURE": BuildStatus.FAILURE,
    "ABORTED": BuildStatus.ABORTED,
    "NOT_BUILT": BuildStatus.ABORTED,
}
_MAX_WHY = 200
_SHA = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


@dataclass(frozen=True)
class Job:
    """A job. `parameters` are by name; an example of their kind is StringParameterDefinition."""

    kind: str
    buildable: bool
    parameters: Mapping[str, Parameter]
    queued: int | None  # the id of its queue item

    @property
    def is_container(self) -> bool:
        return is_container(self.kind)

    @property
    def carries_build_id(self) -> bool:
        return BUILD_ID in self.parameters


def is_container(kind: str) -> bool:
    """True for folders and multibranch projects, on which `/build` starts a scan, not a build."""
    return kind.endswith("Folder") or is_multibranch(kind)


def is_multibranch(kind: str) -> bool:
    return kind.endswith(("MultiBranchProject", "MultiBranchProject2"))


def read_job(document: Mapping[str, Any]) -> Job:
    """A Pipeline that never ran has no parameters yet: Jenkins learns them from the first run."""
    parts = (*dicts(document.get("property")), *dicts(document.get("actions")))
    definitions = [one for part in parts for one in dicts(part.get("parameterDefinitions"))]
    declared = [_parameter(one) for one in definitions if isinstance(one.get("name"), str)]
    waiting = document.get("queueItem")
    return Job(
        kind=str(document.get("_class") or ""),
        buildable=document.get("buildable") is not False,
        parameters={parameter.name: parameter for parameter in declared},
        queued=whole_number(waiting.get("id")) if isinstance(waiting, dict) else None,
    )


def _parameter(definition: Mapping[str, Any]) -> Parameter:
    default = definition.get("defaultParameterValue")
    value = default.get("value") if isinstance(default, dict) else None
    return Parameter(
        name=definition["name"],
        kind=str(definition.get("type") or ""),
        default=_as_text(value),
        choices=_choices(definition),
        description=str(definition.get("description") or ""),
    )


def kind_words(kind: str) -> str:
    """`choice` for Jenkins' ChoiceParameterDefinition."""
    return kind.removesuffix("ParameterDefinition").lower()


def _as_text(value: object) -> str:
    """As it is sent: Jenkins' booleans are `true` and `false`."""
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _choices(definition: Mapping[str, Any]) -> list[str]:
    """The allowed values of Jenkins' own choice parameter; those of plugins accept others, too."""
    listed = definition.get("choices")
    if definition.get("type") != "ChoiceParameterDefinition" or not isinstance(listed, list):
        return []
    return [str(value) for value in listed] if len(listed) < MAX_CHOICES else []


def read_build(document: Mapping[str, Any], *, job_url: str) -> BuildState | None:
    """The build, or None for another document. `job_url` is ours, without a trailing slash."""
    number = whole_number(document.get("number"))
    if number is None:
        return None
    url = f"{job_url}/{number}/"
    return BuildState(
        status=status_of(document),
        queue_id=whole_number(document.get("queueId")) or None,  # 0 is not a queue id
        number=number,
        url=url,
        started_at=moment(document.get("timestamp")),
        duration_ms=within_a_build(whole_number(document.get("duration"))),
        estimated_ms=within_a_build(whole_number(document.get("estimatedDuration"))),
        artifacts=_artifacts(document, url),
        carried_id=build_id_of(document),
        commit=_built_commit(document),
        branch=short_branch(one_line(_parameter_of(document, "BRANCH"))),
        started_by=_person(document),
        version=one_line(_parameter_of(document, "VERSION")),
    )


def status_of(document: Mapping[str, Any]) -> BuildStatus:
    """Pipelines may show a result while they run, and archive after `building` turned false."""
    result = document.get("result")
    if document.get("building") or document.get("inProgress") or not isinstance(result, str):
        return BuildStatus.RUNNING
    return RESULTS.get(result, BuildStatus.FAILURE)


_APPS = (".ipa", ".aab", ".apk", ".xcarchive", ".xcarchive.zip")  # in order of preference
_LOGS = (".log", ".log.gz", ".log.zip")


def _artifacts(document: Mapping[str, Any], url: str) -> list[Artifact]:
    """At most `KEPT_ARTIFACTS`: apps first (see `rank`), then the rest in Jenkins' order, then
    logs."""
    paths = [artifact.get("relativePath") for artifact in dicts(document.get("artifacts"))]
    named = sorted((path for path in paths if isinstance(path, str) and path), key=rank)
    return [
        Artifact(
            one_line(path.rpartition("/")[2]), f"{url}artifact/{quote(path, errors='replace')}"
        )
        for path in named[:KEPT_ARTIFACTS]
    ]


_QUOTED = re.compile(r"[\w.~%/-]+", re.ASCII)


def artifact_path(url: str) -> str | None:
    """The quoted path of an artifact below its build; None for an address that is not like those
    of `_artifacts`."""
    name = url.partition("/artifact/")[2]
    parts = unquote(name).split("/")
    is_plain = bool(_QUOTED.fullmatch(name)) and unquote(name).isprintable()
    return name if is_plain and not {"", ".", ".."} & set(parts) else None


# How Gradle and Xcode name builds that no store accepts, and splits of an app for some devices:
# https://developer.android.com/build/configure-apk-splits
_FOR_TESTS = {"debug", "unsigned", "unaligned", "simulator", "iphonesimulator"}
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")  # two words in `freeDebug`
_SPLIT = re.compile(
    r"(?<![a-z0-9])(arm64[-_]v8a|armeabi([-_]v7a)?|x86([-_]64)?|mips(64)?|(x{0,3}h|l|m|tv)dpi)"
    r"(?![a-z0-9])"
)


def rank(path: str) -> tuple[int, ...]:
    """A sort key: release builds before debug builds, then apps for all devices before splits."""
    low = path.lower()
    kind = next((n for n, ending in enumerate(_APPS) if low.endswith(ending)), None)
    if kind is None:
        return (2 if low.endswith(_LOGS) else 1,)
    words = {word.lower() for word in _WORD.findall(path)}
    is_for_tests = bool(words & _FOR_TESTS) or "androidtest" in low
    is_split = "universal" not in words and bool(_SPLIT.search(low))
    return 0, is_for_tests, is_split, kind


@dataclass(frozen=True)
class Item:
    """A queue item; it has a `number` once it became a build."""

    id: int
    why: str
    cancelled: bool
    number: int | None
    job_path: str | None  # None if Jenkins does not say
    build_id: str

    def belongs_to(self, job_path: str) -> bool:
        """Ignores case: Jenkins accepts job names in any case, and shows the original one."""
        return self.job_path is None or self.job_path.casefold() == job_path.casefold()

    def state(self) -> BuildState:
        """Its state while it is not a build yet."""
        status = BuildStatus.ABORTED if self.cancelled else BuildStatus.QUEUED
        return BuildState(status=status, queue_id=self.id, queue_reason=self.why)


def read_item(document: Mapping[str, Any]) -> Item | None:
    """The queue item, or None for another document. One that just left may have no build yet."""
    queue_id = whole_number(document.get("id"))
    if queue_id is None:
        return None
    task, executable = document.get("task"), document.get("executable")
    why = document.get("why")
    return Item(
        id=queue_id,
        why=_why(why),
        cancelled=document.get("cancelled") is True,
        number=whole_number(executable.get("number")) if isinstance(executable, dict) else None,
        job_path=path_of_task(task.get("url")) if isinstance(task, dict) else None,
        build_id=build_id_of(document),
    )


_SHUTTING_DOWN = "Jenkins is about to shut down"
SHUTTING_DOWN = "Jenkins is preparing to shut down. The build stays in its queue until it is back."


def _why(why: object) -> str:
    words = one_line(why) if isinstance(why, str) else ""
    return SHUTTING_DOWN if words == _SHUTTING_DOWN else words


def build_id_of(document: Mapping[str, Any]) -> str:
    """Our id among the parameters of a build or a queue item, or ""."""
    return _parameter_of(document, BUILD_ID)


def _parameter_of(document: Mapping[str, Any], name: str) -> str:
    for action in dicts(document.get("actions")):
        for parameter in dicts(action.get("parameters")):
            if parameter.get("name") == name:
                return str(parameter.get("value") or "")
    return ""


def read_retry(
    document: Mapping[str, Any], *, job_url: str, number: int, build_id: str
) -> Retry | None:
    """The retry of build `number`, or None for any other build.

    Rebuild, Naginator and Replay keep the parameters with our id. If the job does not declare our
    id, only a rebuild names its original.
    """
    state = read_build(document, job_url=job_url)
    if state is None or state.number is None or state.number <= number:
        return None
    is_rebuild = any(
        str(cause.get("_class")).endswith("RebuildCause") and cause.get("upstreamBuild") == number
        for cause in _causes(document)
    )
    if state.carried_id != build_id and not (is_rebuild and not state.carried_id):
        return None
    return Retry(state=state, started_by=_person(document), commit=_commit(document))


def _person(document: Mapping[str, Any]) -> str:
    names = (cause.get("userName") or cause.get("userId") for cause in _causes(document))
    return next((one_line(name) for name in names if isinstance(name, str)), "")


def _commit(document: Mapping[str, Any]) -> str:
    revisions = (action.get("lastBuiltRevision") for action in dicts(document.get("actions")))
    hashes = (revision.get("SHA1") for revision in revisions if isinstance(revision, dict))
    return next((sha for sha in hashes if isinstance(sha, str) and _SHA.fullmatch(sha)), "")


def _built_commit(document: Mapping[str, Any]) -> str:
    """The commit of the build's checkout. If there are several (a shared library has its own), the
    one on the build's branch; "" if none is certain."""
    branch = _parameter_of(document, "BRANCH")
    found: dict[str, bool] = {}  # commit -> it is of the branch
    for action in dicts(document.get("actions")):
        revision = action.get("lastBuiltRevision")
        if not isinstance(revision, dict):
            continue
        sha = revision.get("SHA1")
        if isinstance(sha, str) and _SHA.fullmatch(sha):
            names = [str(b.get("name")) for b in dicts(revision.get("branch"))]
            is_ours = bool(branch) and any(f"/{name}".endswith(f"/{branch}") for name in names)
            found[sha] = found.get(sha, False) or is_ours
    of_branch = [sha for sha, is_ours in found.items() if is_ours]
    certain = of_branch or list(found)
    return certain[0] if len(certain) == 1 else ""


def checkouts_of(document: Mapping[str, Any]) -> set[str]:
    """The branches that it checked out, those of shared libraries among them."""
    revisions = (action.get("lastBuiltRevision") for action in dicts(document.get("actions")))
    named = [dicts(one.get("branch")) for one in revisions if isinstance(one, dict)]
    return {short_branch(str(one.get("name"))) for names in named for one in names}


def _causes(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        cause for action in dicts(document.get("actions")) for cause in dicts(action.get("causes"))
    ]


def is_started_by(document: Mapping[str, Any], user: str) -> bool:
    """True if a plain trigger by this user is the only cause.

    False if there may be more causes than were requested.
    """
    causes = _causes(document)
    return 0 < len(causes) < _CAUSES and all(
        (cause.get("_class"), cause.get("userId")) == (_USER_CAUSE, user) for cause in causes
    )


def whole_number(value: object) -> int | None:
    """A number of Jenkins (Java's long), or None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        return None
    return value


def moment(value: object) -> datetime | None:
    """The time for milliseconds since the epoch, or None if invalid."""
    milliseconds = whole_number(value)
    try:
        found = datetime.fromtimestamp((milliseconds or 0) / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None
    return found if milliseconds and within_reason(found) else None


def one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)[:_MAX_WHY].strip()
