"""The markup of an email's content: HTML with links and `code`, and the same as plain text."""

import html
import re

_LINK = re.compile(r'<a href="([^"]*)">([^<]*)</a>')
_CODE = re.compile(r"`([^`]*)`")
SEPARATOR = " · "


def escape(text: str) -> str:
    """`text` as plain characters: no tag, link or code comes out of it."""
    return html.escape(text).replace("`", "&#96;")


def link(url: str, label: str) -> str:
    return f'<a href="{escape(url)}">{escape(label)}</a>'


def as_html(markup: str) -> str:
    return _CODE.sub(r"<code>\1</code>", markup)


def as_text(markup: str) -> str:
    without_links = _LINK.sub(r"\2: \1", markup)
    return html.unescape(_CODE.sub(r"\1", without_links))


def lines(markup: str) -> list[str]:
    """The parts of a message's detail, which an email shows one below the other."""
    return [part for part in markup.split(SEPARATOR) if part]
