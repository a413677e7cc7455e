"""The figures of a workspace: what counts, what does not, and what the page and export show."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from builds.insights.charts import Column, Part, chart
from builds.insights.figures import insights, monday
from builds.insights.tallies import Choice, Tally
from builds.models import Build, Source
from delivr.tenants.models import Role
from delivr.tests import factories
from releases.models import Release, ReleasePipeline

pytestmark = [pytest.mark.django_db, pytest.mark.on_both]
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)  # a Wednesday


@pytest.fixture
def pipeline(tenant: Any) -> ReleasePipeline:
    release = factories.ReleaseFactory(tenant=tenant)
    Release.objects.filter(pk=release.pk).update(created_at=NOW - timedelta(days=3))
    return factories.ReleasePipelineFactory(release=release)


def build(
    pipeline: ReleasePipeline, status: str, *, after: float, queue: float = 1, took: float = 10
) -> Build:
    """A build triggered `after` minutes into the third day before NOW; times in minutes."""
    attempt = pipeline.builds.count() + 1  # type: ignore[attr-defined]
    row = factories.BuildFactory(release_pipeline=pipeline, status=status, attempt=attempt)
    at = NOW - timedelta(days=3) + timedelta(minutes=after)
    started = at + timedelta(minutes=queue)
    ended = started + timedelta(minutes=took)
    Build.objects.filter(pk=row.pk).update(created_at=at, started_at=started, finished_at=ended)
    return Build.objects.get(pk=row.pk)


def test_rates_and_retries_count_what_ended_at_the_server(pipeline: ReleasePipeline) -> None:
    for number, status in enumerate(("FAILURE", "CANCELLED", "TRIGGER_FAILED", "SUCCESS")):
        build(pipeline, status, after=number * 30)
    found = insights(pipeline.tenant, days=30, now=NOW).figures
    assert (found.builds, found.ended, found.succeeded, found.retries) == (4, 2, 1, 3)
    assert found.success_rate == 50


def test_durations_are_those_of_successes_and_queue_times_of_all(
    pipeline: ReleasePipeline,
) -> None:
    build(pipeline, "FAILURE", after=0, queue=9, took=100)
    build(pipeline, "SUCCESS", after=200, queue=1, took=20)
    found = insights(pipeline.tenant, days=30, now=NOW).figures
    assert found.duration == found.duration_p90 == timedelta(minutes=20)
    assert found.queue == timedelta(minutes=5)


def test_recovery_runs_from_the_first_failure_to_the_next_success(
    pipeline: ReleasePipeline,
) -> None:
    build(pipeline, "FAILURE", after=0)  # ends after 11 minutes
    build(pipeline, "UNSTABLE", after=30)
    build(pipeline, "CANCELLED", after=40)
    build(pipeline, "SUCCESS", after=60)  # ends after 71
    found = insights(pipeline.tenant, days=30, now=NOW).figures
    assert found.recovery == timedelta(minutes=60)


def test_lead_time_is_that_of_the_releases_that_got_ready(
    tenant: Any, pipeline: ReleasePipeline
) -> None:
    created = NOW - timedelta(days=3)
    Release.objects.filter(pk=pipeline.release_id).update(completed_at=created + timedelta(hours=2))
    factories.ReleaseFactory(tenant=tenant)
    found = insights(tenant, days=30, now=timezone.now())
    assert (found.releases, found.ready, found.lead_time) == (2, 1, timedelta(hours=2))


def test_a_result_counts_once_by_its_last_source(pipeline: ReleasePipeline) -> None:
    for source in (Source.WEBHOOK, Source.POLL, Source.POLL):
        row = build(pipeline, "SUCCESS", after=0)
        same = {"build": row, "tenant": row.tenant, "from_status": "RUNNING", "applied": True}
        row.events.create(**same, to_status="RUNNING", source=Source.WEBHOOK)
        row.events.create(**same, to_status="SUCCESS", source=source)
    found = insights(pipeline.tenant, days=365)
    assert (found.by_webhook, found.by_poll, found.webhook_share) == (1, 2, 33)


@pytest.mark.parametrize("first", [Source.WEBHOOK, Source.POLL])
def test_what_is_filled_in_after_a_result_does_not_change_its_source(
    pipeline: ReleasePipeline, first: Source
) -> None:
    row = build(pipeline, "SUCCESS", after=0)
    second = Source.POLL if first == Source.WEBHOOK else Source.WEBHOOK
    for before, source in (("RUNNING", first), ("SUCCESS", second)):
        row.events.create(
            tenant=row.tenant, from_status=before, to_status="SUCCESS", source=source, applied=True
        )
    found = insights(pipeline.tenant, days=365)
    assert (found.by_webhook, found.by_poll) == ((1, 0) if first == Source.WEBHOOK else (0, 1))


def test_what_lies_before_the_period_or_elsewhere_does_not_count(
    pipeline: ReleasePipeline,
) -> None:
    build(pipeline, "SUCCESS", after=0)
    assert insights(pipeline.tenant, days=30, now=NOW + timedelta(days=60)).figures.builds == 0
    stranger = factories.TenantFactory()
    assert insights(stranger, days=365, now=NOW).figures.builds == 0


def test_every_week_is_there_and_begins_on_monday(pipeline: ReleasePipeline) -> None:
    build(pipeline, "SUCCESS", after=0)
    weeks = insights(pipeline.tenant, days=30, now=NOW).weeks
    assert [week.begin.weekday() for week in weeks] == [0] * 5
    assert weeks[-1].begin == monday(NOW.date()) == date(2026, 11, 23)
    assert [week.figures.builds for week in weeks] == [0, 0, 0, 1, 0]


@pytest.fixture
def android(pipeline: ReleasePipeline) -> ReleasePipeline:
    """Another pipeline of the same release."""
    return factories.ReleasePipelineFactory(
        release=pipeline.release, pipeline__tenant=pipeline.tenant, platform="ANDROID"
    )


def test_only_chosen_builds_count(pipeline: ReleasePipeline, android: ReleasePipeline) -> None:
    build(pipeline, "FAILURE", after=0)
    row = build(android, "SUCCESS", after=0, took=20)
    row.events.create(
        tenant=row.tenant,
        from_status="RUNNING",
        to_status="SUCCESS",
        applied=True,
        source=Source.WEBHOOK,
    )
    for choice in (Choice(platform="ANDROID"), Choice(pipeline=android.pipeline_id)):
        found = insights(pipeline.tenant, days=365, choice=choice)
        assert (found.figures.builds, found.figures.success_rate) == (1, 100)
        assert [p.platform for p in found.pipelines] == ["ANDROID"]
        assert found.by_webhook == 1
    other = insights(pipeline.tenant, days=365, choice=Choice(platform="IOS"))
    assert (other.figures.builds, other.figures.success_rate, other.by_webhook) == (1, 0, 0)


def test_lead_time_of_a_choice_ends_with_the_chosen_builds(
    tenant: Any, pipeline: ReleasePipeline, android: ReleasePipeline
) -> None:
    build(pipeline, "FAILURE", after=0)
    build(android, "SUCCESS", after=20, queue=1, took=20)
    factories.ReleaseFactory(tenant=tenant)  # without any pipeline
    whole = insights(tenant, days=365, now=timezone.now())
    assert (whole.releases, whole.ready) == (2, 0)
    chosen = insights(tenant, days=365, choice=Choice(platform="ANDROID"), now=timezone.now())
    assert (chosen.releases, chosen.ready) == (1, 1)
    assert chosen.lead_time == timedelta(minutes=41)


def test_page_and_export_are_filtered_alike(
    tenant: Any, pipeline: ReleasePipeline, android: ReleasePipeline, client_for: Any, owner: Any
) -> None:
    build(pipeline, "SUCCESS", after=0)
    mine = build(android, "SUCCESS", after=0)
    client = client_for(owner)
    chosen = f"days=365&platform=ANDROID&pipeline={android.pipeline_id}"
    page = client.get(f"/insights?{chosen}")
    assert page.context["shown"].figures.builds == 1
    assert page.context["csv_url"] == f"/insights.csv?{chosen}"
    assert f"?{chosen}".replace("&", "&amp;").replace("365", "30") in page.content.decode()
    export = client.get(page.context["csv_url"]).getvalue().decode()
    assert [row["build"] for row in csv.DictReader(io.StringIO(export))] == [mine.pk]


def test_pipeline_of_another_workspace_is_no_choice(
    pipeline: ReleasePipeline, client_for: Any, owner: Any
) -> None:
    build(pipeline, "SUCCESS", after=0)
    strange = factories.ReleasePipelineFactory().pipeline
    page = client_for(owner).get(f"/insights?days=365&pipeline={strange.pk}&platform=AMIGA")
    assert page.context["choice"] == Choice()
    assert strange.pk not in page.content.decode()


def test_medians_and_percentiles() -> None:
    tally = Tally()
    for seconds in (1, 2, 3, 4, 100):
        tally.add_length("queue", timedelta(seconds=seconds))
    assert tally.median("queue") == timedelta(seconds=3)
    assert tally.percentile("queue", 0.8) == timedelta(seconds=4)
    assert tally.percentile("queue", 0.9) == timedelta(seconds=100)
    assert Tally().median("queue") is Tally().percentile("queue", 0.5) is None


@pytest.mark.parametrize("top", [1, 3, 7, 12, 95, 640, 0.4])
def test_lines_of_a_chart_are_few_round_and_reach_the_top(top: float) -> None:
    drawn = chart([Column("a", (Part(top, "accent"),)), Column("b", ())])
    values = [float(line.words) for line in drawn.lines]
    assert 2 <= len(values) <= 7
    assert values[0] == 0
    assert values[-1] >= top
    (bar,) = drawn.bars
    assert bar.y + bar.height == pytest.approx(drawn.base)
    assert bar.y >= drawn.lines[-1].at - 0.11


def test_every_column_has_a_tooltip_over_its_full_height() -> None:
    drawn = chart([Column("a", (Part(0.001, "accent"),), "a: 0"), Column("b", (), "b: –")])
    assert [place.words for place in drawn.places] == ["a: 0", "b: –"]
    assert drawn.places[0].x + drawn.places[0].width == pytest.approx(drawn.places[1].x)


def test_smallest_bar_is_visible_and_parts_are_separated() -> None:
    lower, upper, small = chart(
        [
            Column("a", (Part(99, "success"), Part(99, "danger"))),
            Column("b", (Part(0.01, "accent"),)),
        ]
    ).bars
    assert small.height >= 1
    assert upper.y + upper.height < lower.y


def test_few_columns_are_not_too_wide() -> None:
    (bar,) = chart([Column("a", (Part(1, "accent"),))]).bars
    assert bar.width <= 44


@pytest.mark.parametrize(
    ("minutes", "unit"), [(1, " s"), (2, " min"), (89, " min"), (90, " h"), (4000, " d")]
)
def test_axis_has_a_fitting_unit(
    tenant: Any, pipeline: ReleasePipeline, client_for: Any, owner: Any, minutes: int, unit: str
) -> None:
    build(pipeline, "SUCCESS", after=0, took=minutes)
    charts = client_for(owner).get("/insights?days=365").context["charts"]
    (lines,) = (item["chart"].lines for item in charts if item["id"] == "chart-duration")
    assert lines[0].words == f"0{unit}"


def test_chart_of_nothing_is_empty() -> None:
    assert chart([]).is_empty
    assert chart([Column("a", (Part(0, "accent"),))]).is_empty


def test_page_says_what_the_figures_are(
    tenant: Any, pipeline: ReleasePipeline, client_for: Any, member_of: Any
) -> None:
    build(pipeline, "SUCCESS", after=0, took=25)
    page = client_for(member_of(tenant, Role.VIEWER)).get("/insights?days=365")
    text = page.content.decode()
    assert "25 min" in text
    assert text.count('class="figure"') == 8  # complete rows
    assert "Median time from start to finish of builds that succeeded" in text
    assert text.count('role="img"') >= 1


def test_workspace_without_releases_is_led_to_its_first(
    tenant: Any, client_for: Any, owner: Any, member_of: Any
) -> None:
    text = client_for(owner).get("/insights?days=nonsense").content.decode()
    assert "No data yet" in text
    assert 'href="/setup"' in text.partition('class="empty"')[2]
    assert "/insights.csv" not in text  # it would be empty
    seen = client_for(member_of(tenant, Role.VIEWER)).get("/insights").content.decode()
    assert "A member of the workspace can create one" in seen
    assert 'href="/releases/new"' not in seen


def test_empty_period_leads_to_the_longest(
    pipeline: ReleasePipeline, client_for: Any, owner: Any
) -> None:
    Release.objects.filter(pk=pipeline.release_id).update(created_at=NOW - timedelta(days=900))
    client = client_for(owner)
    text = client.get("/insights?days=30").content.decode()
    assert "No activity in this period" in text
    assert 'href="?days=365"' in text.partition('class="empty"')[2]
    text = client.get("/insights?days=365").content.decode()
    assert "No release was created" in text
    assert 'href="?days=365"' not in text.partition('class="empty"')[2]


def test_queries_do_not_grow_with_the_builds(
    tenant: Any, pipeline: ReleasePipeline, client_for: Any, owner: Any
) -> None:
    client = client_for(owner)

    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            client.get("/insights?days=365")
        return len(queries)

    build(pipeline, "SUCCESS", after=0)
    few = count()
    for number in range(1, 30):
        build(pipeline, "FAILURE", after=number)
    assert count() == few


def test_export_holds_every_build_and_no_formula(
    tenant: Any, pipeline: ReleasePipeline, client_for: Any, owner: Any
) -> None:
    Release.objects.filter(pk=pipeline.release_id).update(version="=1+1")
    build(pipeline, "SUCCESS", after=0, queue=2, took=3)
    factories.BuildFactory()  # another workspace's
    answer = client_for(owner).get("/insights.csv?days=365")
    rows = list(csv.DictReader(io.StringIO(answer.getvalue().decode())))
    assert len(rows) == 1
    assert rows[0]["version"] == "'=1+1"
    assert rows[0]["pipeline_name"] == str(pipeline.pipeline)
    assert (rows[0]["queue_seconds"], rows[0]["duration_seconds"]) == ("120.0", "180.0")
    assert "attachment" in answer["Content-Disposition"]
