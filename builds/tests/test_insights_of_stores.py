"""What insights say of the stores, in the page, the API and nowhere as a zero that is unknown."""

from __future__ import annotations

import csv
import io
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from builds.insights import views
from builds.insights.figures import insights
from builds.insights.tallies import Choice
from builds.models import Build
from delivr.tenants.operations import create_token
from delivr.tests import factories
from releases.models import ReleasePipeline, ReleaseTarget
from submissions.models import Submission

pytestmark = [pytest.mark.django_db, pytest.mark.on_both]


@pytest.fixture
def begun() -> datetime:
    return timezone.now() - timedelta(days=5)


@pytest.fixture
def ios(tenant: Any) -> ReleasePipeline:
    part: ReleasePipeline = factories.ReleasePipelineFactory(release__tenant=tenant, platform="IOS")
    return part


def submission(
    part: ReleasePipeline, begun: datetime, *events: tuple[str, float], review: float | None = None
) -> Submission:
    """One to the App Store; the events are states with the hours since it was begun."""
    app = part.pipeline.target
    target, _new = ReleaseTarget.objects.get_or_create(
        tenant=part.tenant, release=part.release, target=app, store=app.target_type
    )
    took = None if review is None else timedelta(hours=review)
    row = Submission.objects.create(
        tenant=part.tenant,
        release=part.release,
        release_target=target,
        target=app,
        created_at=begun,
        review_took=took,
        is_current=False,
        store_build="1",
    )
    for state, hours in events:
        at = begun + timedelta(hours=hours)
        row.events.create(tenant=part.tenant, state=state, at=at, what=state)
    return row


def test_reviews_rejections_and_rollouts(ios: ReleasePipeline, begun: datetime) -> None:
    submission(ios, begun, ("REJECTED", 2), review=2)
    submission(ios, begun, ("ROLLING_OUT", 10), ("ROLLING_OUT", 30), ("LIVE", 60), review=10)
    submission(ios, begun, ("LIVE", 4), review=4)  # not staged
    submission(ios, begun, ("IN_REVIEW", 1))
    found = insights(ios.tenant, days=30).stores
    assert (found.submissions, found.reviewed, found.rejected) == (4, 3, 1)
    assert (found.rejection_rate, found.reviews, found.rollouts) == (33, 3, 1)
    assert (found.review, found.review_p90) == (timedelta(hours=4), timedelta(hours=10))
    assert found.rollout == timedelta(hours=50)


def test_rollout_that_lasts_is_not_measured(ios: ReleasePipeline, begun: datetime) -> None:
    submission(ios, begun, ("ROLLING_OUT", 10), ("HALTED", 12), review=1)
    assert insights(ios.tenant, days=30).stores.rollout is None


def test_nothing_known_is_null(ios: ReleasePipeline, begun: datetime, api_of: Any) -> None:
    submission(ios, begun)
    shown = api_of().get("/api/v1/insights?days=30").json()
    stores = shown["stores"]
    assert stores["submissions"] == 1
    names = ("reviewSeconds", "reviewP90Seconds", "rolloutSeconds", "rejectionRate")
    assert [stores[name] for name in names] == [None] * 4
    assert shown["figures"]["successRate"] is None
    assert shown["leadTimeSeconds"] is None


@pytest.fixture
def api_of(tenant: Any, owner: Any) -> Any:
    def make() -> Client:
        _row, text = create_token(tenant=tenant, user=owner, name="t", role="VIEWER")
        return Client(headers={"Authorization": f"Bearer {text}"})

    return make


def test_api_filters_and_refuses_what_it_does_not_know(
    ios: ReleasePipeline, begun: datetime, api_of: Any
) -> None:
    submission(ios, begun, review=3)
    client = api_of()

    def got(query: str) -> Any:
        return client.get(f"/api/v1/insights?{query}").json()

    assert got(f"pipelineId={ios.pipeline_id}")["stores"]["reviewSeconds"] == 10_800
    assert [row["platform"] for row in got("platform=IOS")["byStore"]] == ["IOS"]
    assert got("platform=ANDROID")["stores"]["submissions"] == 0
    for wrong in ("days=31", "platform=AMIGA", "pipelineId=pipeline_x"):
        answer = client.get(f"/api/v1/insights?{wrong}")
        assert answer.status_code == 400
        assert wrong.split("=")[0] in answer.json()["errors"]


def test_strange_pipeline_is_refused(ios: ReleasePipeline, api_of: Any) -> None:
    strange = factories.ReleasePipelineFactory().pipeline_id
    assert api_of().get(f"/api/v1/insights?pipelineId={strange}").status_code == 400


def test_thousand_values_of_which_the_page_says_the_number(
    ios: ReleasePipeline, begun: datetime, client_for: Any, owner: Any
) -> None:
    first = submission(ios, begun, review=1)
    columns = ("tenant", "release", "release_target", "target", "created_at", "store_build")
    common = {name: getattr(first, name) for name in columns}
    Submission.objects.bulk_create(
        Submission(**common, is_current=False, review_took=timedelta(minutes=n))
        for n in range(1, 1000)
    )
    text = client_for(owner).get("/insights?days=30").content.decode()
    assert "1000 reviews" in text
    found = insights(ios.tenant, days=30).stores
    assert found.review
    assert abs(found.review / timedelta(minutes=500) - 1) < 0.01


def test_page_without_submissions_says_so(
    ios: ReleasePipeline, client_for: Any, owner: Any
) -> None:
    text = client_for(owner).get("/insights?days=30").content.decode()
    assert "No submission was begun in this period" in text
    assert "Review time" not in text


def test_choice_of_another_platform_has_no_submissions(
    ios: ReleasePipeline, begun: datetime
) -> None:
    submission(ios, begun, review=1)
    found = insights(ios.tenant, days=30, choice=Choice(platform="ANDROID"))
    assert found.stores.submissions == 0
    assert found.by_store == ()


def test_export_has_every_build_once_across_its_pages(
    ios: ReleasePipeline, client_for: Any, owner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "PAGE", 2)
    for attempt in range(1, 8):
        factories.BuildFactory(release_pipeline=ios, status="SUCCESS", attempt=attempt)
    Build.objects.update(created_at=timezone.now() - timedelta(days=1))  # all at once
    export = client_for(owner).get("/insights.csv?days=30").getvalue().decode()
    found = [row["build"] for row in csv.DictReader(io.StringIO(export))]
    assert sorted(found) == sorted(Build.objects.values_list("pk", flat=True))
