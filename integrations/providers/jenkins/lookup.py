"""Finds, reads and stops builds. All URLs are built from our own address and numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from delivr.outbound import OutboundError

from ..base import Outcome, ProviderError
from ..ci import BuildState, BuildStatus, Retry
from ..http import error_from_status, garbage
from .client import LABEL, JenkinsClient, check_too_large
from .paths import full_name
from .questions import questions_of
from .reading import (
    BUILD_TREE,
    ITEM_TREE,
    LIST_TREE,
    MAX_ARTIFACTS,
    PLAIN_ITEM_TREE,
    PLAIN_TREE,
    RETRY_TREE,
    Item,
    build_id_of,
    checkouts_of,
    moment,
    read_build,
    read_item,
    read_retry,
    whole_number,
)

TOO_MANY = "cannot_correlate"
PAGE = 50
PAGES = 4  # 200 builds, more than a job has during a search after a lost response
CLOCK_SKEW = timedelta(minutes=10)  # between this server's clock and Jenkins'
QUEUE_PAGE = 200
QUEUE_PAGES = 25
QUEUE_OVERLAP = 20  # items that may move up while the pages are read


class Lookup:
    """Builds of one job, given by its normalised path."""

    def __init__(self, client: JenkinsClient, path: str) -> None:
        self._client = client
        self._path = path
        self._url = client.base + path

    def find(self, build_id: str, *, since: datetime | None) -> BuildState | None:
        """The first item or build with our id; later ones are reruns, which have our id, too. The
        queue is read before the builds, since items move from one to the other."""
        queued = self.queued(build_id)
        try:
            return self.build(build_id=build_id, since=since) or queued
        except ProviderError as error:
            if error.code != TOO_MANY or queued is None:
                raise
            return queued

    # --- The queue

    def queued(self, build_id: str) -> BuildState | None:
        """The first item of this job with our id; downstream jobs may get the same parameters."""
        return min(self._queued(build_id), key=lambda item: item.queue_id or 0, default=None)

    def _queued(self, build_id: str) -> list[BuildState]:
        found: dict[int, BuildState] = {}
        try:
            for item in map(read_item, self._items()):
                if item and item.build_id == build_id and item.belongs_to(self._path):
                    found[item.id] = item.state()
        except ProviderError as error:
            if error.code != TOO_MANY or not found:
                raise
        return list(found.values())

    def _items(self) -> Iterator[dict[str, Any]]:
        """All items in the queue, some of them twice. The newest are first and move towards the
        end, in the direction in which pages are read, so none is missed."""
        for number in range(QUEUE_PAGES):
            start = number * (QUEUE_PAGE - QUEUE_OVERLAP)
            page = self._client.get_part(
                "/queue", "items", ITEM_TREE, PLAIN_ITEM_TREE, start=start, end=start + QUEUE_PAGE
            )
            if page is None:
                raise error_from_status(LABEL, 404)
            yield from page
            if len(page) < QUEUE_PAGE:
                return
        raise _too_many(f"More than {start} builds are waiting in Jenkins' queue.")

    def item(
        self, queue_id: int, *, build_id: str, since: datetime | None = None
    ) -> BuildState | None:
        """Find it by its queue id, which Jenkins forgets five minutes after the item left."""
        item = self._item(queue_id)
        if item is None or _is_foreign(item.build_id, build_id):
            return self.build(queue_id=queue_id, build_id=build_id, since=since)
        if item.number is None:
            return item.state()
        found = self.numbered(item.number)
        is_foreign = found is not None and _is_foreign(found.carried_id, build_id)
        return item.state() if found is None or is_foreign else found

    def _item(self, queue_id: int) -> Item | None:
        document = self._client.get_fitting(f"/queue/item/{queue_id}", ITEM_TREE, PLAIN_ITEM_TREE)
        if document is None:
            return None
        item = read_item(document)
        if item is None:
            raise garbage(LABEL)
        return item if item.belongs_to(self._path) else None

    # --- Builds

    def numbered(self, number: int) -> BuildState | None:
        """The build with this number; None if the job can be read and has no such build.

        Jenkins answers 404 for everything below a job while it reloads, and to users who may not
        see the job, so a 404 alone says nothing about the build.
        """
        document = self._document(f"{self._path}/{number}")
        if document is not None:
            found = read_build(document, job_url=self._url)
            if found is None:
                raise garbage(LABEL)
            return self._asking(found, document)
        self.check_job()
        return None

    def _asking(self, build: BuildState, document: dict[str, Any]) -> BuildState:
        """The build, WAITING if it runs up to a question that a person has to answer."""
        if build.status is not BuildStatus.RUNNING:
            return build
        questions = questions_of(self._client, f"{self._path}/{build.number}", document)
        if not questions:
            return build
        return replace(build, status=BuildStatus.WAITING, queue_reason=" ".join(questions))

    def check_job(self) -> None:
        """Raises ProviderError if the job cannot be read, because then nothing below it can."""
        if self._client.get_or_none(self._path, tree="name") is None:
            raise job_unreadable(self._path, self._client.username)

    def _document(self, path: str) -> dict[str, Any] | None:
        """A build; with its artifacts requested separately if all is too large to read."""
        try:
            return self._client.get_or_none(path, tree=BUILD_TREE)
        except OutboundError as error:
            check_too_large(error)
        document = self._client.get_fitting(path, LIST_TREE, PLAIN_TREE)
        if document is None:
            return None
        artifacts = self._client.get_part(
            path, "artifacts", "relativePath", start=0, end=MAX_ARTIFACTS
        )
        return document | {"artifacts": artifacts or []}

    def build(
        self, *, build_id: str, queue_id: int | None = None, since: datetime | None = None
    ) -> BuildState | None:
        """The first build with our id, or else with this queue id, or None.

        Raises ProviderError "cannot_correlate" if `since` is older than the builds that are read.
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
        """The build with its artifacts, which lists leave out."""
        if listed is None or listed.number is None or listed.status is BuildStatus.RUNNING:
            return listed
        return self.numbered(listed.number) or listed

    def all_with(self, build_id: str, *, since: datetime) -> list[BuildState]:
        """All items and builds with our id, back to `since`; the queue is read first, since items
        move from it to the builds."""
        queued = self._queued(build_id)
        ours = (b for b in self._builds(since) if build_id_of(b) == build_id)
        built = (read_build(document, job_url=self._url) for document in ours)
        return queued + [state for state in built if state is not None]

    def retries(self, number: int, build_id: str, *, since: datetime) -> list[Retry]:
        """The reruns of build `number` back to `since`, the newest first."""
        found: list[Retry] = []
        try:
            for document in self._builds(since, tree=RETRY_TREE):
                retry = read_retry(document, job_url=self._url, number=number, build_id=build_id)
                found += [retry] if retry else []
        except ProviderError as error:
            if error.code != TOO_MANY:
                raise
        return found

    def builds_of(self, branch: str, *, since: datetime) -> list[BuildState]:
        """The builds of a branch, and of an unknown one, back to `since`, the newest first. What a
        build was told counts, else what it checked out."""
        found: list[BuildState] = []
        try:
            for document in self._builds(since, tree=RETRY_TREE):
                state = read_build(document, job_url=self._url)
                if state is not None and not state.branch and (seen := checkouts_of(document)):
                    state = replace(state, branch=branch if branch in seen else seen.pop())
                found += [state] if state and state.branch in ("", branch) else []
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
        raise _too_many(f"The job has had more than {PAGES * PAGE} builds since.")

    def _page(self, name: str, start: int, tree: str) -> list[dict[str, Any]]:
        page = self._client.get_part(
            self._path, name, tree, PLAIN_TREE, start=start, end=start + PAGE
        )
        if page is None:
            raise job_unreadable(self._path, self._client.username)
        return page

    # --- Stopping

    def leave_queue(self, queue_id: int) -> int | None:
        """Remove the item from the queue; returns its number if it has become a build in the
        meantime.

        Older servers respond with 302, and with 422 also if the item has just left, so it is read
        again. An item that has left may have no number for a moment; a waiting one has a reason.
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
        """Jenkins redirects to the referring page, whether or not the build was running."""
        if self._is_running(number):
            self._stop(number)

    def _stop(self, number: int) -> None:
        answer = self._client.post(f"{self._path}/{number}/stop")
        if answer.status_code not in (200, 201, 204, 302, 303, 404):
            raise self._client.error(answer)

    def _is_running(self, number: int) -> bool:
        state = self.numbered(number)
        return state is not None and state.status in (BuildStatus.RUNNING, BuildStatus.WAITING)


def job_unreadable(
    path: str, username: str, *, outcome: Outcome = Outcome.UNCERTAIN
) -> ProviderError:
    """A temporary error, because the job may be back in a minute."""
    return ProviderError(
        "job_unreadable",
        f"Jenkins shows no job {full_name(path)} at the moment.",
        "Jenkins may be reloading. If this persists, check whether the job was moved and "
        f"whether {username} has Job/Read.",
        outcome=outcome,
    )


def _too_many(message: str) -> ProviderError:
    return ProviderError.refused(
        TOO_MANY, message, "Check in Jenkins whether the build started, then adopt it or retry."
    )


def _just_left() -> ProviderError:
    return ProviderError(
        "just_left",
        "It has just left Jenkins' queue and has no number yet.",
        "It will be stopped in a moment.",
        outcome=Outcome.NOT_SENT,
    )


def _is_foreign(theirs: str, ours: str) -> bool:
    """True for another build's id: numbers start again if a job was recreated."""
    return bool(theirs and ours and theirs != ours)


def _is_item(document: dict[str, Any], queue_id: int, build_id: str) -> bool:
    same = whole_number(document.get("queueId")) == queue_id
    return same and not _is_foreign(build_id_of(document), build_id)
