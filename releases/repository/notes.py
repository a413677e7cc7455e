"""The notes of a drafted release: its changes, as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from django.utils.translation import gettext as _

from releases.models import Release
from releases.repository.acts import host_of, part_of
from releases.repository.models import Change

MOST = 400  # changes that are listed
_MARKUP = re.compile(r"([\\`*_\[\]<>#@|~])")


def notes_of(release: Release) -> str:
    """One line for each pull request, and for each commit without one."""
    part = part_of(release)
    if part.total is None:
        return ""
    lines = list(_lines(release.changes.all()[: MOST + 1], host_of(release).pull_mark))
    left_out = part.total - part.listed if len(lines) <= MOST else 1
    words = _("Changes since %(version)s") % {"version": part.since}
    shown = [f"## {words}", "", *(lines[:MOST] or [_("None.")])]
    if left_out > 0 or not part.is_complete:
        shown += ["", _("This list is not complete.")]
    return "\n".join(shown)


def _lines(changes: Iterable[Change], mark: str) -> Iterator[str]:
    seen: set[int] = set()
    for change in changes:
        if change.pull_number in seen:
            continue
        if change.pull_number:
            seen.add(change.pull_number)
        yield _line(change, mark)


def _line(change: Change, mark: str) -> str:
    title = change.pull_title or change.title
    where = f"{mark}{change.pull_number}" if change.pull_number else change.sha
    keys = [key for key in change.tickets if key not in title]
    named = f" ({', '.join(keys)})" if keys else ""
    return f"- {escaped(title)}{named} {where}"


def escaped(text: str) -> str:
    """The text without markup, links or mentions."""
    return _MARKUP.sub(r"\\\1", text)
