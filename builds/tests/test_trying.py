"""*Try now*: what a release waits for becomes due at once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from builds.models import Build
from builds.triggering import trigger_builds
from builds.trying import PER_MINUTE
from delivr.audit.models import AuditEvent
from delivr.effects.models import Effect, IntegrationHealth
from delivr.tenants.models import Role
from delivr.tests import factories
from releases.models import Release
from releases.tests.pages import message_of

LATER = timedelta(minutes=10)


@pytest.fixture
def waiting(release: Release) -> Release:
    """A release whose trigger, message and poll wait, as its CI server is not responding."""
    later = timezone.now() + LATER
    [build] = trigger_builds(
        release=release, actor=None, pipeline_id=release.pipelines.first().pipeline_id
    )
    Effect.objects.update(next_at=later)
    Build.objects.update(poll_at=later)
    Release.objects.update(branch_look_at=later)
    IntegrationHealth.objects.create(
        tenant=release.tenant,
        integration_id=build.release_pipeline.pipeline_id,
        failures=5,
        open_until=later,
        rate_limited_until=later,
    )
    return release


def test_everything_that_waits_becomes_due(waiting: Release, api_for: Any) -> None:
    answer = api_for(waiting.tenant, Role.MEMBER).post(f"/api/v1/releases/{waiting.pk}/try-now")
    assert answer.status_code == 202
    now = timezone.now()
    assert Effect.objects.filter(release_id=waiting.pk, next_at__gt=now).count() == 0
    assert Build.objects.get().poll_at <= now
    waiting.refresh_from_db()
    assert waiting.branch_look_at is not None
    assert waiting.branch_look_at <= now
    health = IntegrationHealth.objects.get()
    assert (health.failures, health.open_until) == (5, None)  # the next call probes
    assert health.rate_limited_until is not None  # the server asked for this pause
    assert AuditEvent.objects.filter(action="release.tried_now").count() == 1


def test_a_provider_cannot_be_flooded_by_it(waiting: Release, api_for: Any) -> None:
    path = f"/api/v1/releases/{waiting.pk}/try-now"
    client = api_for(waiting.tenant, Role.MEMBER)
    assert {client.post(path).status_code for _ in range(PER_MINUTE)} == {202}
    later = timezone.now() + LATER
    Effect.objects.update(next_at=later)
    refused = client.post(path)
    assert (refused.status_code, refused.json()["code"]) == (429, "throttled")
    assert set(Effect.objects.values_list("next_at", flat=True)) == {later}


def test_where_nothing_waits_it_says_so(release: Release, api_for: Any, member: Any) -> None:
    Effect.objects.all().delete()
    Release.objects.update(branch_look_at=None)
    release.pipelines.update(build_status="SUCCESS")
    path = f"/releases/{release.pk}/try-now"
    refused = api_for(release.tenant).post(f"/api/v1{path}")
    assert (refused.status_code, refused.json()["code"]) == (409, "nothing_waits")
    assert message_of(member.post(path, follow=True)) == "Nothing is waiting any more."


def test_only_members_of_the_workspace_may(waiting: Release, api_for: Any, as_role: Any) -> None:
    path = f"/releases/{waiting.pk}/try-now"
    assert api_for(factories.TenantFactory()).post(f"/api/v1{path}").status_code == 404
    assert as_role(Role.VIEWER).post(path).status_code == 403
    assert "Try now" not in as_role(Role.VIEWER).get(f"/releases/{waiting.pk}").content.decode()
    assert Effect.objects.filter(next_at__lte=timezone.now()).count() == 0
