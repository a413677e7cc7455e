"""The repository's part on a release's page, as plain values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import OuterRef
from django.utils.translation import gettext as _

from delivr.effects.models import Effect
from delivr.json_rows import JsonRows, read_rows
from releases.messages.sent import SentEffect
from releases.models import Release, ReleaseQuerySet
from releases.repository.acts import CREATE_BRANCH, DRAFT_RELEASE, TAG, host_of, part_of, tag_of
from releases.repository.models import Change, RepositoryPart
from releases.repository.summary import summary_of
from releases.wording import web_address

SHOWN = 8  # changes; the others have a page of their own


@dataclass(frozen=True)
class StepLine:
    """One step in the repository: its subject, its result, and its newest effect."""

    label: str
    text: str
    url: str
    sent: SentEffect | None


@dataclass(frozen=True)
class ChangeLine:
    sha: str  # abbreviated
    title: str
    author: str
    url: str
    pull: str  # `#12`, `!12`; "" for a commit without a pull request
    tickets: tuple[str, ...]

    @classmethod
    def of(cls, change: Change, mark: str) -> ChangeLine:
        """`mark` stands before the number of a pull request."""
        return cls(
            sha=change.short_sha,
            title=change.pull_title or change.title,
            author=change.author,
            url=web_address(change.pull_url or change.url),
            pull=f"{mark}{change.pull_number}" if change.pull_number else "",
            tickets=tuple(change.tickets),
        )


@dataclass(frozen=True)
class RepositoryCard:
    """`summary` is empty while no changes are known; `note` says why the list is incomplete."""

    steps: tuple[StepLine, ...]
    summary: str
    since: str
    missing: int
    note: str
    is_looking: bool
    lines: tuple[ChangeLine, ...]
    has_more: bool


def repository_card(release: Release, effects: Sequence[Effect], now: datetime) -> RepositoryCard:
    """Needs a release of `with_changes`; makes no query."""
    part = part_of(release)
    changes = newest_changes(release)
    mark = host_of(release).pull_mark
    return RepositoryCard(
        steps=tuple(_steps(release, part, effects, now)),
        summary=summary_of(release),
        since=part.since,
        missing=part.missing,
        note=part.note,
        is_looking=part.look_at is not None,
        lines=tuple(ChangeLine.of(change, mark) for change in changes[:SHOWN]),
        has_more=len(changes) > SHOWN,
    )


def with_changes(releases: ReleaseQuerySet, most: int) -> ReleaseQuerySet:
    """With the rows that `newest_changes` reads, in one statement with the release."""
    changes = Change.objects.filter(release=OuterRef("pk")).order_by("position")
    rows: ReleaseQuerySet = releases.annotate(
        newest_changes=JsonRows(changes[:most], *_SHOWN_FIELDS)
    )
    return rows


_SHOWN_FIELDS = (
    "sha",
    "title",
    "author",
    "url",
    "pull_number",
    "pull_title",
    "pull_url",
    "tickets",
)


def newest_changes(release: Release) -> list[Change]:
    """Empty while none are known."""
    return read_rows(Change, release.newest_changes) if part_of(release).listed else []


def _steps(
    release: Release, part: RepositoryPart, effects: Sequence[Effect], now: datetime
) -> Iterable[StepLine]:
    def sent(kind: str) -> SentEffect | None:
        mine = [effect for effect in effects if effect.kind == kind]
        return SentEffect.of(mine[-1], now) if mine else None

    if part.creates_branch:
        yield StepLine(_("Branch"), _branch_words(release, part), "", sent(CREATE_BRANCH))
    if part.makes_tag:
        name = part.tag or tag_of(release.version)
        words = _("%(tag)s, when all builds are complete") if not part.tag else "%(tag)s"
        yield StepLine(_("Tag"), words % {"tag": name}, web_address(part.tag_url), sent(TAG))
    if part.drafts_release:
        done = host_of(release).draft_words
        done = done if part.release_url else _("When all builds are complete")
        words = done % {"tag": tag_of(release.version)}
        yield StepLine(_("Release"), words, web_address(part.release_url), sent(DRAFT_RELEASE))


def _branch_words(release: Release, part: RepositoryPart) -> str:
    words = {
        "branch": release.branch,
        "base": part.base_branch or _("the default branch"),
        "commit": (part.commit or part.base_commit)[:7],
    }
    if part.commit:
        return _("%(branch)s, cut from %(base)s at %(commit)s") % words
    return _("%(branch)s, to be cut from %(base)s") % words
