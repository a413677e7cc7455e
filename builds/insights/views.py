"""The insights page and its CSV export."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any
from urllib.parse import urlencode

from django.db.models import Exists, OuterRef, Q
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_GET

from builds.insights.charts import Column, Part, chart
from builds.insights.counting import BuildRow, beginning, build_rows, day_of
from builds.insights.figures import PERIODS, Insights, Week, insights
from builds.insights.tallies import Choice
from builds.models import Build
from delivr.effects import clock
from delivr.pages.spreadsheet import Columns, csv_lines
from delivr.templatetags.ui import duration
from delivr.tenants.decorators import tenant_required
from delivr.tenants.middleware import TenantRequest
from delivr.tenants.models import Tenant
from integrations.choices import Platform
from integrations.models import PipelineIntegration
from integrations.setup import is_complete
from releases.models import Release, ReleasePipeline

DEFAULT_PERIOD = PERIODS[1]
PAGE = 1000  # lines of the export that are read at once
UNITS: tuple[tuple[timedelta, str | Promise], ...] = (
    (timedelta(days=1), gettext_lazy(" d")),
    (timedelta(hours=1), gettext_lazy(" h")),
    (timedelta(minutes=1), gettext_lazy(" min")),
    (timedelta(seconds=1), gettext_lazy(" s")),
)


@require_GET
@tenant_required()
def insights_page(request: TenantRequest) -> HttpResponse:
    days, names = _days(request), _pipelines(request.tenant)
    choice = _choice(request, names)
    shown = insights(request.tenant, days=days, choice=choice)
    is_empty = not (shown.releases or shown.figures.builds or shown.stores.submissions)
    context = {
        "shown": shown,
        "is_empty": is_empty,
        "has_releases": not is_empty or Release.objects.for_tenant(request.tenant).exists(),
        "needs_setup": is_empty and not is_complete(request.tenant),
        "longest": str(PERIODS[-1]) if days != PERIODS[-1] else None,
        "periods": _periods(days, choice),
        "charts": _charts(shown),
        "store_charts": _store_charts(shown) if shown.stores.submissions else [],
        "csv_url": f"{reverse('insights_csv')}?{_query(days, choice)}",
        "choice": choice,
        "platforms": Platform.choices,
        "pipelines": sorted(names.items(), key=lambda row: row[1].lower()),
    }
    return render(request, "insights/page.html", context)


@require_GET
@tenant_required()
def insights_csv(request: TenantRequest) -> StreamingHttpResponse:
    """All chosen builds of the period, one per line."""
    days, names = _days(request), _pipelines(request.tenant)
    since = beginning(day_of(clock.now()) - timedelta(days=days))
    lines = csv_lines(_columns(names), _builds(request.tenant, since, _choice(request, names)))
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="builds-{days}-days.csv"'
    return response


def _builds(tenant: Tenant, since: datetime, choice: Choice) -> Iterator[BuildRow]:
    """The chosen builds, oldest first. Page by page, so that memory does not grow with the file;
    each page begins where the one before ended."""
    wanted = {"platform": choice.platform, "pipeline_id": choice.pipeline}
    chosen = {f"release_pipeline__{name}": value for name, value in wanted.items() if value}
    rows = Build.objects.for_tenant(tenant).filter(**chosen)
    after = Q(created_at__gte=since)
    while page := [BuildRow(*row) for row in build_rows(rows.filter(after))[:PAGE]]:
        yield from page
        last = page[-1]
        after = Q(created_at__gte=last.created_at) & (
            Q(created_at__gt=last.created_at) | Q(pk__gt=last.id)
        )


def _days(request: HttpRequest) -> int:
    text = request.GET.get("days", "")
    return next((days for days in PERIODS if str(days) == text), DEFAULT_PERIOD)


def _pipelines(tenant: Tenant) -> dict[str, str]:
    """The names of all pipelines that were ever part of a release, also of disconnected ones."""
    used = ReleasePipeline.objects.filter(pipeline=OuterRef("pk"))
    rows = PipelineIntegration.objects.filter(Exists(used), tenant=tenant)
    return {row.pk: str(row) for row in rows}


def _choice(request: HttpRequest, pipelines: dict[str, str]) -> Choice:
    """The URL's filters; values that are unknown in this workspace are left out."""
    platform, pipeline = request.GET.get("platform", ""), request.GET.get("pipeline", "")
    return Choice(
        platform=platform if platform in Platform.values else "",
        pipeline=pipeline if pipeline in pipelines else "",
    )


def _query(days: int, choice: Choice) -> str:
    given = {"days": days, "platform": choice.platform, "pipeline": choice.pipeline}
    return urlencode({name: value for name, value in given.items() if value})


def _periods(current: int, choice: Choice) -> list[dict[str, Any]]:
    return [
        {
            "label": ngettext("%d day", "%d days", days) % days,
            "href": f"?{_query(days, choice)}",
            "current": days == current,
        }
        for days in PERIODS
    ]


def _columns(names: dict[str, str]) -> Columns:
    """The columns of the CSV file; `names` are the pipelines' names by id."""
    return {
        "build": attrgetter("id"),
        **{name: attrgetter(name) for name in ("release", "version", "platform", "pipeline")},
        **{name: attrgetter(name) for name in ("attempt", "number", "status")},
        "triggered_at": lambda row: row.created_at.isoformat(),
        "started_at": lambda row: row.started_at and row.started_at.isoformat(),
        "finished_at": lambda row: row.finished_at and row.finished_at.isoformat(),
        "queue_seconds": lambda row: _seconds(row.queue_time),
        "duration_seconds": lambda row: _seconds(row.duration),
        "pipeline_name": lambda row: names.get(row.pipeline, ""),
    }


def _seconds(length: timedelta | None) -> float | None:
    return None if length is None else round(length.total_seconds(), 1)


# --- Charts --------------------------------------------------------------------------------------


def _charts(shown: Insights) -> list[dict[str, Any]]:
    """The charts of builds and releases, each with its title, its definition and its values."""
    return [
        _parts(
            shown,
            "chart-builds",
            _("Builds by week"),
            _("How the builds triggered each week finished on the CI server."),
            [_("Succeeded"), _("Did not succeed")],
            lambda week: (week.figures.succeeded, week.figures.failed),
        ),
        _lengths(
            shown,
            "chart-duration",
            _("Build duration by week"),
            _("Median time from start to finish of builds that succeeded."),
            lambda week: week.figures.duration,
        ),
        _lengths(
            shown,
            "chart-lead",
            _("Lead time by week"),
            _("Median time from a release's creation until it was ready, by week of creation."),
            lambda week: week.lead_time,
        ),
    ]


def _store_charts(shown: Insights) -> list[dict[str, Any]]:
    return [
        _lengths(
            shown,
            "chart-review",
            _("Review time by week"),
            _("Median time a store took to review, by the week in which the submission was begun."),
            lambda week: week.stores.review,
        ),
        _lengths(
            shown,
            "chart-rollout",
            _("Roll-out time by week"),
            _("Median time from the first share of a staged roll-out until everybody has it."),
            lambda week: week.stores.rollout,
        ),
        _parts(
            shown,
            "chart-reviews",
            _("Reviews by week"),
            _("How the stores reviewed the submissions begun each week."),
            [_("Passed"), _("Rejected")],
            lambda week: (week.stores.passed, week.stores.rejected),
        ),
    ]


def _parts(
    shown: Insights,
    chart_id: str,
    title: str,
    lede: str,
    names: list[str],
    read: Callable[[Week], tuple[int, int]],
) -> dict[str, Any]:
    """A chart of what went well and what did not, per week."""
    good, bad = names
    columns = []
    for week in shown.weeks:
        well, badly = read(week)
        words = f"{_name(week)}: {good} {well}, {bad} {badly}"
        parts = (Part(well, "success"), Part(badly, "danger"))
        columns.append(Column(_name(week), parts, words))
    return {
        "id": chart_id,
        "title": title,
        "lede": lede,
        "legend": [("success", good), ("danger", bad)],
        "headings": names,
        "chart": chart(columns),
        "rows": [(_name(week), list(read(week))) for week in shown.weeks if any(read(week))],
    }


def _lengths(
    shown: Insights,
    chart_id: str,
    title: str,
    lede: str,
    length: Callable[[Week], timedelta | None],
) -> dict[str, Any]:
    """A chart of one duration per week."""
    longest = max((length(week) or timedelta(0) for week in shown.weeks), default=timedelta(0))
    per, unit = _unit(longest)
    columns = [_column(week, length(week), per) for week in shown.weeks]
    return {
        "id": chart_id,
        "title": title,
        "lede": lede,
        "headings": [_("Median")],
        "chart": chart(columns, unit=str(unit)),
        "rows": [(_name(w), [duration(length(w))]) for w in shown.weeks if length(w) is not None],
    }


def _unit(longest: timedelta) -> tuple[timedelta, str | Promise]:
    """The unit of an axis that ends at `longest`: the largest that fits into it 1.5 times."""
    return next((unit for unit in UNITS if longest >= 1.5 * unit[0]), UNITS[-1])


def _column(week: Week, length: timedelta | None, per: timedelta) -> Column:
    value = length / per if length is not None else 0
    words = f"{_name(week)}: {duration(length)}"
    return Column(_name(week), (Part(value, "accent"),), words)


def _name(week: Week) -> str:
    return date_format(week.begin, "j M")
