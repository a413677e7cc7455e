"""Artifacts of a CI server, for members of the workspace who have no account there. The server
gives out a link that is valid for a moment, which is stored nowhere, or the file passes through
delivr: whichever the provider can do.

A download holds a thread of a web process for as long as it takes, so only `PER_PROCESS` run at a
time in each; together with the calls of `integrations.throttle` at least one thread of four
(WEB_THREADS) stays free. It ends after `outbound.downloads.MAX_SECONDS`, at its largest size, where
it is slower than `outbound.downloads.LEAST_RATE`, or when the reader takes nothing for
`READER_SECONDS`. A workspace that has had a slot for `SHARE` seconds lately leaves it to others.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Self

from django.db import transaction
from django.http import Http404, StreamingHttpResponse
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _

from builds.effects import ci_of
from builds.models import Build
from delivr.api.problems import throttled
from delivr.audit.operations import record
from delivr.failures import Conflict, ProviderError
from delivr.outbound import Download
from delivr.tenants.models import User
from integrations.throttle import throttle, throttled_call
from releases.cards import downloads_of

PER_PROCESS = 1
PER_MINUTE = 30  # of one user
READER_SECONDS = 10  # for a part of 64 KB
WINDOW = 900.0  # seconds …
SHARE = 150.0  # … of which one workspace has a slot so long before it has to wait


class _Slots:
    """The slots of this process, and who had them how long."""

    def __init__(self) -> None:
        self._free = threading.BoundedSemaphore(PER_PROCESS)
        self._lock = threading.Lock()
        self._held: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)

    def take(self, tenant_id: str) -> None:
        """Raises Problem 429."""
        if self.held_by(tenant_id) > SHARE:
            words = _("This workspace used up its download time. Try again in a few minutes.")
            raise throttled(words, int(WINDOW / 3))
        if not self._free.acquire(blocking=False):
            words = _("Another download is in progress. Try again when it has finished.")
            raise throttled(words, 30)

    def give_back(self, tenant_id: str, since: float) -> None:
        with self._lock:
            self._held[tenant_id].append((since, time.monotonic()))
        self._free.release()

    def held_by(self, tenant_id: str) -> float:
        """For how many seconds of the last `WINDOW` a workspace had a slot."""
        begin = time.monotonic() - WINDOW
        with self._lock:
            recent = [(start, end) for start, end in self._held[tenant_id] if end > begin]
            self._held[tenant_id] = recent
            if not recent:
                del self._held[tenant_id]
        return sum(end - max(start, begin) for start, end in recent)


_slots = _Slots()


class Passing:
    """The parts of a download; gives its slot back when it is closed, or dropped unclosed: Django
    does not close an answer in whose place it sends an error. Not a generator: one that was never
    started would not notice."""

    def __init__(self, download: Download, tenant_id: str) -> None:
        self._download: Download | None = download
        self._tenant_id, self._since = tenant_id, time.monotonic()
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
            _slots.give_back(self._tenant_id, self._since)


@dataclass(frozen=True)
class OpenArtifact:
    name: str
    parts: Passing


def open_artifact(*, build: Build, key: str, actor: User) -> OpenArtifact | str:
    """The file, whose start is recorded; or an address from which it can be downloaded now
    (network). `key` is the artifact's, or its place where it has none.

    Raises Http404 if the build has no such artifact, Conflict("artifact_gone") if the CI server
    does not hand it out (any more), and Problem 429 if too many are on their way.
    """
    if any(one.get("key") == key for one in build.artifacts):
        with throttled_call("artifact", user=actor):
            return _link_to(build, key)
    names = dict(downloads_of(build.pipeline, build))
    if key not in names:
        raise Http404
    throttle("download", user=actor, limit=PER_MINUTE)
    parts = _open(build, build.artifacts[int(key)]["url"])
    try:
        with transaction.atomic():
            record(
                tenant=build.tenant,
                actor=actor,
                action="build.downloaded",
                subject=build,
                changes={"artifact": [None, names[key]]},
            )
    except BaseException:
        parts.close()
        raise
    return OpenArtifact(names[key], parts)


def fetch(*, tenant_id: str, build_id: str, place: str) -> Download:
    """Open an artifact for delivr itself (network); the caller closes it. Raises ProviderError."""
    build = (
        Build.objects.for_tenant(tenant_id)
        .select_related("release_pipeline__pipeline")
        .get(pk=build_id)
    )
    provider: Any = ci_of(build)
    opened: Download = provider.artifact(build.handle, build.artifacts[int(place)]["url"])
    return opened


def _link_to(build: Build, key: str) -> str:
    try:
        address: str = ci_of(build).artifact_address(key)
    except ProviderError as error:
        words = " ".join(filter(None, [error.message, error.hint]))
    except NotImplementedError:
        words = _("The CI server does not offer such links.")
    else:
        return address
    raise Conflict("artifact_gone", words)


def _open(build: Build, url: str) -> Passing:
    _slots.take(build.tenant_id)
    since = time.monotonic()
    try:
        provider: Any = ci_of(build)
        return Passing(provider.artifact(build.handle, url), build.tenant_id)
    except BaseException as error:
        _slots.give_back(build.tenant_id, since)
        if not isinstance(error, ProviderError):
            raise
    words = _("%(provider)s did not return the file. Open it there, or verify the pipeline.")
    raise Conflict("artifact_gone", words % {"provider": build.pipeline.kind_label})


def attachment(opened: OpenArtifact, *, reader: Any) -> StreamingHttpResponse:
    """A response with the file, never shown in the browser. `reader` is gunicorn's socket; other
    servers give none."""
    if reader:
        reader.settimeout(READER_SECONDS)
    headers = {
        "Content-Disposition": content_disposition_header(True, opened.name) or "attachment",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }
    if opened.parts.length is not None:
        headers["Content-Length"] = str(opened.parts.length)
    kind = "application/octet-stream"
    return StreamingHttpResponse(opened.parts, content_type=kind, headers=headers)
