"""Read the end of a failed build's log in a worker, with a limited number of attempts.

The excerpt is optional: reading waits while the CI server is unhealthy, and its failures do not
count against the connection.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from builds.effects import ci_of
from builds.logs.excerpt import excerpt, plain
from builds.models import Build, TestBuild
from delivr.effects import clock
from delivr.effects.health import is_healthy
from delivr.encryption.fields import SecretUnreadable
from delivr.failures import Outcome, ProviderError
from integrations.concurrency import SLOT_RETRY_DELAY, slot
from integrations.providers.ci import LogTail
from integrations.redaction import redact, secrets_of

CLAIM = timedelta(seconds=40)  # longer than one attempt takes
PAUSES = tuple(timedelta(seconds=seconds) for seconds in (10, 30, 120, 600))  # between attempts
UNHEALTHY_PAUSE = timedelta(minutes=1)
GIVE_UP_AFTER = timedelta(hours=2)  # after the build's end, if the CI server stays unhealthy


def due_logs() -> list[str]:
    """Ids of builds whose log is due to be read; each is claimed for one worker for 40 s."""
    return _due(Build)


def due_test_logs() -> list[str]:
    return _due(TestBuild)


@transaction.atomic
def _due(model: type[Build] | type[TestBuild]) -> list[str]:
    now = clock.now()
    free = model.objects.select_for_update(skip_locked=True, no_key=True, of=("self",))
    ids = list(free.filter(log_at__lte=now).order_by("log_at").values_list("pk", flat=True)[:50])
    model.objects.filter(pk__in=ids).update(log_at=now + CLAIM)
    return ids


def read_log(build_id: str) -> None:
    """The job `log`: read the end of one build's log and store its relevant lines."""
    _read_log(Build.objects.select_related("release_pipeline__pipeline"), build_id)


def read_test_log(test_id: str) -> None:
    """The job `log_test`: the same for a test build."""
    _read_log(TestBuild.objects.select_related("pipeline"), test_id)


def _read_log(builds: QuerySet[Any], build_id: str) -> None:
    build = builds.filter(pk=build_id, log_at__isnull=False).first()
    if build is None:
        return
    where = {"tenant_id": build.tenant_id, "integration_id": build.pipeline.pk}
    if not is_healthy(**where):
        _postpone(build)
        return
    with slot(**where) as is_free:
        if is_free:
            _read(build)
        else:
            _update(build, log_at=clock.now() + SLOT_RETRY_DELAY)


def _read(build: Build | TestBuild) -> None:
    try:
        tail: LogTail = ci_of(build).log_tail(build.handle)
        # `plain` comes first: a color code inside a secret would hide it from `redact`.
        secrets = secrets_of(build.tenant_id)
        told = [redact(plain(line), secrets) for line in tail.headlines]
        lines = "\n".join(filter(None, [*told, excerpt(redact(plain(tail.text), secrets))]))
    except ProviderError as error:
        _failed(build, error.message, is_permanent=error.outcome is Outcome.REFUSED)
    except SecretUnreadable as error:
        _failed(build, str(error), is_permanent=True)
    except Exception:
        _failed(build, _("delivr had an internal error."), is_permanent=False)
        raise
    else:
        next_at = None if tail.is_final else _next_attempt(build)
        _update(build, log_at=next_at, log_tries=build.log_tries + 1, log_excerpt=lines)


def _failed(build: Build | TestBuild, words: str, *, is_permanent: bool) -> None:
    next_at = None if is_permanent else _next_attempt(build)
    if next_at is None:
        _give_up(build, words)
    else:
        _update(build, log_at=next_at, log_tries=build.log_tries + 1)


def _next_attempt(build: Build | TestBuild) -> object:
    """When to try again; None after the last attempt."""
    if build.log_tries >= len(PAUSES):
        return None
    return clock.now() + PAUSES[build.log_tries]


def _postpone(build: Build | TestBuild) -> None:
    """Wait for an unhealthy CI server: not counted as an attempt, but limited."""
    if build.finished_at is None or build.finished_at > clock.now() - GIVE_UP_AFTER:
        _update(build, log_at=clock.now() + UNHEALTHY_PAUSE)
    else:
        _give_up(build, _("The CI server could not be reached for too long."))


def _give_up(build: Build | TestBuild, words: str) -> None:
    """The excerpt of an earlier attempt is kept."""
    error = "" if build.log_excerpt else words[:500]
    _update(build, log_at=None, log_tries=build.log_tries + 1, log_error=error)


def _update(build: Build | TestBuild, **values: object) -> None:
    """Store the values, unless the build changed in the meantime and they are outdated."""
    same = type(build).objects.filter(pk=build.pk, status=build.status, number=build.number)
    same.filter(log_at__isnull=False).update(**values)
