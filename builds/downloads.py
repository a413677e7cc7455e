"""Artifacts of a CI server, passed on to members of the workspace who have no account there.

A download occupies a thread of a web process, so each process runs only `PER_PROCESS` at a time.
Together with the calls of `integrations.throttle`, at least one thread of four (WEB_THREADS) stays
free. A download ends after `outbound.downloads.MAX_SECONDS`, at the size limit, or when the reader
has read nothing for `READER_SECONDS`.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, Self

from django.db import transaction
from django.http import Http404
from django.utils.translation import gettext as _

from builds.models import Build
from delivr.api.problems import Problem
from delivr.audit.operations import record
from delivr.outbound import Download
from delivr.tenants.models import User
from integrations.providers.registry import provider_for
from integrations.throttle import throttle
from releases.cards import downloads_of

PER_PROCESS = 1
PER_MINUTE = 30  # of one user
READER_SECONDS = 30  # for a part of 64 KB

_slots = threading.BoundedSemaphore(PER_PROCESS)


class Passing:
    """The parts of a download. It releases its slot when it is closed, or garbage-collected without
    being closed: Django does not close a response that it replaces by an error. It is not a
    generator, because a generator that was never started would not notice."""

    def __init__(self, download: Download) -> None:
        self._download: Download | None = download
        self.length = download.length

    def __del__(self) -> None:
        self.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        if self._download is None:
            raise StopIteration
        return next(self._download)

    def close(self) -> None:
        download, self._download = self._download, None
        if download is not None:
            download.close()
            _slots.release()


@dataclass(frozen=True)
class OpenArtifact:
    name: str
    parts: Passing


def open_artifact(*, build: Build, place: int, actor: User) -> OpenArtifact:
    """Start a download (network), and record who did.

    Raises Http404 if the build has no such artifact, Problem 429 if too many are on their way, and
    ProviderError if the CI server does not hand it out.
    """
    known = dict(downloads_of(build.pipeline, build))
    if place not in known:
        raise Http404
    name = known[place]
    throttle("download", user=actor, limit=PER_MINUTE)
    if not _slots.acquire(blocking=False):
        words = _("Another download is in progress. Try again when it has finished.")
        raise Problem(429, "throttled", words, headers={"Retry-After": "30"})
    try:
        download = _open(build, place)
    except BaseException:
        _slots.release()
        raise
    parts = Passing(download)
    try:
        with transaction.atomic():
            record(
                tenant=build.tenant,
                actor=actor,
                action="build.downloaded",
                subject=build,
                changes={"artifact": [None, name]},
            )
    except BaseException:
        parts.close()
        raise
    return OpenArtifact(name, parts)


def _open(build: Build, place: int) -> Download:
    pipeline = build.pipeline
    pipeline.job = build.job_path
    provider: Any = provider_for(pipeline)
    download: Download = provider.artifact(build.handle, build.artifacts[place]["url"])
    return download
