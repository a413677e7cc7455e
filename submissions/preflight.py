"""Looks up what stands in the way of a submission, before anything is sent to the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta

from django.db import transaction
from django.utils.translation import gettext as _

from delivr.effects import clock
from delivr.effects.handlers import Postpone
from delivr.effects.health import one_call
from delivr.effects.queue import enqueue_on_commit
from delivr.failures import Outcome, ProviderError
from integrations.concurrency import SLOT_RETRY_DELAY, slot
from integrations.providers.base import Check, Level
from integrations.providers.registry import provider_for
from integrations.providers.stores import StoreProvider, SubmissionPlan
from releases.models import Release, ReleaseTarget
from submissions.locks import locked
from submissions.models import Preflight, store_of
from submissions.plans import draft, is_built

CLAIM = timedelta(seconds=60)  # longer than one lookup takes
FAILURE_PAUSE = timedelta(minutes=1)
BATCH = 50


def stops(check: Check) -> bool:
    """The submission cannot go on."""
    return not check.ok and check.level is Level.ERROR


def look_up(provider: StoreProvider, plan: SubmissionPlan) -> list[Check]:
    """The checks of a provider (network); a temporary failure raises ProviderError instead."""
    checks = list(provider.preflight(plan))
    for check in checks:
        if stops(check) and check.is_temporary:
            raise ProviderError(
                check.code, check.message, check.hint, outcome=Outcome.NOT_SENT
            ) from None
    return checks


def store_checks(part: ReleaseTarget, checks: Sequence[Check]) -> None:
    names = store_of(part.target).preflight_names
    rows = [{**asdict(check), "label": str(names.get(check.name, check.name))} for check in checks]
    values = {
        "checks": rows,
        "is_ready": bool(rows) and not any(map(stops, checks)),
        "checked_at": clock.now(),
        "look_at": None,
    }
    Preflight.objects.update_or_create(
        tenant_id=part.tenant_id, release_target=part, defaults=values
    )


@transaction.atomic
def ask(release: Release) -> None:
    """Have it looked up soon for each target whose builds are complete."""
    now = clock.now()
    for part in parts_of(release):
        if not is_built(part) or part.target.disconnected_at is not None:
            continue
        row, _is_new = Preflight.objects.get_or_create(
            tenant_id=part.tenant_id, release_target=part
        )
        Preflight.objects.filter(pk=row.pk).update(look_at=now)
        enqueue_on_commit("preflight", str(row.pk))


def parts_of(release: Release) -> list[ReleaseTarget]:
    """The release's targets, with what a submission needs to know."""
    rows = release.targets.select_related("target", "release", "preflight")
    return list(rows.prefetch_related("release__pipelines__pipeline"))


@transaction.atomic
def due() -> list[str]:
    """Ids of those that are due; each is claimed for one worker for a minute."""
    now = clock.now()
    free = Preflight.objects.select_for_update(skip_locked=True, no_key=True, of=("self",))
    ids = list(
        free.filter(look_at__lte=now).order_by("look_at").values_list("pk", flat=True)[:BATCH]
    )
    Preflight.objects.filter(pk__in=ids).update(look_at=now + CLAIM)
    return [str(pk) for pk in ids]


def check(preflight_id: str) -> None:
    """The job `preflight`: look one up and store what was found."""
    rows = Preflight.objects.filter(pk=preflight_id, look_at__isnull=False)
    row = rows.select_related("release_target__target", "release_target__release").first()
    if row is None:
        return
    part = row.release_target
    where = {"tenant_id": row.tenant_id, "integration_id": part.target_id}
    with slot(**where) as is_free:
        if not is_free:
            rows.update(look_at=clock.now() + SLOT_RETRY_DELAY)
            return
        try:
            provider: StoreProvider = provider_for(part.target)
            with locked(provider.lock_key), one_call(**where):
                checks = look_up(provider, draft(part).plan)
        except Postpone as later:
            rows.update(look_at=clock.now() + later.delay)
        except ProviderError as error:
            _note_failure(part, error)
        else:
            store_checks(part, checks)


def _note_failure(part: ReleaseTarget, error: ProviderError) -> None:
    """Say so; a temporary failure is tried again by itself."""
    check = Check.from_error("store", error)
    again = clock.now() + max(timedelta(seconds=error.retry_after or 0), FAILURE_PAUSE)
    store_checks(part, [check])
    if error.is_temporary:
        Preflight.objects.filter(release_target=part).update(look_at=again)


def blockers_words(checks: Sequence[Check]) -> str:
    """What stands in the way, in one sentence."""
    bad = [check for check in checks if stops(check)]
    first = bad[0].message
    if len(bad) == 1:
        return first
    return _("%(first)s And %(count)d more.") % {"first": first, "count": len(bad) - 1}
