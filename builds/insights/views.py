"""The page of figures, and its export."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET

from builds.insights.charts import Column, Part, chart
from builds.insights.figures import PERIODS, BuildRow, Insights, Week, insights, rows_since
from delivr.spreadsheet import safe_row
from delivr.templatetags.ui import duration
from delivr.tenants.decorators import tenant_required
from delivr.tenants.middleware import TenantRequest

USUAL = PERIODS[1]
HOURS = timedelta(hours=1)
MINUTES = timedelta(minutes=1)
HEADINGS = (
    "build",
    "release",
    "version",
    "platform",
    "pipeline",
    "attempt",
    "number",
    "status",
    "triggered_at",
    "started_at",
    "finished_at",
    "queue_seconds",
    "duration_seconds",
)


@require_GET
@tenant_required()
def insights_page(request: TenantRequest) -> HttpResponse:
    days = _days(request)
    shown = insights(request.tenant, days=days)
    context = {
        "shown": shown,
        "periods": _periods(days),
        "charts": _charts(shown),
        "csv_url": f"{reverse('insights_csv')}?days={days}",
    }
    return render(request, "insights/page.html", context)


@require_GET
@tenant_required()
def insights_csv(request: TenantRequest) -> StreamingHttpResponse:
    """Every build of the period, one a line: what the figures are made of."""
    days = _days(request)
    rows = rows_since(request.tenant, timezone.now() - timedelta(days=days))
    response = StreamingHttpResponse(_lines(rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="builds-{days}-days.csv"'
    return response


def _days(request: HttpRequest) -> int:
    text = request.GET.get("days", "")
    return next((days for days in PERIODS if str(days) == text), USUAL)


def _periods(current: int) -> list[dict[str, Any]]:
    return [
        {
            "label": ngettext("%d day", "%d days", days) % days,
            "href": f"?days={days}",
            "current": days == current,
        }
        for days in PERIODS
    ]


class _Echo:
    """csv's idea of a file: gives back what is written."""

    def write(self, line: str) -> str:
        return line


def _lines(rows: list[BuildRow]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield writer.writerow(HEADINGS)
    for row in rows:
        yield writer.writerow(safe_row(_cells(row)))


def _cells(row: BuildRow) -> list[Any]:
    moments = [m and m.isoformat() for m in (row.created_at, row.started_at, row.finished_at)]
    lengths = [s and round(s.total_seconds(), 1) for s in (row.queued, row.took)]
    return [
        row.id,
        row.release,
        row.version,
        row.platform,
        row.pipeline,
        row.attempt,
        row.number,
        row.status,
        *moments,
        *lengths,
    ]


# --- Charts --------------------------------------------------------------------------------------


def _charts(shown: Insights) -> list[dict[str, Any]]:
    """Each with its title, its definition and the same values as rows of a table."""
    return [
        {
            "id": "chart-builds",
            "title": _("Builds by week"),
            "lede": _("How the builds triggered in a week ended at the CI server."),
            "legend": [("success", _("Succeeded")), ("danger", _("Did not succeed"))],
            "headings": [_("Succeeded"), _("Did not succeed")],
            "chart": chart([_ended(week) for week in shown.weeks]),
            "rows": [
                (_name(week), [week.figures.succeeded, week.figures.failed])
                for week in shown.weeks
                if week.figures.ended
            ],
        },
        _lengths(
            shown,
            "chart-duration",
            _("Build duration by week"),
            _("Median of the builds that succeeded, from start to end."),
            "duration",
            MINUTES,
            _(" min"),
        ),
        _lengths(
            shown,
            "chart-lead",
            _("Lead time by week"),
            _("Median from a release's creation until it was ready, by the week of its creation."),
            "lead_time",
            HOURS,
            _(" h"),
        ),
    ]


def _lengths(
    shown: Insights, chart_id: str, title: str, lede: str, what: str, per: timedelta, unit: str
) -> dict[str, Any]:
    """A chart of one length of time a week."""

    def length(week: Week) -> timedelta | None:
        found: timedelta | None = getattr(week if what == "lead_time" else week.figures, what)
        return found

    columns = [_column(week, length(week), per) for week in shown.weeks]
    return {
        "id": chart_id,
        "title": title,
        "lede": lede,
        "headings": [_("Median")],
        "chart": chart(columns, unit=unit),
        "rows": [(_name(w), [duration(length(w))]) for w in shown.weeks if length(w) is not None],
    }


def _column(week: Week, length: timedelta | None, per: timedelta) -> Column:
    value = length / per if length is not None else 0
    return Column(_name(week), (Part(value, "accent", f"{_name(week)}: {duration(length)}"),))


def _ended(week: Week) -> Column:
    figures = week.figures
    words = {"week": _name(week), "good": figures.succeeded, "bad": figures.failed}
    text = _("%(week)s: %(good)d succeeded, %(bad)d did not") % words
    parts = (Part(figures.succeeded, "success", text), Part(figures.failed, "danger", text))
    return Column(_name(week), parts)


def _name(week: Week) -> str:
    return date_format(week.begin, "j M")
