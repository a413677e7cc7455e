"""F2h: kills while an endpoint is told of every step."""

from __future__ import annotations

from collections import Counter

from django.utils import timezone

from delivr.effects.models import Effect
from delivr.ids import webhook_secret
from delivr.tests import factories
from delivr.tests.wired import wire
from faults.killing import random_kills_with
from faults.outcome import Options, Outcome
from faults.stack import Product, Stack
from faults.workspaces import Workspace
from integrations.endpoints import EFFECT
from integrations.models import CommunicationIntegration, EndpointAttempt
from releases.models import Release, ReleaseCommunication


def random_kills(stack: Stack, options: Options) -> Outcome:
    """F2h: lossy providers and random kills, with an endpoint that is told every event."""
    secret = webhook_secret()

    def before(stack: Product) -> None:
        EndpointAttempt.objects.all().delete()
        stack.sandbox.ask("PATCH", "endpoint", {"secret": secret, "status": 204})

    def created(space: Workspace, release: Release) -> None:
        tenant = space.wired.tenant
        rows = CommunicationIntegration.objects.for_tenant(tenant)
        endpoint = rows.filter(communication_type="WEBHOOK").first()
        if endpoint is None:
            options = {"url": f"{stack.sandbox.url}/listener/events"}
            endpoint = factories.EndpointFactory(tenant=tenant, token=secret, options=options)
        ReleaseCommunication.objects.create(tenant=tenant, release=release, communication=endpoint)

    outcome = random_kills_with(
        stack, options, wire, before=before, created=created, hurry=_pass_the_schedule
    )
    taken = stack.sandbox.ledger("event.received")
    states = Counter(Effect.objects.filter(kind=EFFECT).values_list("state", flat=True))
    outcome.figures |= {
        "events": dict(states),
        "requests": EndpointAttempt.objects.count(),
        "received": len(taken),
        "repeats": sum(entry["isRepeat"] for entry in taken),
        "signatures": dict(Counter(entry["verdict"] for entry in taken)),
    }
    outcome.expect({entry["verdict"] for entry in taken} == {"signed"}, "a signature is wrong")
    return outcome


def _pass_the_schedule() -> None:
    """The next attempts would be in minutes or hours."""
    waiting = Effect.objects.filter(kind=EFFECT, state="PENDING", next_at__gt=timezone.now())
    waiting.update(next_at=timezone.now())
