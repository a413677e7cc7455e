"""Many past releases are copies, in every row, of releases that were really built."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from builds.demo.many import multiply
from builds.models import Build, BuildEvent, WebhookDelivery
from builds.triggering import trigger_builds
from delivr.effects.models import Effect
from delivr.effects.sweeper import sweep_until_idle
from delivr.tenants.models import Tenant, User
from delivr.tests.wired import Wired
from releases.models import Release, ReleasePipeline, ReleaseStatus, ReleaseTarget

pytestmark = [pytest.mark.django_db, pytest.mark.on_both]


@pytest.fixture
def built(wired: Wired, sandbox: Any, owner: User) -> Release:
    """A release that the sandbox built."""
    release = wired.release(slack=True, jira=True)
    trigger_builds(release=release, actor=owner)
    _look()
    for job in ("ios-prod", "android-prod"):
        for build in sandbox.state.jenkins.builds_of(job):
            sandbox.state.jenkins.finish(job, build.number, "SUCCESS")
    _look()
    release.refresh_from_db()
    assert release.status == ReleaseStatus.BUILD_COMPLETE
    return release


def _look() -> None:
    sweep_until_idle()
    Build.objects.moving().update(poll_at=timezone.now())
    sweep_until_idle()


def test_copies_look_like_what_was_built(
    built: Release, tenant: Tenant, client_for: Any, owner: User
) -> None:
    assert multiply(tenant, 12, now=timezone.now(), say=lambda words: None) == 11
    copies = Release.objects.for_tenant(tenant).exclude(pk=built.pk)
    assert len(set(copies.values_list("version", flat=True))) == 11
    for model, path in ((ReleaseTarget, "release"), (ReleasePipeline, "release")):
        assert model.objects.filter(**{path: built}).count() * 12 == model.objects.count()
    for model in (Build, BuildEvent, WebhookDelivery, Effect):
        assert model.objects.count() % 12 == 0, model
    one = copies.order_by("created_at").first()
    assert one.created_at < built.created_at
    for build in Build.objects.filter(release_pipeline__release=one):
        assert build.created_at <= build.started_at <= build.finished_at
        assert build.parameters["VERSION"] == one.version
        assert build.parameters["DELIVR_BUILD_ID"] == build.pk
        assert str(build.number) in build.url
        assert build.release_pipeline.build_number == build.number
    numbers = Build.objects.values_list("release_pipeline__job_path", "number")
    assert len(set(numbers)) == len(numbers)
    assert not Effect.objects.open().exists()
    assert not Build.objects.moving().exists()
    page: Client = client_for(owner)
    assert one.version in page.get(f"/releases/{one.pk}").content.decode()


def test_copies_cost_few_queries_and_are_made_once(built: Release, tenant: Tenant) -> None:
    def count(wanted: int) -> int:
        with CaptureQueriesContext(connection) as queries:
            multiply(tenant, wanted, now=timezone.now(), say=lambda words: None)
        return len(queries)

    few, many = count(5), count(25)
    assert many - few < 20, "less than one more for each release"
    assert multiply(tenant, 25, now=timezone.now(), say=lambda words: None) == 0


def test_there_is_something_to_copy(tenant: Tenant) -> None:
    with pytest.raises(ValueError, match="no finished release"):
        multiply(tenant, 3, now=timezone.now(), say=lambda words: None)
