"""Workspaces and releases for the scenarios: rows are created here, but used over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F

from builds.models import Build, WebhookDelivery
from delivr.effects.models import Effect, IntegrationHealth
from delivr.tenants.models import Role
from delivr.tenants.operations import create_token
from delivr.tests import factories
from delivr.tests.wired import Wired, wire
from faults.clients import Answer, Client
from faults.stack import Product, until
from releases.models import Release
from releases.repository.models import ReleaseSettings
from releases.repository.steps import STEPS
from submissions.models import Preflight, StoreLock, Submission


@dataclass(frozen=True)
class Workspace:
    wired: Wired
    token: str


def workspaces(
    stack: Product, count: int, *, connect: Callable[..., Wired] = wire
) -> list[Workspace]:
    """Create workspaces, each with connections to the sandbox and a member's token. `connect`
    decides which CI server builds."""
    return [_workspace(stack, connect) for _n in range(count)]


def _workspace(stack: Product, connect: Callable[..., Wired]) -> Workspace:
    tenant = factories.TenantFactory()
    user = factories.MembershipFactory(tenant=tenant, role=Role.MEMBER).user
    _row, token = create_token(tenant=tenant, user=user, role=Role.MEMBER)
    wired = connect(tenant, stack.sandbox.url)
    wired.slack.recipients = ["C123"]
    wired.slack.save()
    return Workspace(wired, token)


def use_repository(space: Workspace, *, first: int) -> None:
    """New releases create their branch, tag and draft. Their versions begin after 1.5.`first`: the
    sandbox has one repository for all workspaces."""
    ReleaseSettings.objects.create(tenant=space.wired.tenant, **dict.fromkeys(STEPS, True))
    space.wired.versions = first


def reset(stack: Product) -> None:
    """Empty the product and the sandbox, whose jobs get executors for all builds at once."""
    until(_empty, seconds=60, what="the workers have written their last rows")
    stack.sandbox.ask("POST", "reset")
    for job in ("ios-prod", "android-prod"):
        stack.sandbox.ask("PATCH", f"jenkins/jobs/{job}", {"executors": 10_000, "quietPeriod": 0})


def _empty() -> bool:
    """False if a worker wrote a row about a build while it was being deleted."""
    try:
        with transaction.atomic():
            Release.objects.all().delete()
            for model in (Build, WebhookDelivery, Effect, IntegrationHealth):
                model.objects.all().delete()
    except IntegrityError:
        return False
    return True


def set_auto_finish(stack: Product, seconds: float | None) -> None:
    """Let builds end after so many seconds; None: only when a scenario ends them."""
    for job in ("jenkins/jobs/ios-prod", "jenkins/jobs/android-prod"):
        stack.sandbox.ask("PATCH", job, {"autoFinishSeconds": seconds})
    for job in (
        "github_actions/jobs/ios.yml",
        "github_actions/jobs/android.yml",
        "webhook/jobs/ios",
        "webhook/jobs/android",
    ):
        stack.sandbox.ask("PATCH", job, {"autoFinishSeconds": seconds})
    stack.sandbox.ask("PATCH", "gitlab_ci/jobs/", {"autoFinishSeconds": seconds})


TIMES: Sequence[tuple[Any, Sequence[str]]] = (
    (
        Effect,
        ("created_at", "next_at", "expires_at", "lease_until", "dispatched_at", "enqueued_at"),
    ),
    (Build, ("created_at", "poll_at")),
    (WebhookDelivery, ("received_at", "next_at")),
    (IntegrationHealth, ("open_until", "rate_limited_until")),
    (StoreLock, ("held_until",)),
    (Submission, ("read_at",)),
    (Preflight, ("look_at",)),
)


def age_rows(by: timedelta) -> None:
    """Shift the times in every row into the past. No worker may be running: a lease that expires
    like this means that its holder is gone."""
    for model, names in TIMES:
        model.objects.update(**{name: F(name) - by for name in names})


def open_work() -> int:
    """The number of effects, builds and deliveries that are not settled yet."""
    counts: list[Any] = [
        Effect.objects.open().count(),
        Build.objects.moving().count(),
        WebhookDelivery.objects.waiting().count(),
    ]
    return sum(counts)


def click(client: Client, space: Workspace, release: Release, **body: Any) -> Answer:
    return client.api(space.token, "POST", f"releases/{release.pk}/builds", body)


def click_delays(stack: Product, clicked: dict[str, float]) -> list[float]:
    """Seconds from each click until Jenkins queued its build."""
    return [
        entry["at"] - clicked[build_id]
        for entry in stack.sandbox.ledger("build.queued")
        if (build_id := entry["parameters"]["DELIVR_BUILD_ID"]) in clicked
    ]
