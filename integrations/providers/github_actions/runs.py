"""Finds, reads and stops the runs of one workflow.

https://docs.github.com/en/rest/actions/workflow-runs
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ..base import Outcome, ProviderError
from ..ci import BuildHandle, BuildState, BuildStatus, Duplicate, Retry
from ..github.refusals import NOT_FOR_APPS
from ..http import objects
from .reading import LABEL, Run, external_id, login_of, read_artifacts, read_run, run_and_attempt
from .reasons import reason_of
from .repository import Pages

if TYPE_CHECKING:
    from .client import ActionsClient

PAGE = 100
PAGES = 10  # GitHub lists at most 1,000 runs for a search
CLOCK_SKEW = timedelta(minutes=10)  # between this server's clock and GitHub's
CLOSE = timedelta(minutes=1)  # the same, if a mistake would take someone else's run
MOST_RETRIES = 5
DISPATCH = "workflow_dispatch"
NEVER_STARTED = timedelta(hours=1)  # in the queue without a single job
LONGEST_QUEUE = timedelta(hours=25)  # GitHub itself cancels after 24


class Runs:
    """Runs of the workflow in `file`. `client` counts all calls together."""

    def __init__(self, client: ActionsClient, pages: Pages, file: str) -> None:
        self._client = client
        self._pages = pages
        self._file = file
        self.path = f"/repos/{pages.repository.full_name}/actions"

    # --- One run ----------------------------------------------------------------------------------

    def attempt(self, handle: BuildHandle) -> BuildState | None:
        """By the attempt's own address, so that a later attempt does not change the result."""
        run, attempt = run_and_attempt(handle.external_id)
        data = self._client.if_changed(f"{self.path}/runs/{run}/attempts/{attempt}")
        if data is None:
            self.check_readable()
            return None
        return self.state(read_run(data))

    def state(self, run: Run) -> BuildState:
        """Adds what the run itself does not include: why it waits, and its artifacts."""
        page = self._pages.run(run.id, run.attempt)
        if run.state is BuildStatus.SUCCESS:
            return run.to_state(page=page, artifacts=self._artifacts(run))
        reason = reason_of(self._client, self.path, run)
        state = run.to_state(page=page, reason=reason)
        if run.state is BuildStatus.QUEUED and (lost := self._why_lost(run)):
            return replace(state, status=BuildStatus.LOST, queue_reason=lost)
        return state

    def _artifacts(self, run: Run) -> Any:
        data = self._client.get(f"{self.path}/runs/{run.id}/artifacts", per_page=PAGE).data
        return read_artifacts(data, page=self._pages.run(run.id))

    def _why_lost(self, run: Run) -> str:
        """Some runs stay in the queue for days and can be neither cancelled nor run again:
        https://github.com/actions/runner/issues/3872. The attempt's own start is that of its
        waiting."""
        since = run.started_at or run.created_at
        waited = datetime.now(UTC) - since if since else timedelta(0)
        if waited > LONGEST_QUEUE:
            return "GitHub has kept it in the queue for more than a day without starting it."
        if waited < NEVER_STARTED or run.status == "pending":
            return ""
        path = f"{self.path}/runs/{run.id}/attempts/{run.attempt}/jobs"
        data = self._client.get(path, per_page=1).data
        has_jobs = not isinstance(data, dict) or data.get("total_count") != 0
        return (
            ""
            if has_jobs
            else "It has been queued on GitHub without a job for an hour: it is stuck."
        )

    def numbered(self, number: int) -> BuildState | None:
        """The newest attempt of the run with this number, as the pages of GitHub show it."""
        found = next((run for run in self._listed() if run.number == number), None)
        if found is None:
            return None
        return self.state(found)

    def check_readable(self) -> None:
        """Raises ProviderError if the workflow cannot be read: a 404 then proves nothing."""
        if self._client.or_none(f"{self.path}/workflows/{self._file}") is None:
            raise ProviderError(
                "job_unreadable",
                f"GitHub shows no workflow {self._file} at the moment.",
                "Check whether the file was renamed, and whether the token may still read Actions.",
                outcome=Outcome.UNCERTAIN,
            )

    # --- Several ----------------------------------------------------------------------------------

    def _listed(self, **search: str) -> Iterator[Run]:
        """Newest first."""
        path = f"{self.path}/workflows/{self._file}/runs"
        for page in range(1, PAGES + 1):
            data = self._client.or_none(path, per_page=PAGE, page=page, **search)
            if data is None:
                self.check_readable()
            listed = data.get("workflow_runs") if isinstance(data, dict) else None
            runs = [read_run(item) for item in objects(listed, LABEL)]
            yield from runs
            if len(runs) < PAGE:
                return

    def with_id(self, build_id: str, *, since: datetime | None) -> list[Run]:
        """Those with our id in their name, oldest first."""
        search = {"event": DISPATCH, **_created(since, CLOCK_SKEW)}
        return [run for run in self._listed(**search) if run.build_id == build_id][::-1]

    def started_by_us(self, branch: str, *, since: datetime) -> list[Run]:
        """Runs without a delivr id that may be ours: dispatched on the branch since then, by the
        account that our token belongs to, as far as GitHub reports it."""
        search = {"event": DISPATCH, "branch": branch, **_created(since, CLOSE)}
        login = self._login()
        found = (run for run in self._listed(**search) if not run.build_id)
        return [run for run in found if not login or run.actor.casefold() == login.casefold()]

    def _login(self) -> str:
        """ "" for an app of which only a token is known: it has no user."""
        if login := self._client.login:
            return login
        try:
            return login_of(self._client.get("/user").data)
        except ProviderError as error:
            if error.code != NOT_FOR_APPS:
                raise
        return ""

    def find(self, build_id: str, *, since: datetime | None) -> BuildState | None:
        """The first run with our id, in its first attempt: that is what was started."""
        found = self.with_id(build_id, since=since)
        return self.first_attempt(found[0]) if found else None

    def first_attempt(self, run: Run) -> BuildState | None:
        if run.attempt == 1:
            return self.state(run)
        return self.attempt(BuildHandle(external_id=external_id(run.id, 1)))

    def all_with(self, build_id: str, *, since: datetime) -> list[BuildState]:
        """Every run with our id. A later attempt of one of them was started by a person and is not
        listed."""
        return [
            BuildState(status=run.state, external_id=external_id(run.id, 1), number=run.number)
            for run in self.with_id(build_id, since=since)
        ]

    def of_branch(self, branch: str, *, since: datetime) -> list[BuildState]:
        """Runs that were started from outside, each in its newest attempt, the newest first."""
        search = {"event": DISPATCH, "branch": branch, **_created(since, CLOCK_SKEW)}
        return [
            run.to_state(page=self._pages.run(run.id, run.attempt))
            for run in self._listed(**search)
        ]

    def retries(self, handle: BuildHandle) -> list[Retry]:
        """Later attempts of the run, newest first."""
        run, attempt = run_and_attempt(handle.external_id)
        data = self._client.or_none(f"{self.path}/runs/{run}")
        if data is None:
            return []
        newest = read_run(data)
        oldest = max(attempt, newest.attempt - MOST_RETRIES)
        found = [newest, *(self._earlier(run, n) for n in range(newest.attempt - 1, oldest, -1))]
        return [
            Retry(state=self.state(one), started_by=one.attempted_by, commit=one.commit)
            for one in found
            if one is not None and one.attempt > attempt
        ]

    def _earlier(self, run: int, attempt: int) -> Run | None:
        data = self._client.or_none(f"{self.path}/runs/{run}/attempts/{attempt}")
        return None if data is None else read_run(data)

    # --- Stopping ---------------------------------------------------------------------------------

    def cancel(self, handle: BuildHandle, *, force: bool = False) -> bool:
        """Ask GitHub to end it; False if it had already ended, or a person has re-run it since.

        202 means that GitHub accepted the request. Steps with `always()` still run, for at most 5
        minutes:
        https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-cancellation
        """
        run, attempt = run_and_attempt(handle.external_id)
        now = self._newest(run)
        if now is None or now.attempt != attempt or now.status == "completed":
            return False
        verb = "force-cancel" if force else "cancel"
        answer = self._client.post_once(f"{self.path}/runs/{run}/{verb}")
        if answer.status == 409:
            return self._conflict(run, attempt)
        if answer.status >= 400:
            raise self._client.failure(answer)
        return True

    def _newest(self, run: int) -> Run | None:
        data = self._client.or_none(f"{self.path}/runs/{run}")
        return None if data is None else read_run(data)

    def _conflict(self, run: int, attempt: int) -> bool:
        """Either it has just ended, or GitHub cannot end it."""
        now = self._newest(run)
        if now is None or now.attempt != attempt or now.status == "completed":
            return False
        raise ProviderError(
            "cannot_cancel",
            "GitHub cannot cancel this run: it says that the run has not been queued yet.",
            "Such runs stay stuck on GitHub for days. Nothing in delivr waits for it.",
            outcome=Outcome.REFUSED,
        )

    def duplicate(self, handle: BuildHandle, *, build_id: str) -> Duplicate | None:
        """The result of a second run with our id; None while it is running and we may stop it."""
        if not handle.external_id:
            return Duplicate.FOREIGN
        run, attempt = run_and_attempt(handle.external_id)
        found = self._newest(run)
        if found is None:
            self.check_readable()
            return Duplicate.GONE
        login = self._login().casefold()
        is_ours = found.event == DISPATCH and found.build_id == build_id
        if not is_ours or found.attempt != 1 or attempt != 1 or found.actor.casefold() != login:
            return Duplicate.FOREIGN
        if found.state is BuildStatus.ABORTED:
            return Duplicate.STOPPED
        return Duplicate.ENDED if found.status == "completed" else None


def _created(since: datetime | None, skew: timedelta) -> dict[str, str]:
    if since is None:
        return {}
    return {"created": f">={(since - skew).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"}
