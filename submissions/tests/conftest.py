"""Fixtures that the tests of submissions share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction

from delivr.effects.models import Effect
from delivr.effects.runner import run_effect
from delivr.tenants.models import Role
from integrations.providers import registry
from releases.models import Release, ReleasePipeline
from releases.operations import recompute
from releases.tests.pages import Setup
from submissions.models import Submission
from submissions.operations import submit
from submissions.plans import Wishes
from submissions.tests.app_store.provider import FakeStore


@pytest.fixture
def setup(tenant: Any) -> Setup:
    return Setup(tenant)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[FakeStore]]:
    """The fake in place of the store of iOS."""
    path = "submissions.tests.app_store.provider.FakeStore"
    monkeypatch.setitem(registry.PROVIDERS, ("targets", "APP_STORE"), path)
    registry.provider_class.cache_clear()
    FakeStore.reset()
    yield FakeStore
    registry.provider_class.cache_clear()


@pytest.fixture
def release(setup: Setup) -> Release:
    """One whose builds are complete."""
    release = setup.release()
    complete(release)
    return release


@transaction.atomic
def complete(release: Release) -> None:
    parts = ReleasePipeline.objects.filter(release=release)
    parts.update(build_status="SUCCESS", build_number=245, triggered=True)
    recompute(release, cause="test")
    release.refresh_from_db()


@pytest.fixture
def submitted(store: type[FakeStore], setup: Setup, release: Release) -> Submission:
    """One whose first effect is still to be sent."""
    wishes = Wishes(shares=[5, 20, 100])
    return submit(release=release, actor=None, target_id=setup.ios.pk, wishes=wishes)


@pytest.fixture
def member(tenant: Any, member_of: Any, client_for: Any) -> Any:
    return client_for(member_of(tenant, Role.MEMBER))


def effects_of(submission: Submission) -> list[Effect]:
    rows = Effect.objects.filter(payload__submission=submission.pk)
    return list(rows.order_by("created_at", "pk"))


def run_all(submission: Submission) -> None:
    """Run what is due until nothing is."""
    for _ in range(20):
        due = [effect for effect in effects_of(submission) if effect.is_open]
        if not due:
            return
        for effect in due:
            Effect.objects.filter(pk=effect.pk).update(next_at=effect.created_at)
            run_effect(effect.pk)
    stuck = [(e.kind, e.payload, e.state, e.last_error) for e in effects_of(submission)]
    raise AssertionError(f"it never ends: {stuck}")
