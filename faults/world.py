"""Workspaces and releases for the scenarios: their rows are made here, their use goes over HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from builds.models import Build, WebhookDelivery
from delivr.effects.models import Effect, IntegrationHealth
from delivr.tenants.models import Role
from delivr.tenants.operations import create_token
from delivr.tests import factories
from delivr.tests.wired import Wired, wire
from faults.clients import Answer, Client
from faults.stack import Stack
from releases.models import Release


@dataclass(frozen=True)
class Workspace:
    wired: Wired
    token: str


def workspaces(stack: Stack, count: int) -> list[Workspace]:
    """New workspaces, each with its connections to the sandbox and a member's token."""
    return [_workspace(stack) for _n in range(count)]


def _workspace(stack: Stack) -> Workspace:
    tenant = factories.TenantFactory()
    user = factories.MembershipFactory(tenant=tenant, role=Role.MEMBER).user
    _row, token = create_token(tenant=tenant, user=user, role=Role.MEMBER)
    wired = wire(tenant, stack.sandbox.url)
    wired.slack.slack_channels = ["C123"]
    wired.slack.save()
    return Workspace(wired, token)


def begin(stack: Stack) -> None:
    """An empty product and an empty sandbox, with room for all builds at once."""
    Release.objects.all().delete()
    for model in (Build, WebhookDelivery, Effect, IntegrationHealth):
        model.objects.all().delete()
    stack.sandbox.ask("POST", "reset")
    for job in ("ios-prod", "android-prod"):
        stack.sandbox.ask("PATCH", f"jenkins/jobs/{job}", {"executors": 10_000, "quietPeriod": 0})


def ends_by_itself(stack: Stack, seconds: float | None) -> None:
    """Builds end after so many seconds; None: only when a scenario ends them."""
    for job in ("ios-prod", "android-prod"):
        stack.sandbox.ask("PATCH", f"jenkins/jobs/{job}", {"autoFinishSeconds": seconds})


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


def waits_of(stack: Stack, clicked: dict[str, float]) -> list[float]:
    """Seconds from each click to the moment that Jenkins queued it."""
    return [
        entry["at"] - clicked[build_id]
        for entry in stack.sandbox.ledger("build.queued")
        if (build_id := entry["parameters"]["DELIVR_BUILD_ID"]) in clicked
    ]
