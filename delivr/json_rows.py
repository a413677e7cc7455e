"""Rows of another table within a query, so that one statement finds both."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, TypeVar

from django.db.models import JSONField, Model, QuerySet, Subquery
from django.db.models.functions import JSONObject
from django.utils.timezone import is_naive

M = TypeVar("M", bound=Model)


class JsonRows(Subquery):
    """These fields of the rows of a queryset, as a list that `read_rows` reads; for a few rows.
    A JSON field must hold a list or an object."""

    output_field = JSONField()
    template = "(SELECT COALESCE(JSONB_AGG(rows.one), '[]') FROM (%(subquery)s) AS rows(one))"

    def __init__(self, queryset: QuerySet[Any], *fields: str) -> None:
        super().__init__(queryset.values_list(JSONObject(**{name: name for name in fields})))

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        # SQLite names no columns of a subquery, but those of a common table expression.
        template = (
            "(WITH rows(one) AS (%(subquery)s) SELECT JSON_GROUP_ARRAY(JSON(rows.one)) FROM rows)"
        )
        return self.as_sql(compiler, connection, template=template, **context)


def read_rows(model: type[M], rows: Iterable[dict[str, Any]]) -> list[M]:
    """Objects with the fields that the rows have, and with no others."""
    return [
        model(**{name: _value(model, name, value) for name, value in row.items()}) for row in rows
    ]


def _value(model: type[Model], name: str, value: Any) -> Any:
    field: Any = model._meta.get_field(name)
    if isinstance(field, JSONField) and isinstance(value, str):  # SQLite stores it as text
        return json.loads(value)
    found = field.to_python(value)
    # SQLite stores times in UTC without saying so.
    is_time = isinstance(found, datetime) and is_naive(found)
    return found.replace(tzinfo=UTC) if is_time else found
