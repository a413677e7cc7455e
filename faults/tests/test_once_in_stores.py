"""I18 can fail: each violation is planted and reported."""

from __future__ import annotations

from typing import Any

import pytest

from delivr.effects import clock
from faults.once_in_stores import stores_once
from integrations.providers.stores import Act
from releases.models import Release
from releases.tests.pages import Setup
from submissions.effects import create_act
from submissions.models import Submission
from submissions.operations import submit
from submissions.plans import Wishes
from submissions.tests.conftest import complete

pytestmark = pytest.mark.django_db
Entry = dict[str, Any]
WHOLE: list[Entry] = [
    {"kind": "version.created", "version": "1.5.0"},
    {"kind": "submission.item", "submission": "one", "version": "1.5.0"},
    {"kind": "submission.submitted", "submission": "one"},
    {"kind": "phased.state", "version": "1.5.0", "state": "ACTIVE"},
]


@pytest.fixture
def release(tenant: Any) -> Release:
    release = Setup(tenant).release()
    complete(release)
    return release


def submitted(release: Release, store: str, **wishes: Any) -> Submission:
    part = release.targets.get(target__target_type=store)
    chosen = Wishes(store_build="150", **wishes)
    row = submit(release=release, actor=None, target_id=part.target_id, wishes=chosen)
    Submission.objects.filter(pk=row.pk).update(submitted_at=clock.now())
    return row


def broken(entries: list[Entry]) -> list[str]:
    return list(stores_once(lambda kind: [one for one in entries if one["kind"] == kind]))


def test_one_review_of_a_version(release: Release) -> None:
    submitted(release, "APP_STORE", is_phased=True)
    assert broken(WHOLE) == []
    for kind in ("version.created", "submission.item", "submission.submitted"):
        [entry] = [one for one in WHOLE if one["kind"] == kind]
        assert broken([*WHOLE, entry]), f"a second {kind}"
        assert broken([one for one in WHOLE if one is not entry]), f"no {kind}"
    for state in ("PAUSED", "COMPLETE", "ACTIVE"):
        assert broken([*WHOLE, {**WHOLE[-1], "state": state}]), f"{state} that nobody asked for"


def reached(*steps: tuple[str, float | None]) -> list[Entry]:
    facts = {"kind": "rollout.changed", "track": "production", "codes": ["150"], "by": "delivr"}
    return [{**facts, "status": status, "fraction": fraction} for status, fraction in steps]


STEPS = [("inProgress", 0.05), ("inProgress", 0.2), ("completed", None)]


@pytest.mark.parametrize(
    ("steps", "is_broken"),
    [
        (STEPS, False),
        ([*STEPS[:2], ("halted", 0.2)], False),
        ([], True),
        ([STEPS[0], STEPS[0]], True),
        ([STEPS[1]], True),
        ([STEPS[0], STEPS[2]], True),
        ([STEPS[1], STEPS[0]], True),
        ([STEPS[0], ("halted", 0.05), STEPS[0]], True),
        ([STEPS[0], ("halted", 0.05), STEPS[1]], True),
    ],
)
def test_each_share_once_in_order_and_none_after_a_halt(
    release: Release, steps: list[tuple[str, float | None]], is_broken: bool
) -> None:
    submitted(release, "PLAY_STORE", shares=[5, 20, 100])
    assert bool(broken(reached(*steps))) is is_broken


def test_a_person_may_skip_and_resume(release: Release) -> None:
    row = submitted(release, "PLAY_STORE", shares=[5, 20, 100])
    for row.acts, act in enumerate((Act.RESUME, Act.COMPLETE)):
        create_act(row, act, share=None)
    assert broken(reached(STEPS[0], ("halted", 0.05), STEPS[0], STEPS[2])) == []
