"""Finding, reading and stopping one build. Every URL is built from our own address and numbers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from ..base import BuildState, BuildStatus, Outcome, ProviderError, Retry
from .client import JenkinsClient
from .paths import full_name
from .reading import (
    BUILD_TREE,
    ITEM_TREE,
    LIST_TREE,
    RETRY_TREE,
    Item,
    build_id_of,
    documents,
    moment,
    read_build,
    read_item,
    read_retry,
    whole_number,
)

TOO_MANY = "cannot_correlate"
PAGE = 50
PAGES = 4  # 200 builds: more than a job does while an answer is being looked for
CLOCK_SKEW = timedelta(minutes=10)  # between this server's clock and Jenkins'
_QUEUE_TREE = f"items[{ITEM_TREE}]"


class Lookup:
    """Builds of one job, whose path is normalised."""

    def __init__(self, client: JenkinsClient, path: str) -> None:
        self._client = client
        self._path = path
        self._url = client.base + path

    def find(self, build_id: str, *, since: datetime | None) -> BuildState | None:
        """The first that carries our id: whoever runs it again sends our id, too. The queue is read
        before the builds, the way that items go."""
        queued = self.queued(build_id)
        try:
            return self.build(build_id=build_id, since=since) or queued
        except ProviderError as error:
            if error.code != TOO_MANY or queued is None:
                raise
            return queued

    # --- The queue

    def queued(self, build_id: str) -> BuildState | None:
        """The first item that carries our id. Jobs further down may be handed the same parameters:
        theirs are not meant."""
        return min(self._queued(build_id), key=lambda item: item.queue_id or 0, default=None)

    def _queued(self, build_id: str) -> Iterator[BuildState]:
        answer = self._client.get("/queue", tree=_QUEUE_TREE)
        for item in map(read_item, documents(answer, "items")):
            if item and item.build_id == build_id and item.belongs_to(self._path):
                yield item.state()

    def item(
        self, queue_id: int, *, build_id: str, since: datetime | None = None
    ) -> BuildState | None:
        """By its place in the queue, which Jenkins forgets five minutes after it was left."""
        item = self._item(queue_id)
        if item is None or _is_foreign(item.build_id, build_id):
            return self.build(queue_id=queue_id, build_id=build_id, since=since)
        if item.number is None:
            return item.state()
        found = self.numbered(item.number)
        is_foreign = found is not None and _is_foreign(found.carried_id, build_id)
        return item.state() if found is None or is_foreign else found

    def _item(self, queue_id: int) -> Item | None:
        document = self._client.get_or_none(f"/queue/item/{queue_id}", tree=ITEM_TREE)
        item = read_item(document) if document else None
        return item if item and item.belongs_to(self._path) else None

    # --- Builds

    def numbered(self, number: int) -> BuildState | None:
        """Whatever has this number; None where the job answers and has no such build.

        Jenkins answers 404 to everything below a job while it reloads, and to whoever may not see
        the job: that says nothing of the build.
        """
        document = self._client.get_or_none(f"{self._path}/{number}", tree=BUILD_TREE)
        if document is not None:
            return read_build(document, job_url=self._url)
        self.check_job()
        return None

    def check_job(self) -> None:
        """Raises ProviderError where the job itself cannot be read: then nothing below it can."""
        if self._client.get_or_none(self._path, tree="name") is None:
            raise job_unreadable(self._path, self._client.username)

    def build(
        self, *, build_id: str, queue_id: int | None = None, since: datetime | None = None
    ) -> BuildState | None:
        """The first build with our id, or else with this queue id. None where there is none.

        Raises ProviderError "cannot_correlate" where `since` lies beyond what can be looked at.
        """
        by_id: BuildState | None = None
        by_queue: BuildState | None = None
        try:
            for document in self._builds(since):
                if build_id and build_id_of(document) == build_id:
                    by_id = read_build(document, job_url=self._url)
                elif queue_id is not None and _is_item(document, queue_id, build_id):
                    by_queue = by_queue or read_build(document, job_url=self._url)
        except ProviderError as error:
            if error.code != TOO_MANY or by_id is None:
                raise
        return self._whole(by_id or by_queue)

    def _whole(self, listed: BuildState | None) -> BuildState | None:
        """With its artifacts, which lists leave out."""
        if listed is None or listed.number is None or listed.status is BuildStatus.RUNNING:
            return listed
        return self.numbered(listed.number) or listed

    def all_with(self, build_id: str, *, since: datetime) -> list[BuildState]:
        """All that carries our id: the queue first, the way that items go, then the builds back to
        `since`."""
        queued = list(self._queued(build_id))
        ours = (b for b in self._builds(since) if build_id_of(b) == build_id)
        built = (read_build(document, job_url=self._url) for document in ours)
        return queued + [state for state in built if state is not None]

    def retries(self, number: int, build_id: str, *, since: datetime) -> list[Retry]:
        """What was started again from build `number`, back to `since`, the newest first."""
        found: list[Retry] = []
        try:
            for document in self._builds(since, tree=RETRY_TREE):
                retry = read_retry(document, job_url=self._url, number=number, build_id=build_id)
                found += [retry] if retry else []
        except ProviderError as error:
            if error.code != TOO_MANY:
                raise
        return found

    def _builds(self, since: datetime | None, *, tree: str = LIST_TREE) -> Iterator[dict[str, Any]]:
        """Builds, newest first, back to `since`."""
        for start in range(0, PAGES * PAGE, PAGE):
            page = self._page("builds" if start < 100 else "allBuilds", start, tree)
            yield from page
            if len(page) < PAGE:
                return
            oldest = moment(page[-1].get("timestamp"))
            if since is None or (oldest is not None and oldest < since - CLOCK_SKEW):
                return
        raise ProviderError(
            TOO_MANY,
            f"The job has had more than {PAGES * PAGE} builds since.",
            "Look into Jenkins whether the build started, then adopt it or retry.",
            outcome=Outcome.REFUSED,
        )

    def _page(self, name: str, start: int, tree: str) -> list[dict[str, Any]]:
        listed = f"{name}[{tree}]{{{start},{start + PAGE}}}"
        document = self._client.get_or_none(self._path, tree=listed)
        if document is None:
            raise job_unreadable(self._path, self._client.username)
        return documents(document, name)

    # --- Stopping

    def leave_queue(self, queue_id: int) -> int | None:
        """Take it out of the queue; its number if it became a build meanwhile.

        Older servers answer 302, and 422 also where the item has just left: so look again. What
        has left may have no number for a moment; what waits says why.
        """
        answer = self._client.post("/queue/cancelItem", id=str(queue_id))
        if answer.status_code not in (204, 302, 404, 422):
            raise self._client.error(answer)
        state = self.item(queue_id, build_id="")
        if state is None:
            return None
        if state.status is BuildStatus.QUEUED and not state.queue_reason:
            raise _just_left()
        if state.status is BuildStatus.QUEUED and answer.status_code == 422:
            raise self._client.error(answer)
        return state.number

    def stop(self, number: int) -> None:
        """Jenkins redirects to where the click came from, whether or not anything was running."""
        if self._is_running(number):
            self._stop(number)

    def _stop(self, number: int) -> None:
        answer = self._client.post(f"{self._path}/{number}/stop")
        if answer.status_code not in (200, 201, 204, 302, 303, 404):
            raise self._client.error(answer)

    def _is_running(self, number: int) -> bool:
        state = self.numbered(number)
        return state is not None and state.status is BuildStatus.RUNNING


def job_unreadable(path: str, username: str) -> ProviderError:
    """Passing as far as anybody can tell: the job may be there again in a minute."""
    return ProviderError(
        "job_unreadable",
        f"Jenkins shows no job {full_name(path)} at the moment.",
        f"It may be reloading. If it stays, look whether the job was moved and whether {username} "
        "has Job/Read.",
        outcome=Outcome.UNCERTAIN,
    )


def _just_left() -> ProviderError:
    return ProviderError(
        "just_left",
        "It has just left Jenkins' queue, and has no number yet.",
        "It is stopped in a moment.",
        outcome=Outcome.NOT_SENT,
    )


def _is_foreign(theirs: str, ours: str) -> bool:
    """Numbers start anew where a job was made again: an id that is not ours says so."""
    return bool(theirs and ours and theirs != ours)


def _is_item(document: dict[str, Any], queue_id: int, build_id: str) -> bool:
    same = whole_number(document.get("queueId")) == queue_id
    return same and not _is_foreign(build_id_of(document), build_id)
