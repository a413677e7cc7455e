"""Workspaces and releases for the scenarios: their rows are made here, their use goes over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import F

from builds.models import Build, WebhookDelivery
from delivr.effects.models import Effect, IntegrationHealth
from delivr.tenants.models import Role
from delivr.tenants.operations import create_token
from delivr.tests import factories
from delivr.tests.wired import Wired, wire
from faults.clients import Answer, Client
from faults.stack import Product
from releases.models import Release


@dataclass(frozen=True)
class Workspace:
    wired: Wired
    token: str


def workspaces(stack: Product, count: int) -> list[Workspace]:
    """New workspaces, each with its connections to the sandbox and a member's token."""
    return [_workspace(stack) for _n in range(count)]


def _workspace(stack: Product) -> Workspace:
    tenant = factories.TenantFactory()
    user = factories.MembershipFactory(tenant=tenant, role=Role.MEMBER).user
    _row, token = create_token(tenant=tenant, user=user, role=Role.MEMBER)
    wired = wire(tenant, stack.sandbox.url)
    wired.slack.recipients = ["C123"]
    wired.slack.save()
    return Workspace(wired, token)


def begin(stack: Product) -> None:
    """An empty product and an empty sandbox, with room for all builds at once."""
    Release.objects.all().delete()
    for model in (Build, WebhookDelivery, Effect, IntegrationHealth):
        model.objects.all().delete()
    stack.sandbox.ask("POST", "reset")
    for job in ("ios-prod", "android-prod"):
        stack.sandbox.ask("PATCH", f"jenkins/jobs/{job}", {"executors": 10_000, "quietPeriod": 0})


def ends_by_itself(stack: Product, seconds: float | None) -> None:
    """Builds end after so many seconds; None: only when a scenario ends them."""
    for job in ("ios-prod", "android-prod"):
        stack.sandbox.ask("PATCH", f"jenkins/jobs/{job}", {"autoFinishSeconds": seconds})


TIMES: Sequence[tuple[Any, Sequence[str]]] = (
    (
        Effect,
        ("created_at", "next_at", "expires_at", "lease_until", "dispatched_at", "enqueued_at"),
    ),
    (Build, ("created_at", "poll_at")),
    (WebhookDelivery, ("received_at", "next_at")),
    (IntegrationHealth, ("open_until", "rate_limited_until")),
)


def let_pass(time: timedelta) -> None:
    """Move every row as if so much time had gone by. Nobody may be at work meanwhile: a lease that
    ends like this says that its holder is gone."""
    for model, names in TIMES:
        model.objects.update(**{name: F(name) - time for name in names})


def open_work() -> int:
    """What is not settled yet: effects, builds, deliveries."""
    counts: list[Any] = [
        Effect.objects.open().count(),
        Build.objects.moving().count(),
        WebhookDelivery.objects.waiting().count(),
    ]
    return sum(counts)


def click(client: Client, space: Workspace, release: Release, **body: Any) -> Answer:
    return client.api(space.token, "POST", f"releases/{release.pk}/builds", body)


def waits_of(stack: Product, clicked: dict[str, float]) -> list[float]:
    """Seconds from each click to the moment that Jenkins queued it."""
    return [
        entry["at"] - clicked[build_id]
        for entry in stack.sandbox.ledger("build.queued")
        if (build_id := entry["parameters"]["DELIVR_BUILD_ID"]) in clicked
    ]
