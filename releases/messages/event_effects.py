"""The effect that sends an event to an endpoint."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings

from delivr.effects.handlers import EffectHandler, Unneeded
from delivr.effects.models import Effect, IntegrationHealth
from delivr.failures import Outcome, ProviderError
from integrations.endpoints import failed_for_days, note_attempt, turn_off
from integrations.models import CommunicationIntegration, EndpointAttempt
from integrations.providers.chat import Message
from integrations.providers.registry import provider_for
from releases.models import Release
from releases.of_effects import connection_of
from releases.serializers import BuildSerializer, ReleaseLine

_OF_A_BUILD = (
    "id",
    "pipelineId",
    "platform",
    "attempt",
    "candidate",
    "buildStatus",
    "buildNumber",
    "buildUrl",
    "queueReason",
    "createdAt",
    "startedAt",
    "finishedAt",
)


class SendEvent(EffectHandler):
    """One signed request, in any order with other events. It is sent again under the same
    `webhook-id` until it is accepted, by the schedule of Standard Webhooks:
    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

    The state of the release is that at the time of the request: a late one never tells an old
    state as a new one.
    """

    schedule = (
        timedelta(seconds=5),
        timedelta(minutes=5),
        timedelta(minutes=30),
        timedelta(hours=2),
        timedelta(hours=5),
        timedelta(hours=10),
        timedelta(hours=14),
        timedelta(hours=20),
        timedelta(hours=24),
    )
    max_attempts = len(schedule) + 5  # processes that died while they sent count, too
    expires_after = timedelta(days=5)
    idempotent = True

    def send(self, effect: Effect) -> dict[str, Any]:
        endpoint = provider_for(connection_of(effect, CommunicationIntegration))
        event, message_id = effect.payload.get("name", ""), effect.pk
        try:
            if "attempt" in effect.payload:
                earlier = _attempt_of(effect)
                event, message_id = earlier.event, earlier.message_id
                endpoint.post_body(earlier.body, correlation=message_id)
            else:
                message = _message(effect)
                event = message.event
                endpoint.post(channel="", message=message, correlation=message_id)
        finally:
            if endpoint.sent is not None:
                note_attempt(effect, endpoint.sent, message_id=message_id, event=event)
        return {"status": endpoint.sent.status, "webhook-id": message_id}

    def find(self, effect: Effect) -> dict[str, Any] | None:
        return None

    def finish(self, effect: Effect, result: dict[str, Any]) -> None:
        """Nothing to store besides the effect's state."""

    def lock(self, effect: Effect) -> None:
        """What `gave_up` may change: the connection and its health, before the effect."""
        connections = CommunicationIntegration.objects.select_for_update(no_key=True)
        connections.filter(pk=effect.integration_id).values_list("pk").first()
        health = IntegrationHealth.objects.select_for_update(no_key=True)
        same = {"tenant": effect.tenant_id, "integration_id": effect.integration_id}
        health.filter(**same).values_list("pk").first()

    def gave_up(self, effect: Effect) -> None:
        """After days without any success the endpoint is turned off."""
        found = CommunicationIntegration.objects.for_tenant(effect.tenant_id).filter(
            pk=effect.integration_id
        )
        endpoint = found.first()
        if endpoint is None or not failed_for_days(effect):
            return
        words = "Nothing was accepted for three days, so nothing more is sent. " + effect.last_error
        turn_off(endpoint, ProviderError("turned_off", words, outcome=Outcome.CREDENTIALS))


def _attempt_of(effect: Effect) -> EndpointAttempt:
    rows = EndpointAttempt.objects.for_tenant(effect.tenant_id)
    found: EndpointAttempt | None = rows.filter(pk=effect.payload["attempt"]).first()
    if found is None:
        raise Unneeded  # it was kept long enough
    return found


def _message(effect: Effect) -> Message:
    if effect.payload.get("test"):
        data = {"message": "A test event of delivr.", "endpointId": effect.integration_id}
        return Message(text="", event="test", data=data, at=effect.created_at)
    rows = Release.objects.for_tenant(effect.tenant_id).with_pipelines()
    release = rows.get(pk=effect.release_id)
    return Message(
        text="",
        event=effect.payload["name"],
        at=effect.created_at,
        data=event_data(release, sequence=effect.payload["sequence"], build_id=effect.build_id),
        spare=("release.pipelines",),
    )


def event_data(release: Release, *, sequence: int, build_id: str = "") -> dict[str, Any]:
    """The `data` of an event: the release as the API lists it, and the build that it is about."""
    page = f"{settings.BASE_URL}/releases/{release.pk}"
    data = {
        "sequence": sequence,
        "release": {**ReleaseLine(release).data, "url": page},
        "build": None,
    }
    part = release.pipelines.filter(builds__pk=build_id).first() if build_id else None
    if part is not None:
        build = dict(BuildSerializer(part.builds.get(pk=build_id)).data)
        data["build"] = {name: build[name] for name in _OF_A_BUILD}
    return data
