"""Duplicate builds: a trigger that arrived twice starts a second build with the same id. It is
found, and stopped if we started it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from builds.effects import ci_of, connected_build
from builds.models import Build
from builds.stopping import create_stop_of_duplicate
from delivr.audit.operations import record
from delivr.effects import clock
from delivr.effects.handlers import EffectHandler
from delivr.effects.models import Effect
from integrations.providers.ci import BuildHandle, Duplicate

# How long after a trigger settled an earlier request of it may still reach the CI server.
LATE = timedelta(minutes=5)


def may_be_duplicated(build: Build) -> bool:
    """True if its trigger took more than one attempt and settled less than `LATE` ago."""
    triggers = Effect.objects.for_tenant(build.tenant_id).filter(
        dedupe_key=f"build:{build.pk}:trigger", lease_token__gt=1
    )
    return bool(triggers.filter(done_at__gt=clock.now() - LATE).exists())


def create_stops(build: Build) -> None:
    """Find other queue items and builds with this build's id (network), and create an effect to
    stop each. Raises ProviderError."""
    for state in ci_of(build).find_all(build_id=build.pk, since=build.created_at):
        if build.handle.is_another(state):
            create_stop_of_duplicate(build, state)


class StopDuplicate(EffectHandler):
    """Stops a duplicate if the CI server shows that only we can have started it. Idempotent."""

    send_again_when_uncertain = True

    def send(self, effect: Effect) -> dict[str, Any]:
        build = connected_build(effect)
        return {"outcome": ci_of(build).stop_duplicate(_which(effect), build_id=effect.build_id)}

    def find(self, effect: Effect) -> dict[str, Any] | None:
        """After a lost response: a duplicate that was aborted since then was aborted by us."""
        ci = ci_of(connected_build(effect))
        outcome = ci.duplicate(_which(effect), build_id=effect.build_id)
        return {"outcome": outcome} if outcome else None

    def finish(self, effect: Effect, result: dict[str, Any]) -> None:
        if result["outcome"] == Duplicate.STOPPED:
            build, changes = connected_build(effect), _changes(effect)
            record(actor=None, action="build.repeat_stopped", subject=build, changes=changes)


def _which(effect: Effect) -> BuildHandle:
    """The handle of the duplicate, as far as it was known."""
    payload = effect.payload
    return BuildHandle(
        external_id=payload.get("externalId", ""),
        queue_id=payload.get("queueId"),
        number=payload.get("number"),
    )


def _changes(effect: Effect) -> dict[str, list[Any]]:
    which = _which(effect)
    if which.number is not None:
        return {"number": [which.number, None]}
    return {"queue_id": [which.queue_id or which.external_id, None]}
