"""Asks the CI server which builds may be adopted for a pipeline of a release, and keeps them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.db import models, transaction

from builds.addresses import safe_build_url
from builds.models import Build, TestBuild
from builds.polling.next_poll import FAILED
from builds.updates.identity import why_not_adopted
from builds.updates.update import counted_status
from delivr.effects import clock
from delivr.effects.health import blocked_until, is_refused, note_failure, note_success
from delivr.effects.models import Effect
from delivr.failures import ProviderError
from integrations.concurrency import SLOT_RETRY_DELAY, slot
from integrations.providers.ci import BuildHandle, BuildState, BuildStatus
from integrations.providers.registry import provider_for
from integrations.providers.scm import short_branch
from releases.models import MOVING, Release, ReleasePipeline

CLAIM = timedelta(seconds=40)
AGAIN = timedelta(minutes=1)  # while a build that is offered still moves
UNTIL_VERIFIED = timedelta(minutes=5)
FAILURE_PAUSE = timedelta(minutes=2)
MOST = 5  # that are offered, the newest first


class FoundBy(models.TextChoices):
    """Why a build is offered. The stored words are those of the API."""

    RETRY = "RETRY"  # it is a retry of ours
    TRIGGER = "TRIGGER"  # it may be what our trigger started, whose response was lost
    OUTSIDE = "OUTSIDE"  # somebody started it for the same branch


# --- The job "offers" -----------------------------------------------------------------------------


@transaction.atomic
def due() -> list[str]:
    """Ids of the releases' pipelines that are due; each is claimed for one worker for 40 s."""
    now = clock.now()
    free = ReleasePipeline.objects.select_for_update(skip_locked=True, no_key=True, of=("self",))
    ids = list(free.filter(look_at__lte=now).order_by("look_at").values_list("pk", flat=True)[:50])
    ReleasePipeline.objects.filter(pk__in=ids).update(look_at=now + CLAIM)
    return [str(pk) for pk in ids]


def look(part_id: str) -> None:
    """Ask for one of them, unless its connection has to wait."""
    part = parts().filter(pk=part_id, look_at__isnull=False).first()
    if part is None:
        return
    integration = {"tenant_id": part.tenant_id, "integration_id": part.pipeline_id}
    if is_refused(**integration):
        _postpone(part, clock.now() + UNTIL_VERIFIED)
        return
    with slot(**integration) as is_free:
        if not is_free:
            _postpone(part, clock.now() + SLOT_RETRY_DELAY)
        elif (blocked := blocked_until(**integration)) is not None:
            _postpone(part, blocked)
        else:
            _look(part, integration)


def _look(part: ReleasePipeline, integration: dict[str, str]) -> None:
    try:
        find_offers(part)
    except ProviderError as error:
        note_failure(**integration, error=error)
        _postpone(part, clock.now() + FAILURE_PAUSE if error.is_temporary else None)
    else:
        note_success(**integration)


def _postpone(part: ReleasePipeline, look_at: datetime | None) -> None:
    ReleasePipeline.objects.filter(pk=part.pk).update(look_at=look_at)


# --- Finding --------------------------------------------------------------------------------------


def parts() -> models.QuerySet[ReleasePipeline]:
    """Pipelines of releases with what is needed to ask their CI server."""
    rows: models.QuerySet[ReleasePipeline] = ReleasePipeline.objects.select_related(
        "tenant", "release", "pipeline__scm"
    )
    return rows


def find_offers(part: ReleasePipeline) -> None:
    """Ask the CI server (network), and store what may be adopted. Raises ProviderError."""
    ours = list(part.builds.order_by("-attempt"))
    found = list(_offered(part, ours)) if part.takes_a_build else []
    rows = [_as_row(by, state, part.pipeline.home) for by, state in found[:MOST]]
    is_moving = any(row["status"] in MOVING for row in rows)
    # Nothing is offered any more if a build was triggered meanwhile.
    ReleasePipeline.objects.filter(pk=part.pk, build_status=part.build_status).update(
        offers=rows, look_at=clock.now() + AGAIN if is_moving else None
    )
    if rows and rows != part.offers:  # the branch may have moved on since it was looked at
        Release.objects.filter(pk=part.release_id).update(branch_look_at=clock.now())


def ci_of_part(part: ReleasePipeline) -> Any:
    """The provider of its CI server, with the job that the release was created for."""
    part.pipeline.job = part.job_path
    return provider_for(part.pipeline)


def _offered(part: ReleasePipeline, ours: list[Build]) -> Iterator[tuple[FoundBy, BuildState]]:
    ci, newest = ci_of_part(part), next(iter(ours), None)
    since = newest.created_at if newest else part.release.created_at
    retries = list(_retries(ci, newest)) if newest else []
    states = ci.builds_of(short_branch(part.release.branch), since=since)
    found = {(state.external_id, state.number): state for state in [*states, *retries]}
    again = {(state.external_id, state.number) for state in retries}
    in_doubt = newest is not None and _is_in_doubt(newest)
    for name in _free(part, found):
        state = found[name]
        is_retry = name in again or _is_retry(ci, state, ours)
        is_ours = is_retry or is_meant(part, ours, state) or _has_version(part, state)
        if not is_ours or not may_be_adopted(part, ours, state):
            continue
        by = FoundBy.TRIGGER if in_doubt else FoundBy.OUTSIDE
        yield (FoundBy.RETRY if is_retry else by), state


def _retries(ci: Any, newest: Build) -> Iterator[BuildState]:
    if newest.status in FAILED and newest.handle.is_named:
        for retry in ci.retries(newest.handle, build_id=newest.pk, since=newest.created_at):
            known = retry.state
            yield replace(
                known,
                started_by=retry.started_by or known.started_by,
                commit=retry.commit or known.commit,
            )


def _is_retry(ci: Any, state: BuildState, ours: Iterable[Build]) -> bool:
    return any(
        state.carried_id == build.pk or ci.is_retry(state, of=build.handle) for build in ours
    )


def _is_in_doubt(build: Build) -> bool:
    """True if its trigger may have started a build that cannot be told from others."""
    triggers = Effect.objects.for_tenant(build.tenant_id).filter(
        dedupe_key=f"build:{build.pk}:trigger", last_error_code="cannot_correlate"
    )
    return build.status == BuildStatus.TRIGGER_FAILED and triggers.exists()


def may_be_adopted(part: ReleasePipeline, ours: list[Build], state: BuildState) -> bool:
    is_worth_it = (
        state.status in MOVING or counted_status(part.pipeline, state.status) == BuildStatus.SUCCESS
    )
    return is_worth_it and not why_not_adopted(part, ours, state)


def _has_version(part: ReleasePipeline, state: BuildState) -> bool:
    """Of a build whose branch is unknown."""
    return not state.branch and state.version == part.release.version


def is_meant(part: ReleasePipeline, ours: Collection[Build], state: BuildState) -> bool:
    """True if it carries the id of one of our builds, or builds the release's branch."""
    is_ours = state.carried_id in {build.pk for build in ours}
    return is_ours or state.branch == short_branch(part.release.branch)


def _free(
    part: ReleasePipeline, names: Collection[tuple[str, int | None]]
) -> list[tuple[str, int | None]]:
    """Of these (external id, number), those that are no build of delivr, the newest first."""
    numbers = {number for _id, number in names}
    of_job: list[tuple[str, int | None]] = [
        *taken_builds(part).filter(number__in=numbers).values_list("external_id", "number"),
        *taken_tests(part).filter(number__in=numbers).values_list("external_id", "number"),
    ]
    return sorted(set(names) - set(of_job), key=lambda name: name[1] or 0, reverse=True)


def taken_builds(part: ReleasePipeline) -> models.QuerySet[Build]:
    """The builds of delivr of the same job, also by another pipeline."""
    rows: models.QuerySet[Build] = Build.objects.for_tenant(part.tenant_id).filter(
        release_pipeline__pipeline__in=part.pipeline.on_same_server(),
        release_pipeline__job_path=part.job_path,
    )
    return rows


def taken_tests(part: ReleasePipeline) -> models.QuerySet[TestBuild]:
    tests = TestBuild.objects.for_tenant(part.tenant_id)
    rows: models.QuerySet[TestBuild] = tests.filter(
        pipeline__in=part.pipeline.on_same_server(), job_path=part.job_path
    )
    return rows


def _as_row(by: FoundBy, state: BuildState, home: str | None) -> dict[str, Any]:
    """As `ReleasePipeline.offers` stores it."""
    return {
        "id": state.external_id or str(state.number),
        "foundBy": by.value,
        "externalId": state.external_id,
        "number": state.number,
        "url": safe_build_url(state.url, home),
        "status": state.status.value,
        "startedBy": state.started_by[:100],
        "branch": state.branch[:255],
        "commit": state.commit[:64],
        "startedAt": state.started_at.isoformat() if state.started_at else None,
    }


def handle_of(row: dict[str, Any]) -> BuildHandle:
    return BuildHandle(external_id=row["externalId"], number=row["number"])
