"""The overview on the admin's start page: the state of the work of all workspaces.

Each app adds its own panels (`settings.ADMIN_PANELS`): functions without arguments.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.admin.utils import quote
from django.db.models import Count, Model, QuerySet
from django.urls import reverse
from django.utils.module_loading import import_string

LATELY = timedelta(days=7)


@dataclass(frozen=True)
class Line:
    """A count that links to its rows, or one row and since when. `is_bad`: it needs attention."""

    label: str
    count: int
    url: str
    is_bad: bool = False
    at: datetime | None = None


@dataclass(frozen=True)
class Panel:
    title: str
    lines: tuple[Line, ...]
    oldest_label: str = ""
    oldest: datetime | None = None  # of what is overdue
    oldest_url: str = ""
    nothing: str = ""  # shown if there are no lines


def panels() -> list[Panel]:
    return [panel for path in settings.ADMIN_PANELS for panel in import_string(path)()]


def by_state(
    rows: QuerySet[Any], field: str, labels: Iterable[tuple[str, Any]], *, bad: Iterable[str] = ()
) -> tuple[Line, ...]:
    """One line for each value of `field`, in one query."""
    found = dict(rows.order_by().values_list(field).annotate(Count("pk")))
    return tuple(
        Line(
            label=str(label),
            count=found.get(word, 0),
            url=f"{list_url(rows.model)}?{field}__exact={word}",
            is_bad=word in bad and bool(found.get(word)),
        )
        for word, label in labels
    )


def list_url(model: type[Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def row_url(row: Model) -> str:
    name = f"admin:{row._meta.app_label}_{row._meta.model_name}_change"
    return reverse(name, args=[quote(str(row.pk))])
