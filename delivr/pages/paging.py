"""Pagination of long lists without counting them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest

SIZE = 25
LAST_PAGE = 1000  # the database has to walk over all rows before an offset


@dataclass(frozen=True)
class Page:
    """One page of a list, newest first; `text` says which ("26–50")."""

    items: list[Any]
    text: str
    previous_url: str
    next_url: str


def paged(request: HttpRequest, rows: QuerySet[Any], *, path: str = "") -> Page:
    """The page that `?page=` asks for (the first if it is invalid), in one query.

    The links keep the rest of the query string and lead to `path` (default: the current one).
    """
    number = page_number(request)
    start = (number - 1) * SIZE
    found = _slice(rows, start)
    items = found[:SIZE]
    has_more = len(found) > SIZE and number < LAST_PAGE
    return Page(
        items=items,
        text=f"{start + 1}–{start + len(items)}" if items else "",
        previous_url=_url(request, path, number - 1) if number > 1 else "",
        next_url=_url(request, path, number + 1) if has_more else "",
    )


def _slice(rows: QuerySet[Any], start: int) -> list[Any]:
    """The rows of the page, and one more. A late page first finds their keys, because the database
    would join to each row before them what belongs to it."""
    end = start + SIZE + 1
    return list(rows.filter(pk__in=rows.values("pk")[start:end]) if start else rows[:end])


def page_number(request: HttpRequest) -> int:
    text = request.GET.get("page", "")
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 1
    return min(max(number, 1), LAST_PAGE)


def _url(request: HttpRequest, path: str, number: int) -> str:
    query = request.GET.copy()
    query["page"] = str(number)
    query.pop("seen", None)
    return f"{path or request.path}?{query.urlencode()}"
