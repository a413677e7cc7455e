"""Why a build failed, from the end of its log: read by a worker, a bounded number of times.

It is nice to know, and no more: it waits while the CI server is unwell, and its failures say
nothing about the connection.
"""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.utils.translation import gettext as _

from builds.effects import ci_of
from builds.logs.excerpt import excerpt, plain
from builds.models import Build
from delivr.effects import clock
from delivr.effects.health import is_healthy
from delivr.encryption.fields import SecretUnreadable
from delivr.failures import Outcome, ProviderError
from integrations.concurrency import FULL, slot
from integrations.providers.base import LogTail
from integrations.redaction import redact, secrets_of

CLAIM = timedelta(seconds=40)  # longer than one reading lasts
PAUSES = tuple(timedelta(seconds=seconds) for seconds in (10, 30, 120, 600))  # between the tries
UNWELL = timedelta(minutes=1)
PATIENCE = timedelta(hours=2)  # after the build's end, for a CI server that is unwell


@transaction.atomic
def due_logs() -> list[str]:
    """Ids of builds whose log is to be read; each is handed out to one reader for 40 s."""
    now = clock.now()
    free = Build.objects.select_for_update(skip_locked=True, no_key=True, of=("self",))
    ids = list(free.filter(log_at__lte=now).order_by("log_at").values_list("pk", flat=True)[:50])
    Build.objects.filter(pk__in=ids).update(log_at=now + CLAIM)
    return ids


def read_log(build_id: str) -> None:
    """The job `log`: read the log's end of one build, keep the lines that matter."""
    builds = Build.objects.select_related("release_pipeline__pipeline")
    build = builds.filter(pk=build_id, log_at__isnull=False).first()
    if build is None:
        return
    where = {"tenant_id": build.tenant_id, "integration_id": build.pipeline.pk}
    if not is_healthy(**where):
        _wait(build)
        return
    with slot(**where) as is_free:
        if is_free:
            _read(build)
        else:
            _keep(build, log_at=clock.now() + FULL)


def _read(build: Build) -> None:
    try:
        tail: LogTail = ci_of(build).log_tail(number=build.number)
        # Plain first: a colour in the middle of a secret would hide it.
        lines = excerpt(redact(plain(tail.text), secrets_of(build.tenant_id)))
    except ProviderError as error:
        _failed(build, error.message, for_good=error.outcome is Outcome.REFUSED)
    except SecretUnreadable as error:
        _failed(build, str(error), for_good=True)
    except Exception:
        _failed(build, _("delivr met a fault of its own."), for_good=False)
        raise
    else:
        again = None if tail.is_final else _next_try(build)
        _keep(build, log_at=again, log_tries=build.log_tries + 1, log_excerpt=lines)


def _failed(build: Build, words: str, *, for_good: bool) -> None:
    again = None if for_good else _next_try(build)
    if again is None:
        _give_up(build, words)
    else:
        _keep(build, log_at=again, log_tries=build.log_tries + 1)


def _next_try(build: Build) -> object:
    """None where it was tried often enough."""
    if build.log_tries >= len(PAUSES):
        return None
    return clock.now() + PAUSES[build.log_tries]


def _wait(build: Build) -> None:
    """This uses up no try, but it ends."""
    if build.finished_at is None or build.finished_at > clock.now() - PATIENCE:
        _keep(build, log_at=clock.now() + UNWELL)
    else:
        _give_up(build, _("The CI server could not be asked for too long."))


def _give_up(build: Build, words: str) -> None:
    """What an earlier try brought stays."""
    error = "" if build.log_excerpt else words[:500]
    _keep(build, log_at=None, log_tries=build.log_tries + 1, log_error=error)


def _keep(build: Build, **values: object) -> None:
    """Unless the build moved on meanwhile: then this is about its past."""
    same = Build.objects.filter(pk=build.pk, status=build.status, number=build.number)
    same.filter(log_at__isnull=False).update(**values)
