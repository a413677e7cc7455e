"""Stops a second run with our id if its causes show that our trigger arrived twice. Any other run
was started on purpose by someone else."""

from __future__ import annotations

from typing import Any

from ..ci import BuildHandle, BuildStatus, Duplicate
from .client import JenkinsClient
from .lookup import Lookup
from .reading import (
    DUPLICATE_ITEM_TREE,
    DUPLICATE_TREE,
    PLAIN_ITEM_TREE,
    PLAIN_TREE,
    build_id_of,
    is_started_by,
    read_item,
    status_of,
)


class Duplicates:
    """Runs of one job with the id `build_id`; `user` is ours."""

    def __init__(self, client: JenkinsClient, path: str, *, build_id: str, user: str) -> None:
        self._client = client
        self._path = path
        self._build_id = build_id
        self._user = user

    def look(self, handle: BuildHandle) -> Duplicate | None:
        """Its state; None while it waits or runs and may be stopped."""
        if handle.number is not None:
            return self._built(handle.number)
        document = self._client.get_fitting(
            f"/queue/item/{handle.queue_id}", DUPLICATE_ITEM_TREE, PLAIN_ITEM_TREE
        )
        item = read_item(document) if document else None
        if document is None or item is None or not item.belongs_to(self._path):
            return Duplicate.GONE
        if item.number is not None:
            return self._built(item.number)
        return self._verdict(document, Duplicate.STOPPED if item.cancelled else None)

    def _built(self, number: int) -> Duplicate | None:
        document = self._client.get_fitting(f"{self._path}/{number}", DUPLICATE_TREE, PLAIN_TREE)
        if document is None:
            Lookup(self._client, self._path).check_job()
            return Duplicate.GONE
        return self._verdict(document, _ENDS.get(status_of(document), Duplicate.ENDED))

    def _verdict(self, document: dict[str, Any], ours: Duplicate | None) -> Duplicate | None:
        is_ours = build_id_of(document) == self._build_id and is_started_by(document, self._user)
        return ours if is_ours else Duplicate.FOREIGN

    def stop(self, handle: BuildHandle) -> Duplicate:
        """Stop it, or remove it from the queue, if `look` returns None."""
        known = self.look(handle)
        if known is not None:
            return Duplicate.ENDED if known is Duplicate.STOPPED else known  # by someone else
        lookup, number = Lookup(self._client, self._path), handle.number
        if number is None and handle.queue_id is not None:
            number = lookup.leave_queue(handle.queue_id)
        if number is not None:
            lookup.stop(number)
        return Duplicate.STOPPED


_ENDS = {BuildStatus.RUNNING: None, BuildStatus.ABORTED: Duplicate.STOPPED}
