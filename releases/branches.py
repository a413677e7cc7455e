"""Checks whether a release's branch exists in its repository, and stores what was found.

A job checks after a release was created, the trigger checks again, and a dry run checks at once. If
the check fails, nothing is blocked: the CI server decides then.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.utils.translation import gettext as _

from delivr.api.problems import Problem
from delivr.effects import clock
from delivr.effects.health import one_call
from delivr.failures import ProviderError
from delivr.tenants.models import User
from integrations.concurrency import SLOT_RETRY_DELAY, slot
from integrations.models import ScmIntegration
from integrations.providers.http import vendor_words
from integrations.providers.registry import provider_for
from integrations.providers.scm import Branch
from integrations.throttle import throttled_call
from releases.models import Release, ReleaseStatus
from releases.repository.changes import look_soon

REQUEST_TIMEOUT = 4.0  # seconds, while a person waits for a dry run
WORKER_TIMEOUT = 8.0  # seconds
DRY_RUNS_PER_MINUTE = 60  # with a check of the branch, for one user
CLAIM = timedelta(seconds=40)  # longer than one check takes
MISSING_PAUSE = timedelta(minutes=5)  # until the next check, before the first trigger
FAILURE_PAUSE = timedelta(minutes=2)  # after a temporary failure
GIVE_UP_AFTER = timedelta(days=1)  # after the release was created
MAX_SUGGESTIONS = 5


@dataclass(frozen=True, kw_only=True)
class BranchHead:
    """What is known about a branch. `exists` is None if that is unknown, and `message` says why.
    For a missing branch, `message` says so and `suggestions` are the most similar names."""

    name: str
    exists: bool | None
    commit: str = ""
    title: str = ""
    suggestions: tuple[str, ...] = ()
    message: str = ""
    checked_at: datetime | None = None
    is_temporary: bool = False  # the failure may be temporary

    @property
    def short_commit(self) -> str:
        return self.commit[:7]

    @property
    def hint(self) -> str:
        """What to do about a branch that is missing."""
        if not self.suggestions:
            return _("Create the branch there, then try again.")
        names = ", ".join(self.suggestions)
        return _("Did you mean %(names)s? Otherwise, create the branch there, then try again.") % {
            "names": names
        }


def look_up(scm: ScmIntegration, name: str, *, within: float) -> BranchHead:
    """Check now (network, up to `within` seconds). Raises nothing."""
    try:
        with one_call(tenant_id=scm.tenant_id, integration_id=scm.pk):
            found: Branch = provider_for(scm).branch(name, within=within)
    except ProviderError as error:
        words = _("Could not check whether the branch exists. %(reason)s") % {
            "reason": error.message
        }
        return BranchHead(name=name, exists=None, message=words, is_temporary=error.is_temporary)
    now = clock.now()
    if found.exists:
        title = vendor_words(found.title, secrets=())
        commit = found.commit
        return BranchHead(name=name, exists=True, commit=commit, title=title, checked_at=now)
    return BranchHead(
        name=name,
        exists=False,
        suggestions=found.similar[:MAX_SUGGESTIONS],
        message=missing_words(scm, name),
        checked_at=now,
    )


def missing_words(scm: ScmIntegration, name: str) -> str:
    return _("%(branch)s does not exist in %(repository)s.") % {
        "branch": name,
        "repository": scm.summary,
    }


def look_up_for_dry_run(scm: ScmIntegration, name: str, *, user: User) -> BranchHead:
    """`look_up` within a request, with limits on its rate and concurrency."""
    try:
        with throttled_call("branch", user=user, limit=DRY_RUNS_PER_MINUTE):
            return look_up(scm, name, within=REQUEST_TIMEOUT)
    except Problem as problem:
        words = _("The branch was not checked. %(reason)s") % {"reason": problem.detail}
        return BranchHead(name=name, exists=None, message=words)


def require_branch(scm: ScmIntegration, name: str, *, release: Release | None = None) -> BranchHead:
    """Check the branch before a build is triggered (network). Raises ProviderError (REFUSED) if it
    is certainly missing; if that is unknown, the CI server decides."""
    found = look_up(scm, name, within=WORKER_TIMEOUT)
    if release is not None:
        _store(release, found)
    if found.exists is False:
        raise ProviderError.refused("branch_missing", found.message, found.hint)
    return found


def head_of(release: Release) -> BranchHead:
    """The result of the last check, from the database."""
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
    """Ids of releases whose branch is due for a check; each is claimed for one worker for 40 s."""
    now = clock.now()
    free = Release.objects.select_for_update(skip_locked=True, no_key=True, of=("self",))
    waiting = free.filter(branch_look_at__lte=now).order_by("branch_look_at")
    ids = list(waiting.values_list("pk", flat=True)[:50])
    Release.objects.filter(pk__in=ids).update(branch_look_at=now + CLAIM)
    return ids


def check_branch(release_id: str) -> None:
    """Check the branch of one release, and store the result."""
    releases = Release.objects.select_related("scm").filter(branch_look_at__isnull=False)
    release = releases.filter(pk=release_id).first()
    if release is None:
        return
    with slot(tenant_id=release.tenant_id, integration_id=release.scm_id) as is_free:
        if is_free:
            _store(release, look_up(release.scm, release.branch, within=WORKER_TIMEOUT))
        else:
            Release.objects.filter(pk=release.pk).update(
                branch_look_at=clock.now() + SLOT_RETRY_DELAY
            )


def _store(release: Release, found: BranchHead) -> None:
    """A failed check keeps the result of the last successful one."""
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
    next_at = _next_check(release, found)
    Release.objects.filter(pk=release.pk).update(branch_look_at=next_at, **seen)
    if found.exists and found.commit != release.branch_commit:
        look_soon(release.pk)


def _next_check(release: Release, found: BranchHead) -> datetime | None:
    """When to check again; None if nothing new can be expected."""
    now = clock.now()
    is_waiting = release.status == ReleaseStatus.KICKOFF_PENDING
    if not is_waiting or now - release.created_at > GIVE_UP_AFTER:
        return None
    if found.exists is False:
        return now + MISSING_PAUSE
    return now + FAILURE_PAUSE if found.exists is None and found.is_temporary else None
