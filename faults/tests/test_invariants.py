"""Each invariant can fail: a violation is planted, and is named."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest

from builds.models import Build, BuildEvent, Source
from builds.triggering import trigger_builds
from delivr.audit.models import AuditEvent
from delivr.effects import clock
from delivr.effects.models import Effect, EffectState
from delivr.tests import factories
from delivr.tests.wired import Wired, trigger_of, wire
from faults import invariants
from integrations.providers.base import BuildStatus
from releases.models import Release, ReleasePipeline, ReleaseStatus, ReleaseTarget

pytestmark = pytest.mark.django_db


@dataclass
class FakeTruth:
    """What providers would tell."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    ended: dict[tuple[str, int], str] = field(default_factory=dict)

    def ledger(self, kind: str) -> list[dict[str, Any]]:
        return [entry for entry in self.entries if entry["kind"] == kind]

    def builds(self) -> dict[tuple[str, int], str]:
        return self.ended

    def queued(self, build: Build) -> None:
        self.entries.append({"kind": "build.queued", "parameters": {"DELIVR_BUILD_ID": build.pk}})


@pytest.fixture
def truth() -> FakeTruth:
    return FakeTruth()


@pytest.fixture
def wired(tenant: Any) -> Wired:
    return wire(tenant, "http://127.0.0.1:1")


@pytest.fixture
def build(wired: Wired, truth: FakeTruth) -> Build:
    """A build that ended well, here and there: nothing is broken."""
    build = wired.build("ios")
    truth.queued(build)
    truth.ended[("ios-prod", 7)] = "SUCCESS"
    Build.objects.update(status="SUCCESS", number=7)
    ReleasePipeline.objects.update(build_status="SUCCESS", build_number=7)
    Release.objects.update(status=ReleaseStatus.BUILD_COMPLETE)
    Effect.objects.update(state=EffectState.DONE)
    return build


def broken(truth: FakeTruth, *, settled: bool = True) -> set[str]:
    """The names of the broken invariants."""
    return {words.split()[0] for words in invariants.check(truth, settled=settled)}


def test_a_good_day_breaks_nothing(build: Build, truth: FakeTruth) -> None:
    assert invariants.check(truth, settled=True) == []


def test_i1_a_missing_promise(build: Build, truth: FakeTruth) -> None:
    trigger_of(build).delete()
    assert "I1" in broken(truth)


def test_i1_a_missing_message(wired: Wired, build: Build, truth: FakeTruth) -> None:
    wired.release("ios", slack=True)
    Effect.objects.filter(kind="message.post").delete()
    assert "I1" in broken(truth)


@pytest.mark.parametrize("times", [0, 2])
def test_i2_not_built_and_built_twice(build: Build, truth: FakeTruth, times: int) -> None:
    truth.entries.clear()
    for _n in range(times):
        truth.queued(build)
    assert broken(truth) == {"I2"}


def test_i3_something_unfinished(build: Build, truth: FakeTruth) -> None:
    factories.EffectFactory()
    assert broken(truth) == {"I3"}
    assert broken(truth, settled=False) == set()


def test_i3_a_delivery_that_nobody_read(build: Build, truth: FakeTruth) -> None:
    factories.DeliveryFactory()
    assert broken(truth) == {"I3"}


def test_i4_a_forgotten_lease(build: Build, truth: FakeTruth) -> None:
    past = clock.now() - timedelta(minutes=1)
    factories.EffectFactory(state=EffectState.LEASED, lease_until=past)
    assert "I4" in broken(truth)


@pytest.mark.parametrize("there", ["FAILURE", ""])
def test_i5_another_end_there(build: Build, truth: FakeTruth, there: str) -> None:
    truth.ended[("ios-prod", 7)] = there
    assert broken(truth) == {"I5"}


def test_i5_given_up_here_and_built_there(build: Build, truth: FakeTruth) -> None:
    truth.entries.append(
        {"kind": "build.started", "parameters": {"DELIVR_BUILD_ID": build.pk}, "number": 7}
    )
    Build.objects.update(status=BuildStatus.LOST, number=None)
    ReleasePipeline.objects.update(build_status=BuildStatus.LOST, build_number=None)
    Release.objects.update(status=ReleaseStatus.BUILD_FAILED)
    assert broken(truth) == {"I5"}


def test_i6_a_release_that_does_not_follow(build: Build, truth: FakeTruth) -> None:
    Release.objects.update(status=ReleaseStatus.BUILDING)
    assert broken(truth) == {"I6"}


@pytest.mark.parametrize("shown", [{"build_number": 6}, {"candidate": 2}])
def test_i6_a_pipeline_that_shows_another_build(
    build: Build, truth: FakeTruth, shown: dict[str, int]
) -> None:
    ReleasePipeline.objects.update(**shown)
    assert broken(truth) == {"I6"}


def test_i6_a_candidate_that_was_left_out(build: Build, truth: FakeTruth) -> None:
    Build.objects.update(candidate=2)
    ReleasePipeline.objects.update(candidate=2)
    assert broken(truth) == {"I6"}


def test_i6_several_successes_of_a_pipeline_are_well(build: Build, truth: FakeTruth) -> None:
    [again] = trigger_builds(release=build.release_pipeline.release, actor=None, again=True)
    truth.queued(again)
    truth.ended[("ios-prod", 8)] = "SUCCESS"
    Effect.objects.filter(build_id=again.pk).update(state=EffectState.DONE)
    Build.objects.filter(pk=again.pk).update(status="SUCCESS", number=8)
    ReleasePipeline.objects.update(build_status="SUCCESS", build_number=8)
    Release.objects.update(status=ReleaseStatus.BUILD_COMPLETE)
    assert broken(truth) == set()


def test_i14_a_version_that_is_held_by_nobody_or_by_a_cancelled_release(
    build: Build, truth: FakeTruth
) -> None:
    ReleaseTarget.objects.update(held_version=None)
    assert broken(truth) == {"I14"}
    ReleaseTarget.objects.update(held_version="1.5.1")
    assert broken(truth) == set()
    Release.objects.update(status=ReleaseStatus.CANCELLED)
    assert broken(truth) == {"I14"}


def test_builds_of_others_carry_no_id_of_ours(build: Build, truth: FakeTruth) -> None:
    theirs = {"kind": "build.queued", "parameters": {"DELIVR_BUILD_ID": ""}}
    truth.entries += [theirs, theirs, {**theirs, "parameters": {}}]
    assert broken(truth) == set()


def test_i7_a_row_of_another_tenant(build: Build, truth: FakeTruth) -> None:
    stranger = factories.TenantFactory()
    factories.EffectFactory(tenant=stranger, state=EffectState.DONE, build_id=build.pk)
    assert broken(truth) == {"I7"}


def test_i8_too_many_attempts(build: Build, truth: FakeTruth) -> None:
    Effect.objects.update(attempts=100)
    assert broken(truth) == {"I8"}


def test_i9_a_move_outside_the_table(build: Build, truth: FakeTruth) -> None:
    BuildEvent.objects.create(
        tenant=build.tenant,
        build=build,
        source=Source.WEBHOOK,
        from_status=BuildStatus.CANCELLED,
        to_status=BuildStatus.SUCCESS,
        applied=True,
    )
    assert broken(truth) == {"I9"}


def test_i9_an_end_is_undone_only_where_a_report_told_it(build: Build, truth: FakeTruth) -> None:
    def moved(source: Source, before: BuildStatus, after: BuildStatus) -> None:
        BuildEvent.objects.create(
            tenant=build.tenant,
            build=build,
            source=source,
            from_status=before,
            to_status=after,
            applied=True,
        )

    moved(Source.POLL, BuildStatus.SUCCESS, BuildStatus.LOST)
    assert broken(truth) == {"I9"}
    moved(Source.WEBHOOK, BuildStatus.RUNNING, BuildStatus.SUCCESS)
    assert broken(truth) == set()


def test_i10_a_message_and_an_epic_twice(build: Build, truth: FakeTruth) -> None:
    message = {"kind": "message.posted", "metadata": {"event_payload": {"id": "eff_1"}}}
    epic = {"kind": "issue.created", "labels": ["delivr", "delivr-eff_2"]}
    truth.entries += [message, epic]
    assert broken(truth) == set()
    truth.entries += [message, epic]
    found = invariants.check(truth, settled=True)
    assert [words.split()[1] for words in found] == ["eff_1", "delivr-eff_2"]


def unwritten_changes(build: Build) -> Iterator[str]:
    """Each change that nobody wrote down, planted one after the other."""
    for status in (BuildStatus.TRIGGERING, BuildStatus.CANCELLED):
        event = BuildEvent.objects.create(
            tenant=build.tenant,
            build=build,
            source=Source.PERSON,
            from_status=BuildStatus.TRIGGER_FAILED,
            to_status=status,
            applied=True,
        )
        yield status
        event.delete()
    Effect.objects.update(result={"adopted": True, "number": 7})
    yield "adopted"
    Effect.objects.update(result={})
    repeat = factories.EffectFactory(
        tenant=build.tenant,
        kind="build.stop_repeat",
        build_id=build.pk,
        state=EffectState.DONE,
        result={"outcome": "STOPPED"},
    )
    yield "stopped"
    repeat.delete()


def test_i11_a_change_that_was_not_written_down(build: Build, truth: FakeTruth) -> None:
    for _change in unwritten_changes(build):
        assert broken(truth) == {"I11"}
    assert broken(truth) == set()


@pytest.mark.parametrize("action", ["build.triggered", "release.created"])
def test_i11_a_change_that_was_written_down_twice(
    build: Build, truth: FakeTruth, action: str
) -> None:
    from delivr.audit.operations import record

    subject = build if action.startswith("build") else build.release_pipeline.release
    record(tenant=build.tenant, actor=None, action=action, subject=subject)
    assert AuditEvent.objects.filter(action=action).count() == 2
    assert broken(truth) == {"I11"}


SECRET = "whsec_se/cret+with=signs"


@pytest.mark.parametrize(
    "written",
    [
        SECRET.encode(),
        quote(SECRET, safe="").encode(),
        base64.b64encode(SECRET.encode()),
        base64.b64encode(b"delivr:" + SECRET.encode()),
        base64.b64encode(b"a user:" + SECRET.encode() + b"@"),
        base64.b64encode(b"jenkins1:" + SECRET.encode()),
    ],
)
def test_i12_a_secret_outside_its_place(written: bytes) -> None:
    places = {"the log of web": b"one\n" + written + b"\n", "Redis": b"nothing"}
    found = list(invariants.secrets_outside([SECRET], places))
    assert found
    assert all("I12" in words and "the log of web" in words for words in found)
    assert not any(SECRET in words for words in found)
    assert not list(invariants.secrets_outside([SECRET], {"a log": b"whsec_*** and nothing"}))


def test_i13_an_answer_that_nobody_should_get() -> None:
    statuses = [200, 409, 503, 500, 0]
    assert len(list(invariants.answers_that_fail(statuses))) == 3
    assert len(list(invariants.answers_that_fail(statuses, outage=True))) == 2
    assert not list(invariants.answers_that_fail([202, 404]))
