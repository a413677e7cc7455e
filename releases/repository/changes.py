"""Which changes are in a release: those on its branch that its app's last release lacks.

A job looks them up at the repository's host whenever the branch's commit has changed, and stores
them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from delivr.effects import clock
from delivr.effects.health import one_call
from delivr.effects.queue import enqueue_on_commit
from delivr.failures import ProviderError
from integrations.concurrency import SLOT_RETRY_DELAY, slot
from integrations.providers.http import vendor_words
from integrations.providers.registry import provider_for
from integrations.providers.scm import Commit, Comparison
from releases.models import READY_OR_IN_STORES, Release
from releases.repository.acts import built, part_of
from releases.repository.models import Change, ChangeTicket, RepositoryPart
from releases.tickets.acts import plan_tickets

MOST = 1000  # commits that are listed
CLAIM = timedelta(seconds=60)  # longer than one lookup takes
FAILURE_PAUSE = timedelta(minutes=2)  # after a temporary failure
GIVE_UP_AFTER = timedelta(days=1)  # after the release was created
TITLE, NAME, ADDRESS = 300, 100, 500  # lengths of the columns
TICKETS_EACH = 20
_TICKET = re.compile(r"(?<![A-Za-z0-9_-])([A-Z][A-Z0-9_]{1,19})-([1-9][0-9]{0,8})(?![A-Za-z0-9_])")
_NO_PROJECTS = {"AES", "CVE", "ISO", "RFC", "SHA", "UTF"}  # look like tickets, but are not


def look_soon(release_id: str) -> None:
    """Have the changes looked up soon, after the current transaction commits."""
    parts = RepositoryPart.objects.filter(release_id=release_id)
    if parts.update(look_at=clock.now()):
        enqueue_on_commit("changes", str(parts.values_list("pk", flat=True)[0]))


def tickets_in(*texts: str) -> list[str]:
    """The ticket keys in the texts, in order."""
    found = (match for text in texts for match in _TICKET.finditer(text))
    keys = (match[0] for match in found if match[1] not in _NO_PROJECTS)
    return list(dict.fromkeys(keys))[:TICKETS_EACH]


# --- The job "changes" ----------------------------------------------------------------------------


@transaction.atomic
def due() -> list[str]:
    """Ids of the parts whose changes are due to be looked up; each is claimed for a minute."""
    now = clock.now()
    free = RepositoryPart.objects.select_for_update(skip_locked=True, no_key=True, of=("self",))
    waiting = free.filter(look_at__lte=now).order_by("look_at")
    ids = list(waiting.values_list("pk", flat=True)[:50])
    RepositoryPart.objects.filter(pk__in=ids).update(look_at=now + CLAIM)
    return [str(pk) for pk in ids]


def read_changes(part_id: str) -> None:
    """Look up the changes of one release, and store them."""
    rows = RepositoryPart.objects.exclude(look_at=None).select_related("release__scm")
    part = rows.filter(pk=part_id).first()
    if part is None:
        return
    release = part.release
    with slot(tenant_id=release.tenant_id, integration_id=release.scm_id) as is_free:
        if is_free:
            _read(release, part)
        else:
            _look_again(part, SLOT_RETRY_DELAY)


def _read(release: Release, part: RepositoryPart) -> None:
    head, earlier = _head(release), last_release_before(release)
    if not head or earlier is None:
        _store_nothing(part)
        return
    base = _base(earlier)
    if (base, head, True) == (part.since_commit, part.head_commit, part.is_complete):
        _store_nothing(part)
        return
    try:
        found = _compare(release, base, head) if base else None
    except ProviderError as error:
        _store_failure(part, error)
    else:
        _store(part, found or _unknown(earlier), earlier=earlier, base=base, head=head)


def _compare(release: Release, base: str, head: str) -> Comparison:
    with one_call(tenant_id=release.tenant_id, integration_id=release.scm_id):
        found: Comparison = provider_for(release.scm).compare(base, head, most=MOST)
    return found


def _head(release: Release) -> str:
    """The commit that was built, or the branch's head when it was last looked up."""
    return (built(release).commit if release.is_built else "") or release.branch_commit


def last_release_before(release: Release) -> Release | None:
    """The last complete release of one of its apps from the same repository."""
    apps = Q()
    for target in release.targets.all():
        apps |= Q(targets__store=target.store, targets__app_identifier=target.app_identifier)
    rows = Release.objects.for_tenant(release.tenant_id).filter(
        apps,
        scm=release.scm_id,
        status__in=READY_OR_IN_STORES,
        created_at__lt=release.created_at,
    )
    found: Release | None = (
        rows.select_related("repository_part").order_by("-created_at", "-pk").first()
    )
    return found


def _base(earlier: Release) -> str:
    return part_of(earlier).tagged_commit or built(earlier).commit


def _unknown(earlier: Release) -> Comparison:
    words = _("It is unknown which commit %(version)s was built from.")
    note = words % {"version": earlier.version}
    return Comparison(commits=[], total=0, is_complete=False, note=note)


def _look_again(part: RepositoryPart, pause: timedelta) -> None:
    RepositoryPart.objects.filter(pk=part.pk).update(look_at=clock.now() + pause)


def _is_mine(part: RepositoryPart) -> Q:
    """True if nobody requested another lookup in the meantime."""
    return Q(pk=part.pk, look_at=part.look_at)


def _store_nothing(part: RepositoryPart) -> None:
    RepositoryPart.objects.filter(_is_mine(part)).update(look_at=None)


def _store_failure(part: RepositoryPart, error: ProviderError) -> None:
    """Earlier findings are kept."""
    is_young = clock.now() - part.release.created_at < GIVE_UP_AFTER
    again: datetime | None = None
    if is_young and error.is_temporary:
        again = clock.now() + FAILURE_PAUSE
    RepositoryPart.objects.filter(_is_mine(part)).update(
        look_at=again, is_complete=False, note=error.message[:500]
    )


@transaction.atomic
def _store(
    part: RepositoryPart, found: Comparison, *, earlier: Release, base: str, head: str
) -> None:
    row = RepositoryPart.objects.select_for_update(of=("self",)).filter(_is_mine(part)).first()
    if row is None:
        return  # the branch has moved in the meantime: another lookup follows
    Change.objects.filter(release=row.release_id).delete()
    changes = Change.objects.bulk_create(_changes(row, found.commits), batch_size=200)
    ChangeTicket.objects.bulk_create(_tickets(changes), batch_size=500)
    row.since, row.since_commit, row.head_commit = earlier.version, base, head
    row.total, row.missing, row.listed = found.total, found.behind, len(changes)
    row.pull_requests = len({c.pull_number for c in changes} - {None})
    row.is_complete, row.note, row.look_at = found.is_complete, found.note[:500], None
    row.save()
    plan_tickets(part.release)


def _changes(part: RepositoryPart, commits: Sequence[Commit]) -> list[Change]:
    return [_change(part, place, commit) for place, commit in enumerate(commits, 1)]


def _change(part: RepositoryPart, place: int, commit: Commit) -> Change:
    pull = commit.pull_request
    texts = (pull.title, commit.message, pull.text) if pull else (commit.message,)
    return Change(
        tenant_id=part.tenant_id,
        release_id=part.release_id,
        position=place,
        sha=commit.sha[:64],
        title=_line(commit.message.partition("\n")[0], TITLE),
        author=_line((pull.author if pull else "") or commit.author, NAME),
        url=commit.url[:ADDRESS],
        pull_number=pull.number if pull else None,
        pull_title=_line(pull.title, TITLE) if pull else "",
        pull_url=pull.url[:ADDRESS] if pull else "",
        tickets=tickets_in(*texts),
    )


def _line(text: str, limit: int) -> str:
    return vendor_words(text, secrets=(), limit=limit)


def _tickets(changes: Iterable[Change]) -> list[ChangeTicket]:
    return [
        ChangeTicket(tenant_id=change.tenant_id, change=change, key=key)
        for change in changes
        for key in change.tickets
    ]
