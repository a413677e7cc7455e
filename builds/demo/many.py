"""Many past releases, copied in bulk from those that the sandbox really built.

Every row of a copy is a row of its original under new ids, with its own version, numbers and times.
The sandbox does not know the copies: links to their builds and epics lead nowhere.
"""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import models, transaction

from builds.models import Build, BuildEvent, WebhookDelivery
from delivr.audit.operations import record_each
from delivr.effects.models import Effect
from delivr.ids import new_id
from delivr.tenants.models import Tenant
from releases.models import (
    Release,
    ReleasePipeline,
    ReleaseQuerySet,
    ReleaseStatus,
    ReleaseTarget,
)

AT_ONCE = 50  # releases in a transaction
STRETCH = (0.7, 1.5)  # how long a copy's builds take, times those of its original
GAP = (1.0, 4.0)  # days between two releases
JSON_FIELDS = ("parameters", "payload", "result", "artifacts")
TEXTS = ("url", "build_url", "artifact_url", "dedupe_key", "branch", "version", "held_version")


@dataclass
class Copier:
    """Copies one release. `replaced` holds the new ids, version and numbers by the old ones."""

    release: Release
    version: str
    created_at: datetime
    stretch: float
    epic: int  # the number of its first epic
    numbers: Mapping[str, Iterator[int]]  # of the next older build, by job
    effects: list[Effect]
    replaced: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.replaced = {self.release.pk: new_id("rel"), self.release.version: self.version}

    def renamed(self, row: Any, prefix: str, **changes: Any) -> Any:
        self.replaced[row.pk] = new_id(prefix)
        return self.copied(row, pk=self.replaced[row.pk], **changes)

    def copied(self, row: Any, **changes: Any) -> Any:
        """An unsaved copy with its times moved and all that was replaced replaced."""
        made = copy.copy(row)
        made._state = type(row._state)()  # no cached relations
        made.pk = None
        for column in row._meta.concrete_fields:
            value = getattr(row, column.attname)
            if isinstance(value, datetime):
                setattr(made, column.attname, self.moved(value))
            elif column.attname in JSON_FIELDS:
                setattr(made, column.attname, json.loads(self.text(json.dumps(value))))
            elif column.attname in TEXTS and value:
                setattr(made, column.attname, self.text(value))
        for name, value in changes.items():
            setattr(made, name, value)
        return made

    def moved(self, moment: datetime) -> datetime:
        return self.created_at + (moment - self.release.created_at) * self.stretch

    def text(self, text: str) -> str:
        for old, new in self.replaced.items():
            text = re.sub(rf"(?<![\d.]){re.escape(old)}(?![\d])", new, text)
        return text


def multiply(tenant: Tenant, wanted: int, *, now: datetime, say: Callable[[str], None]) -> int:
    """Copy past releases until there are `wanted` of them; returns how many were created. Raises
    ValueError if there is none to copy."""
    if not wanted:
        return 0
    every: ReleaseQuerySet = Release.objects.for_tenant(tenant)
    known = set(every.values_list("version", flat=True))
    done = (ReleaseStatus.BUILD_COMPLETE, ReleaseStatus.CANCELLED)
    rows = (
        every.filter(status__in=done)
        .exclude(version__startswith="0.")
        .prefetch_related("targets", "pipelines__builds__events", "pipelines__builds__deliveries")
    )
    originals: list[Release] = list(rows)
    if not originals:
        raise ValueError("There is no finished release to copy.")
    missing = max(0, wanted - len(known))
    versions = [f"0.{n // 4 + 1}.{n % 4}" for n in range(wanted)]
    versions = [v for v in reversed(versions) if v not in known][:missing]
    oldest = every.order_by("created_at").values_list("created_at", flat=True)[0]
    copiers = list(_plan(originals, versions, before=min(now, oldest)))
    for start in range(0, len(copiers), AT_ONCE):
        part = copiers[start : start + AT_ONCE]
        with transaction.atomic():
            _store(part)
            copies = [Release(pk=c.replaced[c.release.pk], version=c.version) for c in part]
            record_each(tenant=tenant, actor=None, action="release.created", subjects=copies)
        say(f"{start + len(part)} of {len(copiers)} more releases")
    return len(copiers)


def _plan(originals: list[Release], versions: list[str], *, before: datetime) -> Iterator[Copier]:
    chance = random.Random(1)  # noqa: S311 # the same history each time
    parts = [part for release in originals for part in release.pipelines.all()]
    numbers = {job: _below(job) for job in {part.job_path for part in parts}}
    effects = {r.pk: list(Effect.objects.filter(release_id=r.pk)) for r in originals}
    at = before
    for place, version in enumerate(versions):
        original = chance.choice(originals)
        at -= timedelta(days=chance.uniform(*GAP))
        yield Copier(
            release=original,
            version=version,
            created_at=at,
            stretch=chance.uniform(*STRETCH),
            epic=10_000 + 2 * (len(versions) - place),
            numbers=numbers,
            effects=effects[original.pk],
        )


def _below(job: str) -> Iterator[int]:
    """The numbers below that of the job's first build, the highest first."""
    builds = Build.objects.filter(release_pipeline__job_path=job).exclude(number=None)
    first = builds.order_by("number").values_list("number", flat=True).first() or 1
    yield from range(first - 1, 0, -1)
    while True:
        yield 0


def _store(copiers: list[Copier]) -> None:
    releases = [c.copied(c.release, pk=c.replaced[c.release.pk]) for c in copiers]
    times = {made.pk: (made.created_at, made.updated_at) for made in releases}
    Release.objects.bulk_create(releases)  # which sets the times to now
    for made in releases:
        made.created_at, made.updated_at = times[made.pk]
    Release.objects.bulk_update(releases, ["created_at", "updated_at"])
    _create(ReleaseTarget, (row for c in copiers for row in _targets(c)))
    pipelines = [(c, old, new) for c in copiers for old, new in _pipelines(c)]
    _create(ReleasePipeline, (new for _c, _old, new in pipelines))
    builds = [(c, b) for c, old, new in pipelines for b in _builds(c, old, new)]
    _create(Build, (new for _c, (_old, new) in builds))
    _mirror(pipelines)
    deliveries = [(c, row) for c, (old, _new) in builds for row in _deliveries(c, old)]
    _create(WebhookDelivery, (row for _c, row in deliveries))
    events = [(c, old, _event(c, old)) for c, (b, _n) in builds for old in b.events.all()]
    _create(BuildEvent, (new for _c, _old, new in events))
    known = {(id(c), old.pk): new.pk for c, old, new in events}
    _create(Effect, (row for c in copiers for row in _effects(c, known)))


def _create(model: type[models.Model], rows: Iterable[Any]) -> None:
    model._default_manager.bulk_create(list(rows), batch_size=500)


def _targets(c: Copier) -> Iterator[ReleaseTarget]:
    for place, row in enumerate(c.release.targets.all()):
        project = row.epic_key.split("-")[0]
        key = f"{project}-{c.epic + place}" if row.epic_key else ""
        url = row.epic_url.replace(row.epic_key, key) if key else ""
        yield c.copied(row, release_id=c.replaced[c.release.pk], epic_key=key, epic_url=url)


def _pipelines(c: Copier) -> Iterator[tuple[ReleasePipeline, ReleasePipeline]]:
    for row in c.release.pipelines.all():
        yield row, c.copied(row, release_id=c.replaced[c.release.pk])


def _builds(c: Copier, old: ReleasePipeline, new: ReleasePipeline) -> Iterator[tuple[Build, Build]]:
    for build in old.builds.all():  # the newest first, which has the highest number
        number = next(c.numbers[old.job_path]) if build.number else None
        if build.number and number:
            c.replaced[str(build.number)] = str(number)
        made = c.renamed(build, "bld", release_pipeline_id=new.pk, number=number or None)
        made.url = made.url if number else ""
        yield build, made


def _mirror(pipelines: list[tuple[Copier, ReleasePipeline, ReleasePipeline]]) -> None:
    """The pipelines show the number and the address of their newest build."""
    rows = []
    for c, old, new in pipelines:
        number = c.replaced.get(str(old.build_number))
        new.build_number = int(number) if number else None
        new.build_url = c.text(old.build_url) if number else ""
        new.artifact_url = c.text(old.artifact_url)
        rows.append(new)
    names = ["build_number", "build_url", "artifact_url"]
    ReleasePipeline.objects.bulk_update(rows, names, batch_size=200)


def _deliveries(c: Copier, build: Build) -> Iterator[WebhookDelivery]:
    for row in build.deliveries.all():
        body = c.text(row.text).encode()
        key = f"copy:{c.replaced[build.pk]}:{row.pk}"
        changes = {"build_id": c.replaced[build.pk], "body": body, "dedupe_key": key}
        yield c.renamed(row, "whd", **changes)


def _event(c: Copier, row: BuildEvent) -> BuildEvent:
    delivery = c.replaced.get(row.delivery_id) if row.delivery_id else None
    made: BuildEvent = c.copied(row, build_id=c.replaced[row.build_id], delivery_id=delivery)
    return made


def _effects(c: Copier, events: Mapping[tuple[int, int], int]) -> Iterator[Effect]:
    for row in c.effects:
        changes = {"release_id": c.replaced[c.release.pk]}
        changes["build_id"] = c.replaced.get(row.build_id, "")
        made = c.renamed(row, "eff", **changes)
        if event := made.payload.get("event"):
            made.payload["event"] = events.get((id(c), event), event)
        yield made
