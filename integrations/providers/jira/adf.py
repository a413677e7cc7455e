"""Plain text as an Atlassian document, in which no character is markup.

https://developer.atlassian.com/cloud/jira/platform/apis/document/structure/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_URL = re.compile(r"(https?://[^\s<>\"]+[^\s<>\".,;:!?)\]])")


def document(text: str) -> dict[str, Any]:
    """Blank lines separate paragraphs, other line ends are kept, http(s) URLs become links."""
    paragraphs = [part for part in re.split(r"\n\s*\n", text.strip()) if part.strip()]
    return {"type": "doc", "version": 1, "content": [_paragraph(part) for part in paragraphs]}


def linked_document(text: str, url: str, label: str) -> dict[str, Any]:
    """`document`, and below it a link."""
    made = document(text)
    mark = {"type": "link", "attrs": {"href": url}}
    link = {"type": "text", "text": label, "marks": [mark]}
    made["content"].append({"type": "paragraph", "content": [link]})
    return made


def _paragraph(text: str) -> dict[str, Any]:
    nodes: list[dict[str, Any]] = []
    for line in text.splitlines():
        if nodes:
            nodes.append({"type": "hardBreak"})
        nodes += _inline(line)
    return {"type": "paragraph", "content": nodes}


def _inline(line: str) -> Iterator[dict[str, Any]]:
    for index, part in enumerate(_URL.split(line)):
        if not part:  # Jira refuses an empty text node
            continue
        node: dict[str, Any] = {"type": "text", "text": part}
        if index % 2:
            node["marks"] = [{"type": "link", "attrs": {"href": part}}]
        yield node
