"""What blocks a release, computed for the page and the API alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import OuterRef, prefetch_related_objects
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from delivr.effects.handlers import is_known
from delivr.effects.models import Effect, EffectState, Heartbeat, IntegrationHealth
from delivr.effects.next_attempt import what_next
from delivr.effects.sweeper import BROKER_TIMEOUT
from delivr.json_rows import JsonRows, read_rows
from integrations.choices import Verification
from integrations.providers.ci import BuildStatus
from integrations.providers.stores import SubmissionState
from releases.branches import head_of
from releases.models import IN_STORES, Release, ReleaseQuerySet, ReleaseStatus
from releases.repository.acts import CREATE_BRANCH
from releases.tickets.acts import CREATE_EPIC, IN_VERSION, ON_EPIC
from releases.wording import KINDS, describe_effect

NOT_PICKED_UP = timedelta(seconds=30)
NO_SIGN_OF_LIFE = timedelta(minutes=2)
QUEUE_PATIENCE = timedelta(minutes=2)
QUEUE_LIMIT = timedelta(minutes=30)
RUN_LIMIT = timedelta(hours=2)
RUN_FACTOR = 3  # times the CI server's own estimate
BUILD, MESSAGES = "build", "messages"  # areas
FAMILY_OF = {
    "message.post": "communication",
    "message.edit": "communication",
    "event.send": "communication",
    CREATE_EPIC: "tickets",
    **dict.fromkeys((*ON_EPIC, *IN_VERSION), "tickets"),
}
TRIED_NOW = {
    "branch_missing",
    "breaker_open",
    "not_answering",
    "answer_lost",
    "retrying",
    "waiting_in_queue",
    "waiting_for_a_person",
    "build_missing",
    "build_lost",
    "stuck",
}


@dataclass(frozen=True)
class Blocker:
    """One thing that blocks a release: since when, and `next`, when delivr tries again
    automatically (if it does).

    `area` is what it holds up: the builds and with them the release, or only messages and epics.
    """

    code: str
    message: str
    hint: str = ""
    since: datetime | None = None
    next: datetime | None = None
    area: str = BUILD
    family: str = ""  # of the connection that messages or epics wait for
    pipeline: str = ""  # whose card has the details

    def is_held_up(self, now: datetime) -> bool:
        """False if no build is held up, and for a build that has only just entered a queue."""
        is_new = self.since is not None and now - self.since < QUEUE_PATIENCE
        return self.area == BUILD and not (self.code == "waiting_in_queue" and is_new)

    @property
    def may_try(self) -> bool:
        """True if trying at once can end it."""
        return self.code in TRIED_NOW


def blockers(
    release: Release,
    effects: Sequence[Effect],
    health: Iterable[IntegrationHealth],
    heartbeat: Heartbeat | None,
    now: datetime,
) -> list[Blocker]:
    """Everything that blocks the release, worst first; empty if nothing does.

    `release` comes from `with_everything()`, `effects` are all of its effects, `heartbeat` is the
    sweeper's last one.
    """
    if release.status == ReleaseStatus.CANCELLED:
        return []
    waiting = [effect for effect in effects if effect.is_open]
    failing = {row.integration_id: row for row in health}
    found = [
        *_paused(release, waiting),
        *_installation(release, waiting, failing, heartbeat, now),
        *_unknown(waiting),
        *_branch(release, now),
        *_waits_for_branch(release, effects),
        *_connections(release, waiting, failing, now),
        *_for_a_person(release, effects),
        *_retrying(release, waiting, failing, now),
        *_builds(release, failing, now),
        *_in_stores(release, now),
    ]
    return list({(b.code, b.message): b for b in found}.values())


def with_surroundings(releases: ReleaseQuerySet) -> ReleaseQuerySet:
    """With the rows that `failing_integrations` and `sweeper_heartbeat` read, in one statement with
    the release."""
    health = IntegrationHealth.objects.filter(tenant=OuterRef("tenant")).exclude(
        failures=0, open_until=None, rate_limited_until=None, credentials_refused_at=None
    )
    sweeper = Heartbeat.objects.filter(name="sweeper")
    rows: ReleaseQuerySet = releases.annotate(
        health_rows=JsonRows(health, *_HEALTH), heartbeat_rows=JsonRows(sweeper, *_HEARTBEAT)
    )
    return rows


_HEALTH = (
    "integration_id",
    "failures",
    "failing_since",
    "last_error",
    "open_until",
    "probe_until",
    "rate_limited_until",
    "credentials_refused_at",
)
_HEARTBEAT = ("name", "at", "broker_down_since")


def failing_integrations(release: Release) -> list[IntegrationHealth]:
    """The health of the tenant's integrations whose calls failed recently."""
    return read_rows(IntegrationHealth, release.health_rows)


def sweeper_heartbeat(release: Release) -> Heartbeat | None:
    """The last heartbeat of a sweeper; None if there never was one."""
    return next(iter(read_rows(Heartbeat, release.heartbeat_rows)), None)


def _area(release: Release, waiting: Sequence[Effect]) -> str:
    """What is held up while nothing is sent at all."""
    is_build = any(effect.kind not in FAMILY_OF for effect in waiting)
    return BUILD if release.is_moving or is_build else MESSAGES


def _paused(release: Release, waiting: Sequence[Effect]) -> Iterator[Blocker]:
    if settings.EFFECTS_PAUSED and waiting:
        yield Blocker(
            "paused",
            _("Sending is paused for the whole installation."),
            _("The operator resumes it by clearing EFFECTS_PAUSED."),
            since=min(effect.created_at for effect in waiting),
            area=_area(release, waiting),
        )


def _installation(
    release: Release,
    waiting: Sequence[Effect],
    failing: dict[str, IntegrationHealth],
    heartbeat: Heartbeat | None,
    now: datetime,
) -> Iterator[Blocker]:
    """What the operator has to repair: no sweeper, no worker, no broker."""
    if not waiting and not release.is_moving:
        return
    area = _area(release, waiting)
    if heartbeat is not None and heartbeat.at < now - NO_SIGN_OF_LIFE:
        yield Blocker(
            "nobody_sweeps",
            _("The sweeper has not run for %(minutes)d minutes.")
            % {"minutes": (now - heartbeat.at) // timedelta(minutes=1)},
            _("The operator has to start the sweeper. Waiting work then continues automatically."),
            since=heartbeat.at,
            area=area,
        )
        return
    for blocker in _not_picked_up(waiting, failing, now):
        yield replace(blocker, area=area)
    if heartbeat is not None and heartbeat.broker_down_since is not None:
        alone_from = heartbeat.broker_down_since + timedelta(seconds=BROKER_TIMEOUT)
        yield Blocker(
            "broker_down",
            _("The message broker is not responding, so work starts later than usual."),
            _(
                "The sweeper works without it in the meantime. The operator has to check "
                "the broker."
            ),
            since=heartbeat.broker_down_since,
            next=alone_from if alone_from > now else None,
            area=area,
        )


def _unknown(waiting: Sequence[Effect]) -> Iterator[Blocker]:
    for effect in waiting:
        if not is_known(effect.kind):
            yield Blocker(
                "unknown_kind",
                _("%(kind)s: this version of delivr does not support it.") % {"kind": effect.kind},
                _("It continues once all processes run the same version. You can also cancel it."),
                since=effect.created_at,
                area=_area_of(effect),
            )


def _area_of(effect: Effect) -> str:
    return MESSAGES if effect.kind in FAMILY_OF else BUILD


def _branch(release: Release, now: datetime) -> Iterator[Blocker]:
    """Nothing can be built from a missing branch. After the first trigger, the error of the trigger
    says so."""
    head, again = head_of(release), release.branch_look_at
    if head.exists is False and release.status == ReleaseStatus.KICKOFF_PENDING:
        yield Blocker(
            "branch_missing",
            head.message,
            head.hint,
            since=head.checked_at,
            next=again if again and again > now else None,
        )


def _waits_for_branch(release: Release, effects: Sequence[Effect]) -> Iterator[Blocker]:
    """Builds that were triggered before the branch, which delivr creates, was there."""
    branch = next((effect for effect in effects if effect.kind == CREATE_BRANCH), None)
    if branch is None or branch.state in (EffectState.DONE, EffectState.CANCELLED):
        return
    builds = [e.created_at for e in effects if e.kind == "build.trigger" and e.is_open]
    if builds:
        yield Blocker(
            "waiting_for_branch",
            _("The builds wait for the branch %(branch)s.") % {"branch": release.branch},
            _("Retry its creation, or cancel it: builds then use the branch as it is.")
            if branch.state == EffectState.DEAD
            else _("delivr creates it first, and then triggers them."),
            since=min(builds),
            next=branch.next_at if branch.state == EffectState.PENDING else None,
        )


def _not_picked_up(
    waiting: Sequence[Effect], failing: dict[str, IntegrationHealth], now: datetime
) -> Iterator[Blocker]:
    """Effects that have been due for too long: no worker and no sweeper is running."""
    if settings.EFFECTS_PAUSED:
        return
    late = [
        effect.next_at
        for effect in waiting
        if effect.state == EffectState.PENDING
        and effect.next_at < now - NOT_PICKED_UP
        and is_known(effect.kind)
        and not _is_blocked(failing.get(effect.integration_id), now)
    ]
    if late:
        yield Blocker(
            "not_picked_up",
            _("No process is picking up work."),
            _(
                "The operator has to check that the worker and the sweeper are running and can "
                "reach the broker."
            ),
            since=min(late),
        )


def _connections(
    release: Release,
    waiting: Sequence[Effect],
    failing: dict[str, IntegrationHealth],
    now: datetime,
) -> Iterator[Blocker]:
    """Providers that are down, limit the rate, or refuse the credentials."""
    parts = [part for part in release.pipelines.all() if part.is_moving]
    polled = {p.pipeline_id: next(iter(p.builds.all()), None) for p in parts}
    needed = {effect.integration_id for effect in waiting} | set(polled)
    for connection in _of_release(release):
        if connection.pk in needed:
            for blocker in _of_connection(connection, failing, polled.get(connection.pk), now):
                yield replace(blocker, **_place_of(connection))


def _place_of(connection: Any) -> dict[str, Any]:
    """What waits for the connection. Builds wait for the repository in which their branch is
    created."""
    if connection.family == "pipelines":
        return {"area": BUILD, "pipeline": connection.pk}
    if connection.family == "scm":
        return {"area": BUILD}
    return {"area": MESSAGES, "family": connection.family}


def _of_connection(
    connection: Any, failing: dict[str, IntegrationHealth], build: Any, now: datetime
) -> Iterator[Blocker]:
    row = failing.get(connection.pk)
    yield from _credentials(connection, row, now)
    if row is not None and not _is_refused(row):
        yield from _health(connection, row, build, now)


def _credentials(
    connection: Any, row: IntegrationHealth | None, now: datetime
) -> Iterator[Blocker]:
    refused_at = row.credentials_refused_at if row else None
    is_bad = connection.verification_status in (Verification.INVALID, Verification.EXPIRED)
    if not is_bad and refused_at is None:
        return
    words = {"name": connection}
    again = connection.verify_at
    yield Blocker(
        "credentials_refused",
        connection.verification_error or _("%(name)s is not verified.") % words,
        _("Fix the connection %(name)s and verify it. Waiting work then continues.") % words,
        since=refused_at or connection.last_verified_at,
        next=again if again and again > now else None,
    )


def _health(
    connection: Any, row: IntegrationHealth, build: Any, now: datetime
) -> Iterator[Blocker]:
    words = {"name": connection, "count": row.failures}
    if row.rate_limited_until and row.rate_limited_until > now:
        yield Blocker(
            "rate_limited",
            _("%(name)s asked delivr to wait.") % words,
            _("delivr continues automatically."),
            next=row.rate_limited_until,
        )
    elif row.blocked_until(now):
        yield Blocker(
            "breaker_open",
            _("%(name)s is not responding.") % words,
            row.last_error or _("delivr retries automatically."),
            since=row.failing_since,
            next=row.blocked_until(now),
        )
    elif row.failures and build is not None:
        yield Blocker(
            "not_answering",
            _("%(name)s did not respond to the last request (%(count)d in a row).") % words,
            row.last_error or _("The build may still be running there. delivr keeps checking."),
            since=row.failing_since,
            next=build.poll_at,
        )


def _is_blocked(row: IntegrationHealth | None, now: datetime) -> bool:
    return row is not None and bool(_is_refused(row) or row.blocked_until(now))


def _is_refused(row: IntegrationHealth | None) -> bool:
    return row is not None and row.credentials_refused_at is not None


def _of_release(release: Release) -> list[Any]:
    pipelines = [part.pipeline for part in release.pipelines.all()]
    single = (release.ticket, release.scm)
    return [c for c in (*release.communications, *single, *pipelines) if c is not None]


def _for_a_person(release: Release, effects: Sequence[Effect]) -> Iterator[Blocker]:
    """Effects that gave up and wait for a person; a trigger only while its build is the newest."""
    newest = {b.pk for part in release.pipelines.all() for b in part.builds.all()[:1]}
    dead = (
        effect
        for effect in effects
        if effect.state == EffectState.DEAD
        and (effect.build_id in newest or not effect.kind.startswith("build."))
    )
    for group in _alike(dead):
        effect = group[0]
        yield Blocker(
            "waiting_for_person",
            f"{_name_of(release, group)}: {effect.last_error}",
            effect.last_error_hint or what_next(effect)[0],
            since=effect.done_at,
            **_where(release, effect),
        )


def _retrying(
    release: Release,
    waiting: Sequence[Effect],
    failing: dict[str, IntegrationHealth],
    now: datetime,
) -> Iterator[Blocker]:
    failed = (
        effect
        for effect in waiting
        if effect.last_error
        and not effect.kind.startswith("store.")  # the store's own card says it
        and is_known(effect.kind)
        and not _is_blocked(failing.get(effect.integration_id), now)
    )
    for group in _alike(failed):
        effect = group[0]
        in_doubt = effect.dispatched_at is not None
        yield Blocker(
            "answer_lost" if in_doubt else "retrying",
            f"{_name_of(release, group)}: {effect.last_error}",
            _(
                "The response was lost. delivr checks whether it was received before "
                "sending it again."
            )
            if in_doubt
            else effect.last_error_hint,
            since=effect.dispatched_at or effect.created_at,
            next=min(one.next_at for one in group),
            **_where(release, effect),
        )


def _alike(effects: Iterable[Effect]) -> list[list[Effect]]:
    """Messages (or epics) with the same error are one blocker, whatever their channels."""
    groups: dict[tuple[object, ...], list[Effect]] = {}
    for effect in effects:
        kind = "message.post" if effect.kind == "message.edit" else effect.kind
        same = (kind, effect.last_error, effect.dispatched_at is None)
        groups.setdefault(same if effect.kind in FAMILY_OF else (effect.pk,), []).append(effect)
    return list(groups.values())


def _name_of(release: Release, group: Sequence[Effect]) -> str:
    effect = group[0]
    if len(group) == 1:
        part = _part_of(release, effect)
        name = describe_effect(effect)
        return f"{part.title}: {name}" if part else name
    if effect.kind == "event.send":
        return _("%(count)d events") % {"count": len(group)}
    if FAMILY_OF[effect.kind] == "communication":
        return _("%(count)d messages") % {"count": len(group)}
    if effect.kind == CREATE_EPIC:
        return _("%(count)d epics") % {"count": len(group)}
    return f"{KINDS[effect.kind]} ({len(group)})"


def _part_of(release: Release, effect: Effect) -> Any:
    """The pipeline of an effect on a build."""
    if _area_of(effect) == MESSAGES:
        return None
    parts = release.pipelines.all()
    mine = (part for part in parts if effect.build_id in {b.pk for b in part.builds.all()})
    return next(mine, None)


def _where(release: Release, effect: Effect) -> dict[str, Any]:
    part = _part_of(release, effect)
    return {
        "area": _area_of(effect),
        "family": FAMILY_OF.get(effect.kind, ""),
        "pipeline": part.pipeline_id if part else "",
    }


def _builds(
    release: Release, failing: dict[str, IntegrationHealth], now: datetime
) -> Iterator[Blocker]:
    """Builds that wait in the CI server's queue, are missing or lost, or take too long."""
    for part in release.pipelines.all():
        for build in part.builds.all()[:1]:
            for blocker in _build(part, build, failing, now):
                yield replace(blocker, pipeline=part.pipeline_id)


def _build(
    part: Any, build: Any, failing: dict[str, IntegrationHealth], now: datetime
) -> Iterator[Blocker]:
    words = {"platform": part.title, "reason": build.queue_reason}
    is_polled = part.pipeline.silence is None and not _is_refused(failing.get(part.pipeline_id))
    next_poll = build.poll_at if is_polled else None
    if build.status == BuildStatus.QUEUED and build.queue_reason:
        yield Blocker(
            "waiting_in_queue",
            _("%(platform)s is waiting in the CI server's queue: %(reason)s") % words,
            since=build.created_at,
            next=next_poll,
        )
    if build.status == BuildStatus.WAITING:
        yield Blocker(
            "waiting_for_a_person",
            _("%(platform)s is waiting for approval on the CI server. %(reason)s") % words,
            since=build.started_at or build.created_at,
            next=next_poll,
        )
    if build.missing_since is not None and build.is_moving:
        yield Blocker(
            "build_missing",
            _("The CI server does not list the %(platform)s build.") % words,
            _("delivr keeps checking. After a few minutes the build is marked as lost."),
            since=build.missing_since,
            next=next_poll,
        )
    if build.status == BuildStatus.LOST and build.poll_at is not None:
        yield Blocker(
            "build_lost",
            _lost_words(build) % words,
            _("delivr keeps checking for a day. Trigger it again, or adopt another build."),
            since=build.finished_at,
            next=next_poll,
        )
    if is_stuck(build, now):
        yield Blocker(
            "stuck",
            _("The %(platform)s build is taking much longer than usual.") % words,
            _("Check its log on the CI server, or stop it."),
            since=build.started_at or build.created_at,
            next=next_poll,
        )


def _in_stores(release: Release, now: datetime) -> Iterator[Blocker]:
    """Submissions that were rejected, that wait for a person in the store's console, or whose
    review takes longer than usual. Those that delivr could not submit have an effect that says
    so."""
    if release.status not in IN_STORES:
        return
    prefetch_related_objects([release], "submissions")
    names = {part.target_id: part.target.platform.label for part in release.targets.all()}
    for submission in release.submissions.all():
        if not submission.is_current or submission.submitted_at is None:
            continue
        words = {"platform": names.get(submission.target_id, "")}
        since = submission.changed_at
        if submission.unjudged_since and submission.state == SubmissionState.ROLLING_OUT:
            yield Blocker(
                "health_unknown",
                submission.unjudged,
                submission.unjudged_hint,
                since=submission.unjudged_since,
            )
        if submission.state == SubmissionState.REJECTED:
            text = _("%(platform)s was rejected by the store.") % words
            yield Blocker("rejected", submission.message or text, submission.hint, since=since)
        elif submission.state == SubmissionState.NEEDS_PERSON:
            text = _("%(platform)s waits for a person in the store's console.") % words
            yield Blocker("store_waits", submission.message or text, submission.hint, since=since)
        elif submission.state in _REVIEWS and submission.usual_review:
            took = now - submission.submitted_at
            if took > submission.usual_review:
                words |= {"took": _hours(took), "usual": _hours(submission.usual_review)}
                yield Blocker("review_slow", _slow_review() % words, since=submission.submitted_at)


_REVIEWS = (SubmissionState.WAITING_FOR_REVIEW, SubmissionState.IN_REVIEW)


def _slow_review() -> str:
    return _(
        "%(platform)s has been in review for %(took)s. The median of its last reviews was "
        "%(usual)s."
    )


def _hours(took: timedelta) -> str:
    hours = round(took / timedelta(hours=1))
    return ngettext("%(n)d hour", "%(n)d hours", hours) % {"n": hours}


def _lost_words(build: Any) -> str:
    """The CI server may say itself that it lost the build."""
    if build.queue_reason:
        return _("The %(platform)s build is lost. %(reason)s")
    return _("The %(platform)s build no longer exists on the CI server.")


def is_stuck(build: Any, now: datetime) -> bool:
    """True for a build that takes too long: more than half an hour in the queue, or running for
    more than two hours and more than three times the CI server's own estimate."""
    if build.status == BuildStatus.QUEUED:
        return bool(now - build.created_at > QUEUE_LIMIT)
    if build.status != BuildStatus.RUNNING or build.started_at is None:
        return False
    usual = timedelta(milliseconds=RUN_FACTOR * (build.estimated_ms or 0))
    return bool(now - build.started_at > max(RUN_LIMIT, usual))
