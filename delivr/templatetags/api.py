"""Texts of the OpenAPI document as HTML."""

import re

from django import template
from django.utils.html import escape, format_html_join
from django.utils.safestring import SafeString, mark_safe

register = template.Library()
_CODE = re.compile(r"`([^`]+)`")


@register.filter
def prose(text: str) -> SafeString:
    """Paragraphs (between empty lines) with `code` between backticks; everything else is text."""
    parts = [part for part in str(text).split("\n\n") if part.strip()]
    return format_html_join("\n", "<p>{}</p>", ((with_code(part),) for part in parts))


@register.filter
def with_code(text: str) -> SafeString:
    """One line with `code` between backticks."""
    marked = _CODE.sub(r"<code>\1</code>", escape(text))
    return mark_safe(marked)  # noqa: S308 # escaped just above


@register.filter
def at(values: dict[str, str], key: str) -> str:
    return values.get(key, "")
