"""The pipeline cards of a release's page, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from delivr.effects.models import Effect
from integrations.models import PipelineIntegration
from integrations.providers.ci import BuildStatus
from releases.messages.sent import SentEffect
from releases.models import Release, ReleasePipeline
from releases.wording import web_address

BUILD_KINDS = ("build.trigger", "build.cancel", "build.force_cancel", "build.stop_repeat")
ATTEMPTS_UNFOLDED = 3  # the newest ones
LAST_PERCENT = 99  # a running build never shows 100 %, also beyond its estimate


def unfolded(count: int, most: int) -> int:
    """How many items of a list are shown without unfolding; never hides a single item."""
    return count if count <= most + 1 else most


@dataclass(frozen=True)
class Attempt:
    """One build of a pipeline."""

    id: str
    number: int | None
    attempt: int
    candidate: int
    status: str
    reported: str  # the CI server's own status, where the pipeline counts it as `status`
    url: str
    artifact: str
    artifact_url: str
    by: str
    created_at: datetime
    took: timedelta | None
    log_excerpt: str
    log_error: str  # why there is none
    log_at: datetime | None  # when the log is read

    @classmethod
    def of(cls, build: Any) -> Attempt:
        return cls(
            id=build.pk,
            number=build.number,
            attempt=build.attempt,
            candidate=build.candidate,
            status=build.status,
            reported=build.reported_status,
            url=web_address(build.url),
            artifact=build.artifact_url,
            artifact_url=web_address(build.artifact_url),
            by=build.started_by.called if build.started_by else "",
            created_at=build.created_at,
            took=_took(build),
            log_excerpt=build.log_excerpt,
            log_error=build.log_error,
            log_at=build.log_at,
        )


@dataclass(frozen=True)
class FileLine:
    """An artifact that is downloaded by a fresh link (`build_artifact`)."""

    name: str
    url: str
    key: str
    size: int | None
    checksum: str
    expires_at: datetime | None


@dataclass(frozen=True)
class OfferLine:
    """A build on the CI server that a person may adopt."""

    id: str
    found_by: str
    number: int | None
    url: str
    status: str
    started_by: str
    branch: str
    commit: str
    is_same_commit: bool | None  # as the branch's newest one; None: unknown


@dataclass(frozen=True)
class PipelineCard:
    """A pipeline of the release with its newest build."""

    id: str
    platform: str
    title: str  # the platform, or what tells it from others for the same platform
    name: str
    provider: str
    provider_label: str
    job: str
    ci: str  # the CI server's kind, as people call it
    status: str
    number: int | None
    url: str
    log_url: str
    answer_url: str  # where a person answers what the build waits for
    is_moving: bool
    may_trigger: bool
    may_build_again: bool
    candidate: int
    queue_reason: str
    started_at: datetime | None
    took: timedelta | None
    percent: int | None
    remaining: str
    artifact: str
    artifact_url: str
    downloads: tuple[tuple[str, str], ...]  # (place, name) of what delivr can pass on
    files: tuple[FileLine, ...]  # of which the CI server tells more than an address
    more_artifacts: tuple[tuple[str, str], ...]  # (name, address) of the others
    can_cancel: bool  # the CI server can be told to stop a build
    has_log: bool  # the CI server passes logs on
    can_be_looked_at: bool  # the CI server can be asked for builds that delivr did not start
    runs_on: bool  # it was cancelled, and the CI server still goes on with it
    is_lost: bool  # another build can be adopted for it
    offers: tuple[OfferLine, ...]
    is_looking: bool  # for builds to offer
    trigger: str  # id of the effect that triggered the newest build
    trouble: SentEffect | None
    reads_log: bool  # the log is still to be read
    reads_log_soon: bool  # … for the first time
    build_id: str
    attempts: tuple[Attempt, ...]

    @property
    def name_tells_job(self) -> bool:
        return self.job in self.name

    @property
    def subtitle(self) -> str:
        """What the title leaves out."""
        is_named = self.title == self.name
        return f"{self.provider_label} · {self.platform}" if is_named else self.name

    @property
    def newest(self) -> Attempt | None:
        return next(iter(self.attempts), None)

    @property
    def only_attempt(self) -> Attempt | None:
        return self.attempts[0] if len(self.attempts) == 1 else None

    @property
    def next_candidate(self) -> int:
        return self.candidate + 1

    @property
    def has_candidates(self) -> bool:
        """True after a build again: the builds then show their candidate."""
        return self.candidate > 1

    @property
    def still_good(self) -> int:
        """The last candidate that succeeded, if the newest build did not; else 0."""
        built = [a.candidate for a in self.attempts if a.status == BuildStatus.SUCCESS]
        return max(built, default=0) if self.may_trigger else 0

    @property
    def attempts_shown(self) -> int:
        return unfolded(len(self.attempts), ATTEMPTS_UNFOLDED)

    @property
    def attempts_folded(self) -> int:
        return len(self.attempts) - self.attempts_shown


def card_of(
    release: Release, pipeline: ReleasePipeline, effects: Sequence[Effect], now: datetime
) -> PipelineCard:
    connection = pipeline.pipeline
    builds: list[Any] = list(pipeline.builds.all())
    newest = builds[0] if builds else None
    percent, remaining = _progress(newest, now)
    is_open = release.is_open
    return PipelineCard(
        id=pipeline.pipeline_id,
        platform=pipeline.get_platform_display(),
        title=pipeline.title,
        name=str(connection),
        provider=connection.slug,
        provider_label=connection.kind_label,
        job=pipeline.job_path,
        ci=connection.kind_label,
        status=pipeline.build_status,
        number=pipeline.build_number,
        url=web_address(pipeline.build_url),
        log_url=_log_url(connection, pipeline.build_url),
        answer_url=_answer_url(connection, pipeline),
        is_moving=pipeline.is_moving,
        may_trigger=pipeline.needs_build and is_open,
        may_build_again=pipeline.may_build_again and is_open,
        candidate=pipeline.candidate,
        queue_reason=newest.queue_reason if newest and pipeline.is_moving else "",
        started_at=newest.started_at if newest else None,
        took=_took(newest) if newest else None,
        percent=percent,
        remaining=remaining,
        artifact=pipeline.artifact_url,
        artifact_url=web_address(pipeline.artifact_url),
        files=_files(newest) if newest else (),
        more_artifacts=_more_artifacts(newest) if newest else (),
        downloads=downloads_of(connection, newest) if newest else (),
        can_cancel=connection.can_cancel,
        has_log=connection.has_log,
        can_be_looked_at=connection.lists_builds,
        runs_on=newest is not None and newest.still_running_at is not None,
        is_lost=newest is not None and newest.status == BuildStatus.LOST and is_open,
        offers=offers_of(release, pipeline),
        is_looking=pipeline.look_at is not None and pipeline.needs_build and is_open,
        trigger=_trigger(newest, effects) if newest else "",
        trouble=_trouble_of(newest, effects, now),
        reads_log=bool(newest and newest.log_at),
        reads_log_soon=bool(newest and newest.log_at and not newest.log_tries),
        build_id=newest.pk if newest else "",
        attempts=tuple(Attempt.of(build) for build in builds),
    )


def _files(build: Any) -> tuple[FileLine, ...]:
    return tuple(
        FileLine(
            name=one["name"],
            url=web_address(one["url"]),
            key=one["key"],
            size=one.get("size"),
            checksum=one.get("checksum", ""),
            expires_at=parse_datetime(one.get("expiresAt", "")),
        )
        for one in build.artifacts
        if one.get("key", "").isalnum()
    )


def _more_artifacts(build: Any) -> tuple[tuple[str, str], ...]:
    without = (artifact for artifact in build.artifacts if not artifact.get("key"))
    listed = ((artifact["name"], artifact["url"]) for artifact in without)
    return tuple((n, web_address(url)) for n, url in listed if url != build.artifact_url)


def downloads_of(connection: PipelineIntegration, build: Any) -> tuple[tuple[str, str], ...]:
    """(place, name) of the artifacts of a build that delivr can pass on: those without a key."""
    provider: Any = connection.provider_class
    if not provider.has_downloads or build.number is None or connection.disconnected_at:
        return ()
    listed = enumerate(build.artifacts)
    return tuple((str(place), one["name"]) for place, one in listed if not one.get("key"))


def offers_of(release: Release, pipeline: ReleasePipeline) -> tuple[OfferLine, ...]:
    """What may be adopted now; nothing while a build of delivr is in progress, or succeeded."""
    if not pipeline.needs_build or not release.is_open:
        return ()
    return tuple(
        OfferLine(
            id=row["id"],
            found_by=row["foundBy"],
            number=row["number"],
            url=web_address(row["url"]),
            status=row["status"],
            started_by=row["startedBy"],
            branch=row["branch"],
            commit=row["commit"],
            is_same_commit=is_newest_commit(release, row["commit"]),
        )
        for row in pipeline.offers
    )


def is_newest_commit(release: Release, commit: str) -> bool | None:
    """Whether it is the newest commit of the release's branch, as far as both are known."""
    head = release.branch_commit
    return commit == head if commit and head else None


def _trigger(build: Any, effects: Sequence[Effect]) -> str:
    mine = (e.pk for e in effects if e.build_id == build.pk and e.kind == "build.trigger")
    return next(mine, "")


def _log_url(connection: Any, build_url: str) -> str:
    provider: Any = connection.provider_class
    address = web_address(build_url)
    return provider.log_page(address) if address else ""


def _answer_url(connection: Any, pipeline: ReleasePipeline) -> str:
    provider: Any = connection.provider_class
    address = web_address(pipeline.build_url)
    is_waiting = pipeline.build_status == BuildStatus.WAITING
    return provider.answer_page(address) if is_waiting and address else ""


def _trouble_of(build: Any, effects: Sequence[Effect], now: datetime) -> SentEffect | None:
    """The last effect that triggered or stopped the newest build, if it has an error."""
    if build is None:
        return None
    for effect in reversed(effects):
        if effect.build_id == build.pk and effect.kind in BUILD_KINDS and effect.last_error:
            return SentEffect.of(effect, now)
    return None


def _took(build: Any) -> timedelta | None:
    if build.started_at is None or build.finished_at is None:
        return None
    took: timedelta = max(build.finished_at - build.started_at, timedelta(0))
    return took


def _progress(build: Any, now: datetime) -> tuple[int | None, str]:
    """The progress of a running build in percent and words, by the CI server's estimate."""
    if build is None or build.status != BuildStatus.RUNNING or build.started_at is None:
        return None, ""
    if not build.estimated_ms:
        return None, _("no estimate yet")
    total = timedelta(milliseconds=build.estimated_ms)
    left = build.started_at + total - now
    percent = min(max(int(100 * (1 - left / total)), 0), LAST_PERCENT)
    return percent, _left_words(left)


def _left_words(left: timedelta) -> str:
    minutes = round(left / timedelta(minutes=1))
    if left <= timedelta(0):
        return _("longer than usual")
    if minutes < 1:
        return _("less than a minute left")
    return _("about %(minutes)d min left") % {"minutes": minutes}
