"""Whether a release's branch is where it is built from: looked up, remembered, and asked for anew.

A job looks after a release was made, its trigger looks once more, and a dry run looks at once.
What cannot be told never stands in the way: the CI server decides then.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.utils.translation import gettext as _

from delivr.api.problems import Problem
from delivr.effects import clock
from delivr.failures import Outcome, ProviderError
from delivr.tenants.models import User
from integrations.concurrency import FULL, slot
from integrations.models import ScmIntegration
from integrations.providers.base import Branch
from integrations.providers.http import vendor_words
from integrations.providers.registry import provider_for
from integrations.throttle import asking
from releases.models import Release, ReleaseStatus

IN_A_REQUEST = 4.0  # seconds that somebody waits for a dry run's look
BY_A_WORKER = 8.0
DRY_RUNS = 60  # a minute that one person may have looked at
CLAIM = timedelta(seconds=40)  # longer than one look lasts
AGAIN = timedelta(minutes=5)  # while the branch is missing, and nothing was triggered yet
SOON = timedelta(minutes=2)  # after a passing trouble
PATIENCE = timedelta(days=1)  # after the release was made
MOST_SIMILAR = 5


@dataclass(frozen=True, kw_only=True)
class BranchHead:
    """What is known of a branch. `exists` is None where nothing is, and `message` tells why; of
    one that is missing it says so, and `suggestions` are the nearest names."""

    name: str
    exists: bool | None
    commit: str = ""
    title: str = ""
    suggestions: tuple[str, ...] = ()
    message: str = ""
    checked_at: datetime | None = None
    is_passing: bool = False  # the trouble may mend itself

    @property
    def short_commit(self) -> str:
        return self.commit[:7]

    @property
    def hint(self) -> str:
        """What to do about a branch that is missing."""
        if not self.suggestions:
            return _("Create it there, then try again.")
        names = ", ".join(self.suggestions)
        return _("Did you mean %(names)s? Else create it there, then try again.") % {"names": names}


def look_up(scm: ScmIntegration, name: str, *, within: float) -> BranchHead:
    """Ask now (network, up to `within` seconds). Raises nothing."""
    try:
        found: Branch = provider_for(scm).branch(name, within=within)
    except ProviderError as error:
        words = _("Whether the branch is there could not be looked up. %(reason)s") % {
            "reason": error.message
        }
        return BranchHead(name=name, exists=None, message=words, is_passing=error.is_passing)
    now = clock.now()
    if found.exists:
        title = vendor_words(found.title, secrets=())
        commit = found.commit
        return BranchHead(name=name, exists=True, commit=commit, title=title, checked_at=now)
    return BranchHead(
        name=name,
        exists=False,
        suggestions=found.similar[:MOST_SIMILAR],
        message=missing_words(scm, name),
        checked_at=now,
    )


def missing_words(scm: ScmIntegration, name: str) -> str:
    return _("%(branch)s is not in %(repository)s.") % {"branch": name, "repository": scm.summary}


def glance(scm: ScmIntegration, name: str, *, user: User) -> BranchHead:
    """`look_up` for somebody who waits for a dry run: not too often, and not too many at once."""
    try:
        with asking("branch", user=user, limit=DRY_RUNS):
            return look_up(scm, name, within=IN_A_REQUEST)
    except Problem as problem:
        words = _("The branch was not looked up. %(reason)s") % {"reason": problem.detail}
        return BranchHead(name=name, exists=None, message=words)


def want(scm: ScmIntegration, name: str, *, release: Release | None = None) -> None:
    """Before a build is triggered (network). Raises ProviderError (REFUSED) where the branch is
    surely missing; where nobody can tell, the CI server decides."""
    found = look_up(scm, name, within=BY_A_WORKER)
    if release is not None:
        _keep(release, found)
    if found.exists is False:
        raise ProviderError("branch_missing", found.message, found.hint, outcome=Outcome.REFUSED)


def head_of(release: Release) -> BranchHead:
    """What was last seen; asks nobody."""
    is_missing = release.branch_exists is False
    return BranchHead(
        name=release.branch,
        exists=release.branch_exists,
        commit=release.branch_commit,
        title=release.branch_title,
        suggestions=tuple(release.branch_similar or ()),
        message=missing_words(release.scm, release.branch)
        if is_missing
        else release.branch_trouble,
        checked_at=release.branch_checked_at,
    )


# --- The job "branch" -----------------------------------------------------------------------------


@transaction.atomic
def due() -> list[str]:
    """Ids of releases whose branch is to be looked for; each is handed out to one for 40 s."""
    now = clock.now()
    free = Release.objects.select_for_update(skip_locked=True, no_key=True, of=("self",))
    waiting = free.filter(branch_look_at__lte=now).order_by("branch_look_at")
    ids = list(waiting.values_list("pk", flat=True)[:50])
    Release.objects.filter(pk__in=ids).update(branch_look_at=now + CLAIM)
    return ids


def look(release_id: str) -> None:
    """Look for the branch of one release, and remember what was seen."""
    releases = Release.objects.select_related("scm").filter(branch_look_at__isnull=False)
    release = releases.filter(pk=release_id).first()
    if release is None:
        return
    with slot(tenant_id=release.tenant_id, integration_id=release.scm_id) as is_free:
        if is_free:
            _keep(release, look_up(release.scm, release.branch, within=BY_A_WORKER))
        else:
            Release.objects.filter(pk=release.pk).update(branch_look_at=clock.now() + FULL)


def _keep(release: Release, found: BranchHead) -> None:
    """What was known before stays where nothing was seen now."""
    seen = (
        {
            "branch_exists": found.exists,
            "branch_commit": found.commit,
            "branch_title": found.title,
            "branch_similar": list(found.suggestions),
            "branch_checked_at": found.checked_at,
            "branch_trouble": "",
        }
        if found.exists is not None
        else {"branch_trouble": found.message[:500]}
    )
    again = _look_again_at(release, found)
    Release.objects.filter(pk=release.pk).update(branch_look_at=again, **seen)


def _look_again_at(release: Release, found: BranchHead) -> datetime | None:
    """While it may still come: the branch itself, or an answer."""
    now = clock.now()
    is_waiting = release.status == ReleaseStatus.KICKOFF_PENDING
    if not is_waiting or now - release.created_at > PATIENCE:
        return None
    if found.exists is False:
        return now + AGAIN
    return now + SOON if found.exists is None and found.is_passing else None
