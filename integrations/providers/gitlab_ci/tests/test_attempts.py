"""Attempts are read off jobs: what is a retry, and how each attempt ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from integrations.providers.ci import BuildStatus
from integrations.providers.gitlab_ci.attempts import attempts_of
from integrations.providers.gitlab_ci.reading import Job

START = datetime(2026, 11, 29, 12, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def job(
    number: int,
    name: str,
    created: float,
    began: float | None,
    ended: float | None,
    status: str,
    **facts: Any,
) -> Job:
    return Job(
        id=number,
        name=name,
        stage="build",
        status=status,
        reason="",
        is_optional=facts.pop("is_optional", False),
        user=facts.pop("user", "bot"),
        created_at=at(created),
        started_at=None if began is None else at(began),
        finished_at=None if ended is None else at(ended),
        queued_for=timedelta(minutes=facts.pop("queued", 0)),
        **facts,
    )


FAILED = job(1, "a", 0, 1, 5, "failed")


@pytest.mark.parametrize(
    ("jobs", "verdicts"),
    [
        ([FAILED], ["FAILURE"]),
        ([FAILED, job(2, "a", 9, 10, 12, "success")], ["FAILURE", "SUCCESS"]),
        # two retries
        (
            [FAILED, job(2, "a", 9, 10, 12, "failed"), job(3, "a", 20, 21, 25, "success")],
            ["FAILURE", "FAILURE", "SUCCESS"],
        ),
        # GitLab's own, at once
        ([FAILED, job(2, "a", 5.01, 6, 8, "success")], ["SUCCESS"]),
        # by a person while another job runs, or waits for a runner
        (
            [FAILED, job(2, "b", 0, 1, 15, "success"), job(3, "a", 9, 10, 12, "success")],
            ["SUCCESS"],
        ),
        (
            [
                FAILED,
                job(2, "b", 0, 11, 15, "success", queued=10),
                job(3, "a", 9, 10, 12, "success"),
            ],
            ["SUCCESS"],
        ),
        # both are retried together, and what was skipped comes up after that
        (
            [
                FAILED,
                job(2, "b", 0, 1, 4, "canceled"),
                job(3, "c", 0, 20, 22, "success"),
                job(4, "a", 9, 10, 12, "success"),
                job(5, "b", 9.001, 12, 14, "success"),
            ],
            ["FAILURE", "SUCCESS"],
        ),
        # a job that had succeeded is run again after the end
        (
            [job(1, "a", 0, 1, 5, "success"), job(2, "a", 9, 10, 12, "failed")],
            ["SUCCESS", "FAILURE"],
        ),
        # canceled, then retried; what may fail does not count
        (
            [
                job(1, "a", 0, 1, 5, "canceled"),
                job(2, "b", 0, 1, 4, "failed", is_optional=True),
                job(3, "a", 9, 10, 12, "success"),
            ],
            ["ABORTED", "SUCCESS"],
        ),
        # a bridge that was retried is not listed any more
        (
            [
                job(2, "a", 0, 1, 5, "success"),
                job(9, "b", 9, 10, 12, "success", downstream={"id": 7}),
            ],
            ["FAILURE", "SUCCESS"],
        ),
        ([job(9, "b", 9, 10, 12, "success", downstream={"id": 7})], ["FAILURE", "SUCCESS"]),
        # a manual job was retried: it waits again, and holds nothing up
        (
            [
                FAILED,
                job(2, "a", 9, 10, 12, "failed"),
                job(3, "m", 9, None, None, "manual"),
                job(4, "a", 20, 21, 25, "success"),
            ],
            ["FAILURE", "FAILURE", "SUCCESS"],
        ),
    ],
)
def test_each_attempt_keeps_its_verdict(jobs: list[Job], verdicts: list[str]) -> None:
    found = attempts_of(jobs[::-1], at(0.5))
    assert [attempt.verdict for attempt in found] == [BuildStatus(v) for v in verdicts]
    assert [attempt.number for attempt in found] == list(range(1, len(verdicts) + 1))


def test_an_attempt_tells_when_and_by_whom() -> None:
    first, second = attempts_of([FAILED, job(2, "a", 9, 10, 12, "success", user="priya")], at(0.5))
    assert (first.began_at, first.finished_at) == (None, at(5))
    assert (second.began_at, second.began_by, second.finished_at) == (at(9), "priya", at(12))
