"""Endpoints: connections whose messages a program receives. Test events, the delivery log, the
signing secret, and turning one off that no longer takes anything."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from delivr import ids
from delivr.audit.operations import record
from delivr.effects.models import Effect, IntegrationHealth
from delivr.effects.operations import create_effect, pause_integration
from delivr.encryption.fields import SecretUnreadable
from delivr.failures import Conflict, ProviderError
from delivr.tenants.models import User
from integrations import endpoint_secrets
from integrations.choices import Verification
from integrations.mails import create_mails
from integrations.models import CommunicationIntegration, EndpointAttempt
from integrations.providers.base import Check
from integrations.providers.chat import SentRequest
from integrations.redaction import redact, secrets_in

EFFECT = "event.send"
FAILED_FOR = timedelta(days=3)
IS_ON = "endpoint"  # the name of the check that fails while it is off
KEEP_ATTEMPTS = timedelta(days=30)


@transaction.atomic
def send_test(endpoint: CommunicationIntegration, *, actor: User | None) -> Effect:
    """Create the effect that sends a test event. Raises Conflict."""
    effect = _send(endpoint, key=ids.new_id("test"), payload={"test": True})
    record(actor=actor, action="endpoint.tested", subject=endpoint, changes=_of(effect))
    return effect


@transaction.atomic
def resend(attempt: EndpointAttempt, *, actor: User | None) -> Effect:
    """Create the effect that sends the same body again, under the same `webhook-id`; the one that
    is not settled yet if there is one. Raises Conflict."""
    rows = CommunicationIntegration.objects.for_tenant(attempt.tenant_id)
    endpoint = rows.get(pk=attempt.integration_id)
    mine = Effect.objects.for_tenant(attempt.tenant_id).filter(integration_id=endpoint.pk)
    waiting: Effect | None = mine.filter(kind=EFFECT, payload__attempt=attempt.pk).open().first()
    if waiting is not None:
        return waiting
    effect = _send(endpoint, key=ids.new_id("again"), payload={"attempt": attempt.pk})
    record(actor=actor, action="endpoint.resent", subject=endpoint, changes=_of(effect))
    return effect


def _send(endpoint: CommunicationIntegration, *, key: str, payload: dict[str, Any]) -> Effect:
    _refuse_turned_off(endpoint)
    return create_effect(
        tenant=endpoint.tenant,
        kind=EFFECT,
        integration_id=endpoint.pk,
        dedupe_key=f"endpoint:{endpoint.pk}:{key}",
        payload={**payload, "channel_name": endpoint.channel_name("")},
    )


def _of(effect: Effect) -> dict[str, list[str | None]]:
    return {"effect": [None, effect.pk]}


def _refuse_turned_off(endpoint: CommunicationIntegration) -> None:
    if endpoint.turned_off:
        raise Conflict("turned_off", _("Nothing is sent to it: turn it on again first."))


@transaction.atomic
def rotate_secret(
    endpoint: CommunicationIntegration, *, actor: User | None
) -> CommunicationIntegration:
    """Give it a new signing secret; the one before signs, too, for 24 more hours. Raises
    Conflict."""
    endpoint = _locked(endpoint)
    endpoint_secrets.replace(endpoint)
    endpoint.revision += 1
    endpoint.save()
    changes = {"signing_secret": "changed"}
    record(actor=actor, action="signing_secret.rotated", subject=endpoint, changes=changes)
    return endpoint


def note_attempt(effect: Effect, sent: SentRequest, *, message_id: str, event: str) -> None:
    """Add a line to the delivery log, without secrets that the endpoint may have echoed."""
    rows = CommunicationIntegration.objects.for_tenant(effect.tenant_id)
    endpoint = rows.get(pk=effect.integration_id)
    try:
        answer = redact(sent.answer, secrets_in(endpoint))
    except SecretUnreadable:
        answer = ""
    EndpointAttempt.objects.create(
        tenant_id=effect.tenant_id,
        integration_id=effect.integration_id,
        effect_id=effect.pk,
        message_id=message_id,
        release_id=effect.release_id,
        event=event,
        body=sent.body,
        status=sent.status,
        answer=answer,
        error=sent.failure.message[:500] if sent.failure else "",
        duration_ms=sent.milliseconds,
    )


def attempts_of(endpoint: CommunicationIntegration) -> Any:
    """Its delivery log, the newest first."""
    rows = EndpointAttempt.objects.for_tenant(endpoint.tenant_id)
    return rows.filter(integration_id=endpoint.pk)


def expired_attempts() -> Any:
    return EndpointAttempt.objects.filter(at__lt=timezone.now() - KEEP_ATTEMPTS)


# --- Off and on -----------------------------------------------------------------------------------


def is_end(connection: CommunicationIntegration, error: ProviderError) -> bool:
    """True if the connection wants nothing more after this error."""
    return error.code in connection.provider_class.turned_off_by


def failed_for_days(effect: Effect) -> bool:
    """True if nothing was accepted by the effect's endpoint for `FAILED_FOR`."""
    known = IntegrationHealth.objects.for_tenant(effect.tenant_id)
    since = timezone.now() - FAILED_FOR
    found = known.filter(integration_id=effect.integration_id, failing_since__lte=since)
    return bool(found.exists())


@transaction.atomic
def turn_off(endpoint: CommunicationIntegration, error: ProviderError) -> None:
    """Send nothing more to it, and tell the owners. Its effects wait until it is turned on, or
    expire."""
    endpoint = _locked(endpoint)
    if endpoint.turned_off:
        return
    before, endpoint.verification_status = endpoint.verification_status, Verification.INVALID
    endpoint.verification_error = error.message[:500]
    endpoint.options = {**endpoint.options, "turned_off": error.message[:500]}
    endpoint.checks = [asdict(Check.from_error(IS_ON, error))]
    endpoint.verify_at = endpoint.doubted_at = None
    endpoint.revision += 1
    endpoint.save()
    pause_integration(tenant=endpoint.tenant, integration_id=endpoint.pk)
    changes = {"verification_status": [before, endpoint.verification_status]}
    record(actor=None, action="endpoint.turned_off", subject=endpoint, changes=changes)
    create_mails(endpoint)


@transaction.atomic
def turn_on(endpoint: CommunicationIntegration, *, actor: User | None) -> CommunicationIntegration:
    """Send to it again, once it is verified: the caller does that next."""
    endpoint = _locked(endpoint)
    if endpoint.turned_off:
        endpoint.forget_discovered()
        endpoint.verification_status = Verification.PENDING
        endpoint.verification_error = ""
        endpoint.verify_at = timezone.now()
        endpoint.revision += 1
        endpoint.save()
        record(actor=actor, action="endpoint.turned_on", subject=endpoint, changes={})
    return endpoint


def _locked(endpoint: CommunicationIntegration) -> CommunicationIntegration:
    rows = CommunicationIntegration.objects.select_for_update()
    fresh: CommunicationIntegration = rows.get(pk=endpoint.pk)
    if fresh.disconnected_at is not None:
        raise Conflict("disconnected", _("This connection was disconnected in the meantime."))
    return fresh
