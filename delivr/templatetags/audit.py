"""Audit rows in words, from `delivr/audit/wording.py`."""

from __future__ import annotations

from typing import Any

from django import template

from delivr.audit import wording

register = template.Library()
register.filter("audit_who", wording.who)
register.filter("audit_words", wording.sentence)
register.filter("audit_value", wording.value)


@register.filter
def is_pair(values: Any) -> bool:
    """True for `[before, after]`."""
    return isinstance(values, list) and len(values) == 2
