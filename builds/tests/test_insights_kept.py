"""Days whose figures are kept: always what counting them again would give (PostgreSQL)."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection

from builds.insights import keeping
from builds.insights.counting import DAY, count_days, day_of
from builds.insights.figures import insights
from builds.insights.keeping import due, keep, tallies_since
from builds.insights.tallies import ALL, Choice
from builds.models import Build, InsightsDay, InsightsKept, InsightsNote
from delivr.effects import clock
from delivr.tenants.models import Tenant
from delivr.tests import factories
from releases.models import Release, ReleasePipeline

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.on_postgresql]


def built(tenant: Tenant, at: datetime, *statuses: str) -> ReleasePipeline:
    """A release of that time, whose only pipeline was built with these results, hour by hour."""
    release = factories.ReleaseFactory(tenant=tenant)
    Release.objects.filter(pk=release.pk).update(created_at=at)
    part: ReleasePipeline = factories.ReleasePipelineFactory(release=release)
    for n, status in enumerate(statuses):
        add_build(part, at + timedelta(hours=n), status, n + 1)
    return part


def add_build(part: ReleasePipeline, at: datetime, status: str, attempt: int) -> Build:
    row: Build = factories.BuildFactory(release_pipeline=part, status=status, attempt=attempt)
    times = {"started_at": at + timedelta(minutes=1), "finished_at": at + timedelta(minutes=21)}
    Build.objects.filter(pk=row.pk).update(created_at=at, **times)
    return row


@pytest.fixture
def old(tenant: Tenant) -> datetime:
    return clock.now().replace(hour=3) - timedelta(days=20)


def period(tenant: Tenant, choice: Choice = ALL) -> tuple[Any, Any]:
    """What a page reads of the longest period, and what counting gives: they must be equal."""
    today = day_of(clock.now())
    days = [today - n * DAY for n in range(366)]
    counted = count_days(tenant, days)
    read = tallies_since(tenant, days[-1], today, choice)
    return read, {key: counted[key] for key in read}


def test_kept_days_are_what_counting_gives(tenant: Tenant, old: datetime) -> None:
    part = built(tenant, old, "FAILURE", "FAILURE", "SUCCESS")
    built(tenant, old - timedelta(days=40), "SUCCESS")
    built(tenant, clock.now(), "SUCCESS")
    before = insights(tenant, days=365)
    keep(tenant.pk)
    assert tenant.pk not in due()
    assert InsightsDay.objects.for_tenant(tenant).count() == 8  # two days, of four choices each
    assert insights(tenant, days=365) == before
    for choice in (ALL, Choice("IOS"), Choice("", part.pipeline_id), Choice("ANDROID")):
        read, counted = period(tenant, choice)
        assert read == counted


def test_what_is_kept_is_read_and_not_counted(tenant: Tenant, old: datetime) -> None:
    built(tenant, old, "SUCCESS")
    keep(tenant.pk)
    InsightsDay.objects.for_tenant(tenant).filter(platform="", pipeline_key="").update(
        tally={"counts": {"builds": 7}}
    )
    assert insights(tenant, days=30).figures.builds == 7


@pytest.mark.parametrize("does_keep", [False, True])
def test_late_result_counts_at_once_and_after_the_job(
    tenant: Tenant, old: datetime, does_keep: bool
) -> None:
    part = built(tenant, old, "RUNNING")
    keep(tenant.pk)
    assert insights(tenant, days=30).figures.succeeded == 0
    Build.objects.for_tenant(tenant).update(status="SUCCESS")
    retry = add_build(part, clock.now(), "SUCCESS", 2)
    if does_keep:
        assert tenant.pk in due()
        keep(tenant.pk)
        assert not InsightsNote.objects.filter(tenant_key=tenant.pk).exists()
    found = insights(tenant, days=30)
    assert (found.figures.succeeded, found.figures.retries, found.ready) == (2, 1, 1)
    Build.objects.filter(pk=retry.pk).delete()
    assert insights(tenant, days=30).figures.retries == 0


@pytest.mark.parametrize("does_keep", [False, True])
def test_what_is_deleted_counts_no_more(tenant: Tenant, old: datetime, does_keep: bool) -> None:
    part = built(tenant, old, "SUCCESS")
    keep(tenant.pk)
    Release.objects.filter(pk=part.release_id).delete()
    if does_keep:
        keep(tenant.pk)
    found = insights(tenant, days=30)
    assert (found.releases, found.figures.builds) == (0, 0)


def test_change_that_commits_while_the_job_counts_is_not_missed(
    tenant: Tenant, old: datetime
) -> None:
    built(tenant, old, "RUNNING")
    settings = connection.settings_dict
    with psycopg.connect(
        dbname=settings["NAME"], host=settings["HOST"], port=settings["PORT"], user=settings["USER"]
    ) as other:
        other.execute("UPDATE builds SET status = 'SUCCESS'")
        keep(tenant.pk)  # neither waits nor sees it
        assert insights(tenant, days=30).figures.succeeded == 0
    assert insights(tenant, days=30).figures.succeeded == 1
    keep(tenant.pk)
    assert insights(tenant, days=30).figures.succeeded == 1


def test_keeping_again_changes_nothing(tenant: Tenant, old: datetime) -> None:
    built(tenant, old, "FAILURE", "SUCCESS")
    keep(tenant.pk)
    rows = list(InsightsDay.objects.order_by("day", "platform").values_list("day", "tally"))
    InsightsNote.objects.create(tenant_key=tenant.pk, day=old.date())
    keep(tenant.pk)
    assert list(InsightsDay.objects.order_by("day", "platform").values_list("day", "tally")) == rows


def test_new_days_are_kept_and_the_oldest_are_dropped(
    tenant: Tenant, old: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    built(tenant, old, "SUCCESS")
    keep(tenant.pk)
    later = old.date() + timedelta(days=366)
    monkeypatch.setattr(keeping, "_newest", lambda: later)
    assert tenant.pk in due()
    keep(tenant.pk)
    assert InsightsKept.objects.get(tenant=tenant).until == later
    assert not InsightsDay.objects.for_tenant(tenant).exists()


def test_workspaces_are_kept_apart(tenant: Tenant, old: datetime) -> None:
    stranger = factories.TenantFactory()
    built(stranger, old, "SUCCESS")
    keep(stranger.pk)
    keep(tenant.pk)
    assert insights(tenant, days=30).figures.builds == 0
    assert not InsightsDay.objects.for_tenant(tenant).exists()


def test_notes_of_a_workspace_that_is_gone_are_deleted() -> None:
    InsightsNote.objects.create(tenant_key="gone", day=date(2026, 1, 1))
    assert "gone" in due()
    keep("gone")
    assert not InsightsNote.objects.filter(tenant_key="gone").exists()
