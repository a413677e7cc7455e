"""Long tables in Django's admin: a list shows, counts and searches only its newest rows.

PostgreSQL would read the whole table for a search, a rare value, or the number of rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin

NEWEST = 2000
BEFORE = "before"
TENANT = "tenant__id__exact"
MONTHS = 24  # that can be chosen


class BeforeFilter(admin.SimpleListFilter):
    """Where the list begins: a moment, or the number of a row. `NewestFirst` applies it."""

    title = _("before")
    parameter_name = BEFORE

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        if not isinstance(model_admin.column_of_time(request), models.DateTimeField):
            return []
        return [(first.isoformat(), date_format(first, "j M Y")) for first in _months()]

    def queryset(self, request: HttpRequest, rows: models.QuerySet[Any]) -> models.QuerySet[Any]:
        return rows


def _months() -> Iterator[Any]:
    first = timezone.localtime().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    for _month in range(MONTHS):
        yield first
        first = (first - timedelta(days=1)).replace(day=1)


class NewestFirst(ModelAdmin):
    """Lists the newest rows, in the order of an index; a link leads to the older ones.

    A workspace, by its parameter, has its own newest rows. A row is found by its id however old it
    is. Lists in another order, of short tables, are shown as a whole.
    """

    def get_ordering(self, request: HttpRequest) -> Any:
        is_numbered = isinstance(self.model._meta.pk, models.AutoField)
        return ("-pk",) if is_numbered else self.ordering or self.model._meta.ordering

    def column_of_time(self, request: HttpRequest) -> models.Field[Any, Any] | None:
        """The column by which the newest rows come first; None if they do not."""
        first = next(iter(self.get_ordering(request)), "")
        name = first.removeprefix("-")
        if first == name:
            return None
        found = self.model._meta.pk if name == "pk" else self.model._meta.get_field(name)
        field: models.Field[Any, Any] = found
        return field

    def get_list_filter(self, request: HttpRequest) -> Any:
        known = super().get_list_filter(request)
        return known if self.column_of_time(request) is None else (*known, BeforeFilter)

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        rows = super().get_queryset(request)
        match = request.resolver_match
        if match is None or not str(match.url_name).endswith("_changelist"):
            return rows
        few = self.few(request, rows)
        return self._newest(request, rows) if few is None else few

    def few(self, request: HttpRequest, rows: models.QuerySet[Any]) -> models.QuerySet[Any] | None:
        """The rows that the request's filters select, if an index has these few; else None."""
        return None

    def _newest(self, request: HttpRequest, rows: models.QuerySet[Any]) -> models.QuerySet[Any]:
        column = self.column_of_time(request)
        if column is None:
            return rows
        if tenant := request.GET.get(TENANT):
            rows = rows.filter(tenant=tenant)
        if (before := _value(column, request.GET.get(BEFORE, ""))) is not None:
            rows = rows.filter(**{f"{column.name}__lt": before})
        if not hasattr(request, "oldest_shown"):  # asked once: each filter needs the rows, too
            found = rows.order_by(f"-{column.name}").values_list(column.name, flat=True)
            oldest: Any = found[NEWEST - 1 : NEWEST + 1]
            request.oldest_shown = oldest[0] if len(oldest) == 2 else None  # type: ignore[attr-defined]
        oldest = request.oldest_shown  # type: ignore[attr-defined]
        return rows if oldest is None else rows.filter(**{f"{column.name}__gte": oldest})

    def get_search_results(
        self, request: HttpRequest, rows: models.QuerySet[Any], search_term: str
    ) -> tuple[models.QuerySet[Any], bool]:
        if (found := self.by_id(search_term.strip())) is not None and found.exists():
            return found, False
        return super().get_search_results(request, rows, search_term)

    def by_id(self, text: str) -> models.QuerySet[Any] | None:
        """The rows that an index finds by this id, however old."""
        if "\0" in text or not _fits(self.model._meta.pk, text):
            return None
        found: models.QuerySet[Any] = self.model._default_manager.filter(pk=text)
        return found

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        response: Any = super().changelist_view(request, extra_context)
        oldest = getattr(request, "oldest_shown", None)
        if oldest is not None and hasattr(response, "context_data"):
            query = request.GET.copy()
            query.pop("p", None)
            query[BEFORE] = oldest.isoformat() if hasattr(oldest, "isoformat") else str(oldest)
            response.context_data |= {"newest": NEWEST, "older_url": f"?{query.urlencode()}"}
        found: HttpResponse = response
        return found


def _value(column: models.Field[Any, Any], text: str) -> Any:
    """The parameter as a value of the column; None if it is none."""
    if isinstance(column, models.DateTimeField):
        try:
            moment = parse_datetime(text)
        except ValueError:
            return None
        return moment if moment is None or timezone.is_aware(moment) else None
    return int(text) if _fits(column, text) and text.isdigit() else None


def _fits(key: Any, text: str) -> bool:
    is_number = text.isascii() and text.isdigit() and len(text) < 19
    return bool(text) and (is_number if isinstance(key, models.AutoField) else len(text) <= 64)
