"""The sweeper goes on, whatever one kind of job does."""

from __future__ import annotations

from typing import Any

import pytest

from delivr.effects.sweeper import Sweeper

asked: list[str] = []


def broken() -> list[str]:
    raise RuntimeError("due")


def nothing() -> list[str]:
    asked.append("nothing")
    return []


def test_one_broken_kind_of_job_holds_up_no_other(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.JOBS = {
        "broken": {"run": f"{__name__}.broken", "due": f"{__name__}.broken"},
        "fine": {"run": f"{__name__}.nothing", "due": f"{__name__}.nothing"},
    }
    asked.clear()
    sweeper = Sweeper()
    sweeper.tick()
    sweeper.pool.shutdown()
    assert asked == ["nothing"]
    assert "the jobs of broken" in caplog.text
