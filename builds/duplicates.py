"""A trigger that arrived twice: what else has our id is found, and stopped where it is ours."""

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
from integrations.providers.base import BuildHandle, Duplicate

LATE = timedelta(minutes=5)  # how long after a trigger settled an earlier sending may still arrive


def may_be_duplicated(build: Build) -> bool:
    """Its trigger settled a short while ago, and took more than one attempt."""
    triggers = Effect.objects.for_tenant(build.tenant_id).filter(
        dedupe_key=f"build:{build.pk}:trigger", lease_token__gt=1
    )
    return bool(triggers.filter(done_at__gt=clock.now() - LATE).exists())


def create_stops(build: Build) -> None:
    """Look for what else carries a build's id, queued or built (network), and see to it. Raises
    ProviderError."""
    for state in ci_of(build).find_all(build_id=build.pk, since=build.created_at):
        if build.handle.is_another(state):
            create_stop_of_duplicate(build, state)


class StopDuplicate(EffectHandler):
    """The CI server says whether we alone can have started it. Doing it twice does no harm."""

    send_again_when_uncertain = True

    def send(self, effect: Effect) -> dict[str, Any]:
        build = connected_build(effect)
        return {"outcome": ci_of(build).stop_duplicate(_which(effect), build_id=effect.build_id)}

    def find(self, effect: Effect) -> dict[str, Any] | None:
        """An answer was lost: what was aborted since then was aborted by us."""
        ci = ci_of(connected_build(effect))
        outcome = ci.duplicate(_which(effect), build_id=effect.build_id)
        return {"outcome": outcome} if outcome else None

    def finish(self, effect: Effect, result: dict[str, Any]) -> None:
        if result["outcome"] == Duplicate.STOPPED:
            record(
                tenant=effect.tenant,
                actor=None,
                action="build.repeat_stopped",
                subject=connected_build(effect),
                changes=_changes(effect),
            )


def _which(effect: Effect) -> BuildHandle:
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
