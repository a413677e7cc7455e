"""Texts of the OpenAPI document and of the guide as HTML."""

import re

from django import template
from django.utils.html import escape, format_html_join
from django.utils.safestring import SafeString, mark_safe

register = template.Library()
_CODE = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\[([^\]]+)\]\((https://[^\s()\"]+)\)")
_FILE = re.compile(r"\[[^\]]+\]\(([\w./-]+)\)")
_EMPHASIS = re.compile(r"\*([^*\n]+)\*")


@register.filter
def prose(text: str) -> SafeString:
    """Paragraphs (between empty lines) with `code` between backticks; everything else is text."""
    parts = [part for part in str(text).split("\n\n") if part.strip()]
    return format_html_join("\n", "<p>{}</p>", ((with_code(part),) for part in parts))


@register.filter
def marked_prose(text: str) -> SafeString:
    """`prose` with Markdown's *emphasis* and [links](https://…); a link to another file of the docs
    is only its name."""
    html = _LINK.sub(r'<a href="\2" rel="noreferrer noopener" target="_blank">\1</a>', prose(text))
    html = _EMPHASIS.sub(r"<em>\1</em>", _FILE.sub(r"<code>docs/\1</code>", html))
    return mark_safe(html)  # noqa: S308 # escaped by `prose`


@register.filter
def with_code(text: str) -> SafeString:
    """One line with `code` between backticks."""
    marked = _CODE.sub(r"<code>\1</code>", escape(text))
    return mark_safe(marked)  # noqa: S308 # escaped just above


@register.filter
def at(values: dict[str, str], key: str) -> str:
    return values.get(key, "")
