"""Paged lists: https://docs.slack.dev/apis/web-api/pagination"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PAGE_LIMIT = 40
"""Pages of a list that are read at most. Slack may fill a page with 15 items or fewer."""


def next_cursor(page: Mapping[str, Any]) -> str | None:
    """The cursor of the next page; None on the last page, whose cursor is empty or missing."""
    metadata = page.get("response_metadata")
    cursor = metadata.get("next_cursor") if isinstance(metadata, dict) else None
    return cursor if isinstance(cursor, str) and cursor else None
