"""Each invariant can fail: a violation is planted and reported."""

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
from delivr.effects.operations import create_effect
from delivr.tests import factories
from delivr.tests.wired import Wired, trigger_of, wire
from faults import invariants
from integrations.providers.ci import BuildStatus
from releases.models import (
    Change,
    ChangeTicket,
    Release,
    ReleasePipeline,
    ReleaseStatus,
    ReleaseTarget,
    TicketPart,
)
from releases.repository.acts import CREATE_BRANCH, DRAFT_RELEASE, TAG
from releases.repository.steps import STEPS
from releases.tickets.acts import IN_VERSION, ON_EPIC

pytestmark = pytest.mark.django_db


@dataclass
class FakeProviders:
    """The side effects and builds that a test gives the providers."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    ended: dict[tuple[str, int], str] = field(default_factory=dict)

    def ledger(self, kind: str) -> list[dict[str, Any]]:
        return [entry for entry in self.entries if entry["kind"] == kind]

    def builds(self) -> dict[tuple[str, int], str]:
        return self.ended

    def queued(self, build: Build) -> None:
        self.entries.append({"kind": "build.queued", "parameters": {"DELIVR_BUILD_ID": build.pk}})


@pytest.fixture
def providers() -> FakeProviders:
    return FakeProviders()


@pytest.fixture
def wired(tenant: Any) -> Wired:
    return wire(tenant, "http://127.0.0.1:1")


@pytest.fixture
def build(wired: Wired, providers: FakeProviders) -> Build:
    """A build that succeeded here and at the provider: nothing is broken."""
    build = wired.build("ios")
    providers.queued(build)
    providers.ended[("ios-prod", 7)] = "SUCCESS"
    Build.objects.update(status="SUCCESS", number=7)
    ReleasePipeline.objects.update(build_status="SUCCESS", build_number=7)
    Release.objects.update(status=ReleaseStatus.BUILD_COMPLETE)
    Effect.objects.update(state=EffectState.DONE)
    return build


def broken(providers: FakeProviders, *, settled: bool = True) -> set[str]:
    """The names of the broken invariants."""
    return {words.split()[0] for words in invariants.check(providers, settled=settled)}


def test_nothing_is_broken_without_faults(build: Build, providers: FakeProviders) -> None:
    assert invariants.check(providers, settled=True) == []


def test_i1_a_missing_trigger(build: Build, providers: FakeProviders) -> None:
    trigger_of(build).delete()
    assert "I1" in broken(providers)


def test_i1_a_missing_message(wired: Wired, build: Build, providers: FakeProviders) -> None:
    wired.release("ios", slack=True)
    Effect.objects.filter(kind="message.post").delete()
    assert "I1" in broken(providers)


def test_i1_a_missing_ticket_of_a_version(
    wired: Wired, build: Build, providers: FakeProviders
) -> None:
    release = wired.release("ios", jira=True)
    Effect.objects.update(state=EffectState.DONE)
    TicketPart.objects.update(version_id="7")
    assert broken(providers) == set()
    change = Change.objects.create(
        tenant=release.tenant, release=release, position=1, sha="a" * 40, title="A change"
    )
    ChangeTicket.objects.create(tenant=release.tenant, change=change, key="MOBILE-2")
    assert broken(providers) == {"I1"}


@pytest.mark.parametrize("times", [0, 2])
@pytest.mark.parametrize("step", STEPS)
def test_i15_not_there_and_there_twice(
    wired: Wired, build: Build, providers: FakeProviders, step: str, times: int
) -> None:
    kinds = {"creates_branch": CREATE_BRANCH, "makes_tag": TAG, "drafts_release": DRAFT_RELEASE}
    release = Release.objects.get()
    create_effect(
        tenant=release.tenant,
        kind=kinds[step],
        integration_id=release.scm_id,
        release_id=release.pk,
        dedupe_key="step",
    )
    Effect.objects.update(state=EffectState.DONE)
    entries = {
        "creates_branch": {"kind": "ref.created", "ref": f"refs/heads/{release.branch}"},
        "makes_tag": {"kind": "ref.created", "ref": f"refs/tags/v{release.version}"},
        "drafts_release": {"kind": "release.created", "tag": f"v{release.version}"},
    }
    providers.entries.append(entries[step])
    assert broken(providers) == set()
    providers.entries.remove(entries[step])
    providers.entries += [entries[step]] * times
    assert broken(providers) == {"I15"}


@pytest.mark.parametrize("times", [0, 2])
@pytest.mark.parametrize("kind", [*ON_EPIC, *IN_VERSION])
def test_i16_not_there_and_there_twice(
    wired: Wired, build: Build, providers: FakeProviders, kind: str, times: int
) -> None:
    release = wired.release("ios", jira=True)
    target = release.targets.get()
    target.epic_key = "MOBILE-1"
    target.save()
    TicketPart.objects.update(version_id="7")
    effect = create_effect(
        tenant=release.tenant,
        kind=kind,
        integration_id=wired.jira.pk,
        release_id=release.pk,
        dedupe_key="follow",
        payload={"target": target.target_id, "keys": ["MOBILE-2"]},
    )
    Effect.objects.update(state=EffectState.DONE, result={"added": ["MOBILE-2"]})
    entry: dict[str, Any] = {
        "ticket.remote_link": {
            "kind": "link.created",
            "key": "MOBILE-1",
            "globalId": f"delivr=x&release={release.pk}",
        },
        "ticket.comment": {"kind": "comment.created", "body": f"[x|http://x#{effect.pk}]"},
        "ticket.move": {"kind": "issue.moved", "key": "MOBILE-1"},
        "ticket.version": {"kind": "version.created", "id": "7", "name": release.version},
        "ticket.fix_version": {"kind": "issue.planned", "key": "MOBILE-2", "version": "7"},
        "ticket.release_version": {"kind": "version.released", "id": "7"},
    }[kind]
    providers.entries.append(entry)
    assert broken(providers) == set()
    providers.entries.remove(entry)
    providers.entries += [entry] * times
    assert broken(providers) == {"I16"}


@pytest.mark.parametrize("times", [0, 2])
def test_i17_an_event_lost_and_received_twice_as_new(
    build: Build, providers: FakeProviders, times: int
) -> None:
    event = factories.EffectFactory(
        kind="event.send", state=EffectState.DONE, payload={"sequence": 1}
    )
    taken = {"kind": "event.received", "id": event.pk}
    providers.entries += [{**taken, "isRepeat": False}, {**taken, "isRepeat": True}]
    assert broken(providers) == set()
    providers.entries = [one for one in providers.entries if one["kind"] != taken["kind"]]
    providers.entries += [{**taken, "isRepeat": False}] * times
    assert broken(providers) == {"I17"}


@pytest.mark.parametrize("times", [0, 2])
def test_i2_not_built_and_built_twice(build: Build, providers: FakeProviders, times: int) -> None:
    providers.entries.clear()
    for _n in range(times):
        providers.queued(build)
    assert broken(providers) == {"I2"}


def test_i3_something_unfinished(build: Build, providers: FakeProviders) -> None:
    factories.EffectFactory()
    assert broken(providers) == {"I3"}
    assert broken(providers, settled=False) == set()


def test_i3_an_unprocessed_delivery(build: Build, providers: FakeProviders) -> None:
    factories.DeliveryFactory()
    assert broken(providers) == {"I3"}


def test_i4_a_forgotten_lease(build: Build, providers: FakeProviders) -> None:
    past = clock.now() - timedelta(minutes=1)
    factories.EffectFactory(state=EffectState.LEASED, lease_until=past)
    assert "I4" in broken(providers)


@pytest.mark.parametrize("there", ["FAILURE", ""])
def test_i5_another_result_at_the_provider(
    build: Build, providers: FakeProviders, there: str
) -> None:
    providers.ended[("ios-prod", 7)] = there
    assert broken(providers) == {"I5"}


def test_i5_lost_here_and_built_at_the_provider(build: Build, providers: FakeProviders) -> None:
    providers.entries.append(
        {"kind": "build.started", "parameters": {"DELIVR_BUILD_ID": build.pk}, "number": 7}
    )
    Build.objects.update(status=BuildStatus.LOST, number=None)
    ReleasePipeline.objects.update(build_status=BuildStatus.LOST, build_number=None)
    Release.objects.update(status=ReleaseStatus.BUILD_FAILED)
    assert broken(providers) == {"I5"}


def test_i6_a_release_whose_status_does_not_follow_from_its_builds(
    build: Build, providers: FakeProviders
) -> None:
    Release.objects.update(status=ReleaseStatus.BUILDING)
    assert broken(providers) == {"I6"}


@pytest.mark.parametrize("shown", [{"build_number": 6}, {"candidate": 2}])
def test_i6_a_pipeline_that_shows_another_build(
    build: Build, providers: FakeProviders, shown: dict[str, int]
) -> None:
    ReleasePipeline.objects.update(**shown)
    assert broken(providers) == {"I6"}


def test_i6_a_candidate_number_that_was_skipped(build: Build, providers: FakeProviders) -> None:
    Build.objects.update(candidate=2)
    ReleasePipeline.objects.update(candidate=2)
    assert broken(providers) == {"I6"}


def test_i6_a_pipeline_may_have_several_successes(build: Build, providers: FakeProviders) -> None:
    [again] = trigger_builds(release=build.release_pipeline.release, actor=None, again=True)
    providers.queued(again)
    providers.ended[("ios-prod", 8)] = "SUCCESS"
    Effect.objects.filter(build_id=again.pk).update(state=EffectState.DONE)
    Build.objects.filter(pk=again.pk).update(status="SUCCESS", number=8)
    ReleasePipeline.objects.update(build_status="SUCCESS", build_number=8)
    Release.objects.update(status=ReleaseStatus.BUILD_COMPLETE)
    assert broken(providers) == set()


def test_i14_a_version_that_no_release_or_a_cancelled_one_holds(
    build: Build, providers: FakeProviders
) -> None:
    ReleaseTarget.objects.update(held_version=None)
    assert broken(providers) == {"I14"}
    ReleaseTarget.objects.update(held_version="1.5.1")
    assert broken(providers) == set()
    Release.objects.update(status=ReleaseStatus.CANCELLED)
    assert broken(providers) == {"I14"}


def test_builds_without_our_id_are_ignored(build: Build, providers: FakeProviders) -> None:
    theirs = {"kind": "build.queued", "parameters": {"DELIVR_BUILD_ID": ""}}
    providers.entries += [theirs, theirs, {**theirs, "parameters": {}}]
    assert broken(providers) == set()


def test_i7_a_row_of_another_tenant(build: Build, providers: FakeProviders) -> None:
    stranger = factories.TenantFactory()
    factories.EffectFactory(tenant=stranger, state=EffectState.DONE, build_id=build.pk)
    assert broken(providers) == {"I7"}


def test_i8_too_many_attempts(build: Build, providers: FakeProviders) -> None:
    Effect.objects.update(attempts=100)
    assert broken(providers) == {"I8"}


def test_i9_a_transition_outside_the_table(build: Build, providers: FakeProviders) -> None:
    BuildEvent.objects.create(
        tenant=build.tenant,
        build=build,
        source=Source.WEBHOOK,
        from_status=BuildStatus.CANCELLED,
        to_status=BuildStatus.SUCCESS,
        applied=True,
    )
    assert broken(providers) == {"I9"}


def test_i9_a_final_status_is_undone_only_if_a_webhook_reported_it(
    build: Build, providers: FakeProviders
) -> None:
    def changed(source: Source, before: BuildStatus, after: BuildStatus) -> None:
        BuildEvent.objects.create(
            tenant=build.tenant,
            build=build,
            source=source,
            from_status=before,
            to_status=after,
            applied=True,
        )

    changed(Source.POLL, BuildStatus.SUCCESS, BuildStatus.LOST)
    assert broken(providers) == {"I9"}
    changed(Source.WEBHOOK, BuildStatus.RUNNING, BuildStatus.SUCCESS)
    assert broken(providers) == set()


def test_i10_a_message_and_an_epic_sent_twice(build: Build, providers: FakeProviders) -> None:
    message = {"kind": "message.posted", "metadata": {"event_payload": {"id": "eff_1"}}}
    epic = {"kind": "issue.created", "labels": ["delivr", "delivr-eff_2"]}
    providers.entries += [message, epic]
    assert broken(providers) == set()
    providers.entries += [message, epic]
    found = invariants.check(providers, settled=True)
    assert [words.split()[1] for words in found] == ["eff_1", "delivr-eff_2"]


def test_i16_a_message_that_shows_an_earlier_state(build: Build, providers: FakeProviders) -> None:
    for kind, of_build, text in (
        ("message.posted", "", "📦 Release 1.5.1 created"),
        ("message.updated", "", "🏁 Release 1.5.1: all builds complete, ready for submission"),
        ("message.posted", build.pk, "🚀 iOS build #7 started"),
    ):
        ts = f"1.{len(of_build)}"
        entry = {"kind": kind, "channel": "C123", "ts": ts, "text": text, "metadata": None}
        providers.entries.append({**entry, "seq": len(providers.entries)})
        factories.EffectFactory(
            tenant=build.tenant,
            integration_id="comm_slack_1",
            release_id=build.release_pipeline.release_id,
            build_id=of_build,
            state=EffectState.DONE,
            payload={"channel": "C123", "kept": True},
            result={"ts": ts},
        )
    found = invariants.check(providers, settled=True)
    assert [words.split()[0] for words in found] == ["I16"]
    assert "should say “✅ iOS build #7 complete”" in found[0]
    entry = {"kind": "message.updated", "channel": "C123", "ts": ts, "seq": 99}
    providers.entries.append({**entry, "text": "✅ iOS build #7 complete"})
    assert broken(providers) == set()


def unaudited_changes(build: Build) -> Iterator[str]:
    """Plant each kind of change without its audit row, one after the other."""
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
    duplicate = factories.EffectFactory(
        tenant=build.tenant,
        kind="build.stop_repeat",
        build_id=build.pk,
        state=EffectState.DONE,
        result={"outcome": "STOPPED"},
    )
    yield "stopped"
    duplicate.delete()


def test_i11_a_change_that_was_not_audited(build: Build, providers: FakeProviders) -> None:
    for _change in unaudited_changes(build):
        assert broken(providers) == {"I11"}
    assert broken(providers) == set()


@pytest.mark.parametrize("action", ["build.triggered", "release.created"])
def test_i11_a_change_that_was_audited_twice(
    build: Build, providers: FakeProviders, action: str
) -> None:
    from delivr.audit.operations import record

    subject = build if action.startswith("build") else build.release_pipeline.release
    record(tenant=build.tenant, actor=None, action=action, subject=subject)
    assert AuditEvent.objects.filter(action=action).count() == 2
    assert broken(providers) == {"I11"}


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


def test_i13_an_answer_that_no_user_should_get() -> None:
    statuses = [200, 409, 503, 500, 0]
    assert len(list(invariants.answers_that_fail(statuses))) == 3
    assert len(list(invariants.answers_that_fail(statuses, outage=True))) == 2
    assert not list(invariants.answers_that_fail([202, 404]))
