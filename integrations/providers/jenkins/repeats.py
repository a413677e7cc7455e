"""A second run with our id: stopped where its causes say that it is a trigger of ours that arrived
twice. Any other is somebody's who wanted it."""

from __future__ import annotations

from typing import Any

from ..base import BuildStatus, Repeat
from .client import JenkinsClient
from .lookup import Lookup
from .reading import (
    PLAIN_ITEM_TREE,
    PLAIN_TREE,
    REPEAT_ITEM_TREE,
    REPEAT_TREE,
    build_id_of,
    is_started_by,
    read_item,
    status_of,
)


class Repeats:
    """Runs of one job with the id `build_id`; `user` is ours."""

    def __init__(self, client: JenkinsClient, path: str, *, build_id: str, user: str) -> None:
        self._client = client
        self._path = path
        self._build_id = build_id
        self._user = user

    def look(self, *, number: int | None, queue_id: int | None) -> Repeat | None:
        """How it stands; None while it waits or runs, and is ours to stop."""
        if number is not None:
            return self._built(number)
        document = self._client.get_fitting(
            f"/queue/item/{queue_id}", REPEAT_ITEM_TREE, PLAIN_ITEM_TREE
        )
        item = read_item(document) if document else None
        if document is None or item is None or not item.belongs_to(self._path):
            return Repeat.GONE
        if item.number is not None:
            return self._built(item.number)
        return self._verdict(document, Repeat.STOPPED if item.cancelled else None)

    def _built(self, number: int) -> Repeat | None:
        document = self._client.get_fitting(f"{self._path}/{number}", REPEAT_TREE, PLAIN_TREE)
        if document is None:
            Lookup(self._client, self._path).check_job()
            return Repeat.GONE
        return self._verdict(document, _ENDS.get(status_of(document), Repeat.ENDED))

    def _verdict(self, document: dict[str, Any], ours: Repeat | None) -> Repeat | None:
        is_ours = build_id_of(document) == self._build_id and is_started_by(document, self._user)
        return ours if is_ours else Repeat.FOREIGN

    def stop(self, *, number: int | None, queue_id: int | None) -> Repeat:
        """Stop it, or take it out of the queue, where `look` says None."""
        known = self.look(number=number, queue_id=queue_id)
        if known is not None:
            return Repeat.ENDED if known is Repeat.STOPPED else known  # by somebody else
        lookup = Lookup(self._client, self._path)
        if number is None and queue_id is not None:
            number = lookup.leave_queue(queue_id)
        if number is not None:
            lookup.stop(number)
        return Repeat.STOPPED


_ENDS = {BuildStatus.RUNNING: None, BuildStatus.ABORTED: Repeat.STOPPED}
