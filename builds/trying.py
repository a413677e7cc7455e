"""Try at once what a release waits for, instead of at the next planned time."""

from __future__ import annotations

from django.db import transaction
from django.utils.translation import gettext as _

from builds.models import Build
from builds.offers.looking import open_parts
from delivr.audit.operations import record
from delivr.effects import clock
from delivr.effects.health import forget_pause
from delivr.effects.models import Effect
from delivr.effects.operations import wake
from delivr.effects.queue import enqueue_on_commit
from delivr.failures import Conflict
from delivr.tenants.models import User
from integrations.throttle import throttle
from releases.models import Release, ReleaseStatus

PER_MINUTE = 6  # of one release, by one user: each may call all of its providers


def try_now(*, release: Release, actor: User) -> None:
    """Make everything that the release waits for due now: its effects, the polls of its builds, the
    next check of its branch, and the search for builds that it may adopt.

    What the provider asked to wait for, and refused credentials, still wait. Raises
    Conflict("nothing_waits"), and Problem 429 if it is called too often: every attempt counts
    towards the last one.
    """
    throttle(f"try_now:{release.pk}", user=actor, limit=PER_MINUTE)
    _make_due(release, actor)


@transaction.atomic
def _make_due(release: Release, actor: User) -> None:
    waiting = Effect.objects.for_tenant(release.tenant_id).filter(release_id=release.pk).open()
    polled = Build.objects.for_tenant(release.tenant_id).filter(
        release_pipeline__release=release, poll_at__isnull=False
    )
    looks = Release.objects.filter(pk=release.pk, branch_look_at__isnull=False).exclude(
        status=ReleaseStatus.CANCELLED
    )
    open_ones = open_parts(release.tenant_id).filter(release=release)
    used = {
        *waiting.values_list("integration_id", flat=True),
        *polled.values_list("release_pipeline__pipeline_id", flat=True),
        *open_ones.values_list("pipeline_id", flat=True),
    }
    if not used and not looks.exists():
        raise Conflict("nothing_waits", _("Nothing is waiting any more."))
    forget_pause(tenant_id=release.tenant_id, integration_ids=used)
    wake(waiting)
    polled.update(poll_at=clock.now())
    for part_id in open_ones.values_list("pk", flat=True):
        enqueue_on_commit("offers", str(part_id))
    open_ones.update(look_at=clock.now())
    if looks.update(branch_look_at=clock.now()):
        enqueue_on_commit("branch", release.pk)
    record(tenant=release.tenant, actor=actor, action="release.tried_now", subject=release)
