"""Looks up what stands in the way of a submission, before anything is sent to the store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from delivr.effects import clock
from delivr.effects.handlers import Postpone
from delivr.effects.health import one_call
from delivr.effects.queue import enqueue_on_commit
from delivr.failures import ProviderError
from integrations.concurrency import SLOT_RETRY_DELAY, slot
from integrations.providers.base import Check, Level
from integrations.providers.registry import provider_for
from integrations.providers.stores import ANOTHER_IN_REVIEW, StoreProvider
from releases.models import Release, ReleaseTarget
from submissions.locks import ONE_CALL, locked
from submissions.models import Preflight, store_of
from submissions.plans import draft, is_built

CLAIM = timedelta(seconds=60)  # longer than one lookup takes
LOOK_AGAIN = timedelta(minutes=1)
LOOKS_FOR = timedelta(days=1)  # after the builds were complete
BATCH = 50


def stops(check: Check) -> bool:
    """The submission cannot go on."""
    return not check.ok and check.level is Level.ERROR


def passes_by_itself(checks: Iterable[Check]) -> bool:
    """Everything that stands in the way may go away without anybody's help: the store still
    processes the build, say."""
    return all(check.is_temporary for check in checks if stops(check))


def store_checks(part: ReleaseTarget, checks: Sequence[Check]) -> None:
    store = store_of(part.target)
    names = {**store.step_names, **store.preflight_names}
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


def other_in_the_way(part: ReleaseTarget) -> dict[str, Any] | None:
    """The check that found another build in the way of this one's beta review, if one did."""
    found = getattr(part, "preflight", None)
    checks = found.checks if found else []
    return next((c for c in checks if c["code"] == ANOTHER_IN_REVIEW and c.get("subject")), None)


def out_of_the_way(part: ReleaseTarget, build: str) -> None:
    """It is not: forget what was found about it."""
    row = Preflight.objects.for_tenant(part.tenant_id).filter(release_target=part).first()
    if row is not None:
        about = (ANOTHER_IN_REVIEW, build)
        row.checks = [c for c in row.checks if (c["code"], c.get("subject")) != about]
        row.save(update_fields=["checks"])


@transaction.atomic
def ask(release: Release) -> None:
    """Have it looked up soon for each target whose builds are complete. Called, too, when the
    builds of a release become complete (`settings.BUILDS_COMPLETE`)."""
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
            with locked(provider.lock_key, longest=ONE_CALL), one_call(**where):
                checks = list(provider.preflight(draft(part).plan))
        except Postpone as later:
            rows.update(look_at=clock.now() + later.delay)
        except ProviderError as error:
            keep(part, [Check.from_error("store", error)], pause=error.retry_after or 0)
        else:
            keep(part, checks)


def keep(part: ReleaseTarget, checks: Sequence[Check], *, pause: float = 0) -> None:
    """Store what was found; look again by itself if waiting may help, for a day."""
    store_checks(part, checks)
    now, built_at = clock.now(), part.release.completed_at
    is_late = built_at is None or now - built_at > LOOKS_FOR
    if any(map(stops, checks)) and passes_by_itself(checks) and not is_late:
        again = now + max(timedelta(seconds=pause), LOOK_AGAIN)
        Preflight.objects.filter(release_target=part).update(look_at=again)


def blockers_words(checks: Sequence[Check]) -> str:
    """What stands in the way, in one sentence."""
    bad = [check for check in checks if stops(check)]
    first = bad[0].message
    if len(bad) == 1:
        return first
    return _("%(first)s And %(count)d more.") % {"first": first, "count": len(bad) - 1}
