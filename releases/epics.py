"""The effect that creates a release's epics."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from delivr.effects.handlers import EffectHandler
from delivr.effects.models import Effect
from integrations.models import TargetIntegration, TicketIntegration
from integrations.providers.registry import provider_for
from integrations.providers.tickets import Epic, Ticket
from releases.models import Release, ReleaseTarget
from releases.of_effects import connection_of, release_of


class CreateEpic(EffectHandler):
    """Creates one epic for one target of a release."""

    cap = timedelta(minutes=30)
    max_attempts = 30
    expires_after = timedelta(hours=24)
    settle = timedelta(seconds=180)  # a search index lags behind
    look_twice = timedelta(seconds=60)

    def send(self, effect: Effect) -> dict[str, Any]:
        tickets = provider_for(connection_of(effect, TicketIntegration))
        return self._result(tickets.create(self._epic(effect), correlation=effect.pk))

    def find(self, effect: Effect) -> dict[str, Any] | None:
        tickets = provider_for(connection_of(effect, TicketIntegration))
        found = tickets.find(self._epic(effect), correlation=effect.pk)
        return self._result(found) if found else None

    def finish(self, effect: Effect, result: dict[str, Any]) -> None:
        self._target(effect).update(epic_key=result["key"], epic_url=result["url"])

    def _result(self, ticket: Ticket) -> dict[str, Any]:
        return {"key": ticket.key, "url": ticket.url}

    def _target(self, effect: Effect) -> Any:
        return ReleaseTarget.objects.for_tenant(effect.tenant_id).filter(
            release_id=effect.release_id, target_id=effect.payload["target"]
        )

    def _epic(self, effect: Effect) -> Epic:
        part = self._target(effect).select_related("target").get()
        return epic_for(release_of(effect), part.target, app=part.app_identifier)


def epic_for(release: Release, target: TargetIntegration, *, app: str = "") -> Epic:
    """The epic of a release and one of its targets; `app` is the one at the release's creation."""
    platform = target.platform.label
    return Epic(
        summary=f"Release {release.version}: {platform}",
        description=(
            f"{platform} release {release.version} of {app or target.app_identifier}, "
            f"built from {release.branch}."
        ),
        labels=("delivr",),
    )
