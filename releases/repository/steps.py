"""The steps in the repository: a workspace's defaults, and what a new release asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from delivr.audit.operations import difference, record
from delivr.tenants.models import Tenant, User
from delivr.tenants.roles import lock_tenant
from releases.repository.models import ReleaseSettings, RepositoryPart

STEPS = ("creates_branch", "makes_tag", "drafts_release")


@dataclass(frozen=True)
class Wishes:
    """What a new release asks for: the base of its branch ("" for the default branch), and the
    steps in the repository and in the ticket system that differ from the workspace's defaults."""

    base_branch: str = ""
    steps: Mapping[str, bool] = field(default_factory=dict)
    ticket_steps: Mapping[str, Any] = field(default_factory=dict)


NO_WISHES = Wishes()


def settings_of(tenant: Tenant) -> ReleaseSettings:
    """The workspace's settings; unsaved defaults if it has none."""
    found: ReleaseSettings | None = ReleaseSettings.objects.for_tenant(tenant).first()
    return found or ReleaseSettings(tenant=tenant)


def steps_of(row: ReleaseSettings | RepositoryPart) -> dict[str, bool]:
    return {name: getattr(row, name) for name in STEPS}


@transaction.atomic
def change_settings(*, tenant: Tenant, actor: User, steps: Mapping[str, Any]) -> ReleaseSettings:
    """Change the defaults for new releases, of the repository and of the ticket system; existing
    releases keep their own settings."""
    lock_tenant(tenant, actor=None)
    row = settings_of(tenant)
    changes = difference({name: getattr(row, name) for name in steps}, dict(steps))
    if not changes:
        return row
    for name, value in steps.items():
        setattr(row, name, value)
    row.save()
    record(
        tenant=tenant,
        actor=actor,
        action="tenant.release_settings",
        subject=tenant,
        changes=changes,
    )
    return row


def draft_part(tenant: Tenant, defaults: ReleaseSettings, wishes: Wishes) -> RepositoryPart:
    """The repository's part of a new release, not saved."""
    steps = steps_of(defaults) | dict(wishes.steps)
    return RepositoryPart(tenant=tenant, base_branch=wishes.base_branch, **steps)
