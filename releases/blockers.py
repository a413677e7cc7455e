"""Why is this not moving? One computed answer, for the page and the API alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from delivr.effects.models import Effect, EffectState, IntegrationHealth
from delivr.tenants.models import Tenant
from integrations.choices import Verification
from integrations.providers.base import BuildStatus
from releases.models import Release, ReleaseStatus
from releases.wording import describe_effect

NOT_PICKED_UP = timedelta(seconds=30)
QUEUE_LIMIT = timedelta(minutes=30)
RUN_LIMIT = timedelta(hours=2)
RUN_FACTOR = 3  # times Jenkins' own estimate


@dataclass(frozen=True)
class Blocker:
    """One thing that stands in the way: since when, and when it is tried again (if by itself)."""

    code: str
    message: str
    hint: str = ""
    since: datetime | None = None
    next: datetime | None = None


def blockers(
    release: Release, effects: Sequence[Effect], health: Iterable[IntegrationHealth], now: datetime
) -> list[Blocker]:
    """Everything that keeps the release from moving, worst first; empty where all goes well.

    `release` comes from `with_everything()`, `effects` are all of its effects.
    """
    if release.status == ReleaseStatus.CANCELLED:
        return []
    waiting = [effect for effect in effects if effect.is_open]
    sick = {row.integration_id: row for row in health}
    found = [
        *_paused(waiting),
        *_not_picked_up(waiting, sick, now),
        *_connections(release, waiting, sick, now),
        *_for_a_person(release, effects),
        *_retrying(waiting, sick, now),
        *_builds(release, now),
    ]
    return list({(b.code, b.message): b for b in found}.values())


def sick_integrations(tenant: Tenant | str) -> list[IntegrationHealth]:
    """The integrations of a tenant whose calls failed lately: few, or none."""
    found: list[IntegrationHealth] = list(
        IntegrationHealth.objects.for_tenant(tenant).exclude(
            open_until=None, rate_limited_until=None
        )
    )
    return found


def _paused(waiting: Sequence[Effect]) -> Iterator[Blocker]:
    if settings.EFFECTS_PAUSED and waiting:
        yield Blocker(
            "paused",
            _("Sending is paused for the whole installation."),
            _("The operator clears EFFECTS_PAUSED when everything is checked."),
            since=min(effect.created_at for effect in waiting),
        )


def _not_picked_up(
    waiting: Sequence[Effect], sick: dict[str, IntegrationHealth], now: datetime
) -> Iterator[Blocker]:
    """Due for long, and nobody came: no worker and no sweeper run."""
    if settings.EFFECTS_PAUSED:
        return
    late = [
        effect.next_at
        for effect in waiting
        if effect.state == EffectState.PENDING
        and effect.next_at < now - NOT_PICKED_UP
        and effect.integration_id not in sick
    ]
    if late:
        yield Blocker(
            "not_picked_up",
            _("Nothing picks up the work that is due."),
            _("The operator looks whether the worker and the sweeper run and reach the broker."),
            since=min(late),
        )


def _connections(
    release: Release, waiting: Sequence[Effect], sick: dict[str, IntegrationHealth], now: datetime
) -> Iterator[Blocker]:
    """A provider that is down, asks for a pause, or refuses the credentials."""
    needed = {effect.integration_id for effect in waiting}
    for connection in _of_release(release):
        if connection.pk not in needed:
            continue
        words = {"name": connection}
        if connection.verification_status in (Verification.INVALID, Verification.EXPIRED):
            yield Blocker(
                "credentials_refused",
                connection.verification_error or _("%(name)s is not verified.") % words,
                _("Mend the connection %(name)s and verify it: what waits then goes on.") % words,
                since=connection.last_verified_at,
            )
        row = sick.get(connection.pk)
        if row and row.open_until and row.open_until > now:
            yield Blocker(
                "breaker_open",
                _("%(name)s does not answer.") % words,
                _("delivr tries again by itself."),
                next=row.open_until,
            )
        elif row and row.rate_limited_until and row.rate_limited_until > now:
            yield Blocker(
                "rate_limited",
                _("%(name)s asks for a pause: too many requests.") % words,
                _("delivr goes on by itself."),
                next=row.rate_limited_until,
            )


def _of_release(release: Release) -> list[Any]:
    pipelines = [part.pipeline for part in release.pipelines.all()]
    return [c for c in (release.communication, release.ticket, *pipelines) if c is not None]


def _for_a_person(release: Release, effects: Sequence[Effect]) -> Iterator[Blocker]:
    """What gave up and waits for somebody: a trigger only while its build is the newest."""
    newest = {b.pk for part in release.pipelines.all() for b in part.builds.all()[:1]}
    for effect in effects:
        if effect.state != EffectState.DEAD:
            continue
        if effect.kind.startswith("build.") and effect.build_id not in newest:
            continue
        yield Blocker(
            "waiting_for_person",
            f"{describe_effect(effect)}: {effect.last_error}",
            effect.last_error_hint or _("Retry it, or cancel it."),
            since=effect.done_at,
        )


def _retrying(
    waiting: Sequence[Effect], sick: dict[str, IntegrationHealth], now: datetime
) -> Iterator[Blocker]:
    for effect in waiting:
        row = sick.get(effect.integration_id)
        if not effect.last_error or (row and row.blocked_until(now)):
            continue
        in_doubt = effect.dispatched_at is not None
        yield Blocker(
            "answer_lost" if in_doubt else "retrying",
            f"{describe_effect(effect)}: {effect.last_error}",
            _("Its answer was lost: delivr looks whether it happened before it sends again.")
            if in_doubt
            else effect.last_error_hint,
            since=effect.dispatched_at or effect.created_at,
            next=effect.next_at,
        )


def _builds(release: Release, now: datetime) -> Iterator[Blocker]:
    """Builds that wait in the CI server's queue, or take longer than they should."""
    for part in release.pipelines.all():
        for build in part.builds.all()[:1]:
            words = {"platform": part.get_platform_display(), "reason": build.queue_reason}
            if build.status == BuildStatus.QUEUED and build.queue_reason:
                yield Blocker(
                    "waiting_in_queue",
                    _("%(platform)s waits in the CI server's queue: %(reason)s") % words,
                    since=build.created_at,
                    next=build.poll_at,
                )
            if is_stuck(build, now):
                yield Blocker(
                    "stuck",
                    _("The %(platform)s build takes much longer than usual.") % words,
                    _("Look at its log on the CI server, or cancel it."),
                    since=build.started_at or build.created_at,
                    next=build.poll_at,
                )


def is_stuck(build: Any, now: datetime) -> bool:
    """True for a build beyond its time: half an hour in the queue, or running for two hours and
    three times the CI server's own estimate."""
    if build.status == BuildStatus.QUEUED:
        return bool(now - build.created_at > QUEUE_LIMIT)
    if build.status != BuildStatus.RUNNING or build.started_at is None:
        return False
    usual = timedelta(milliseconds=RUN_FACTOR * (build.estimated_ms or 0))
    return bool(now - build.started_at > max(RUN_LIMIT, usual))
