"""A short summary of a release's changes, for messages and for the top of the list."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from releases.models import Release
from releases.repository.acts import host_of, part_of
from releases.repository.models import RepositoryPart


def summary_of(release: Release) -> str:
    """`12 commits in 5 pull requests since 1.4.0`; "" if nothing is known."""
    part = part_of(release)
    if part.total is None or not part.since:
        return ""
    words = {"commits": _commits(part), "version": part.since}
    words["pulls"] = host_of(release).pull_words % {"count": part.pull_requests}
    if not part.pull_requests or not part.is_complete:
        return _("%(commits)s since %(version)s") % words
    return _("%(commits)s in %(pulls)s since %(version)s") % words


def _commits(part: RepositoryPart) -> str:
    total = part.total or 0
    return ngettext("%(count)d commit", "%(count)d commits", total) % {"count": total}
