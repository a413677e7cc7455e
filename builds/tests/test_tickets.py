"""What follows a release in its ticket system: once, in order, and never in the release's way."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from builds.cancelling import cancel_release
from builds.tests.rerunning import rerun, rerun_when_settled
from delivr.effects.models import Effect, EffectState
from delivr.effects.operations import cancel_effect, retry_effect
from delivr.effects.runner import run_effect
from delivr.tests.wired import Wired, fresh
from releases.api import present_release
from releases.marks import remove_mark, set_mark
from releases.models import Change, ChangeTicket, Mark, Release, ReleaseStatus, TicketPart
from releases.operations import create_release, recompute
from releases.repository.steps import Wishes
from releases.tests.new_release import values_of
from releases.tickets import acts
from releases.tickets.readiness import look_up

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]

ALL = {
    "links_epics": True,
    "comments_epics": True,
    "moves_epics": "RELEASED",
    "makes_version": True,
}
NONE = {"links_epics": False}
NAMED = ["MOBILE-101", "MOBILE-110", "MOBILE-121", "MOBILE-9", "WEB-12"]


@pytest.fixture
def jira(sandbox: Any) -> Any:
    return sandbox.state.jira


def plan(wired: Wired, steps: dict[str, Any] = ALL, **changes: Any) -> Release:
    """A release for iOS that is followed by these steps."""
    values = values_of(wired, version="1.5.0", communication_ids=[])
    values |= {
        "target_ids": values["target_ids"][:1],
        "pipeline_ids": [wired.pipelines["ios"].pk],
        "ticket_id": wired.jira.pk,
    }
    return create_release(**{**values, **changes}, wishes=Wishes(ticket_steps=steps))


def run_all(release: Release, times: int = 6) -> None:
    for _ in range(times):
        for effect in Effect.objects.open().filter(release_id=release.pk).order_by("created_at"):
            rerun(effect)


def of(release: Release, kind: str) -> list[Effect]:
    found = Effect.objects.filter(release_id=release.pk, kind=kind)
    return list(found.order_by("created_at", "pk"))


def name_tickets(release: Release, *keys: str) -> None:
    """As `releases.repository.changes` stores the tickets of a release's changes."""
    place = release.changes.count() + 1
    change = Change.objects.create(
        tenant=release.tenant, release=release, position=place, sha="a" * 40, title="A change"
    )
    for key in keys:
        ChangeTicket.objects.create(tenant=release.tenant, change=change, key=key)
    acts.plan_tickets(release)


def complete(release: Release, status: str = "SUCCESS") -> Release:
    release.pipelines.update(build_status=status)
    recompute(release, cause=f"bld_{status}")
    found: Release = fresh(release)
    return found


def counts(sandbox: Any) -> dict[str, int]:
    kinds = [entry["kind"] for entry in sandbox.state.ledger.tail(500)]
    return {kind: kinds.count(kind) for kind in kinds}


def shown(release: Release) -> Any:
    return present_release(release.tenant_id, release.pk)


# --- A whole release ------------------------------------------------------------------------------


def test_jira_follows_a_release_from_its_creation_to_the_stores(
    wired: Wired, sandbox: Any, jira: Any
) -> None:
    release = plan(wired)
    run_all(release)
    name_tickets(release, *NAMED)
    run_all(release)
    (epic,), (version,) = jira.issues, jira.versions
    assert [link["summary"] for link in epic.links.values()] == ["Waiting for the first build"]
    assert (version.name, version.project, epic.comments) == ("1.5.0", "MOBILE", [])
    sandbox.state.advance(10)
    look_up(str(TicketPart.objects.get().pk))
    facts = shown(release)["ticketVersion"]
    assert (facts["tickets"], facts["notDone"], facts["released"]) == (3, 2, False)
    assert [t["key"] for t in facts["notDoneTickets"]] == ["MOBILE-121", "MOBILE-110"]
    assert facts["notDoneTickets"][0]["url"].endswith("/jira/browse/MOBILE-121")
    assert (facts["added"], facts["elsewhere"], facts["unknown"]) == (
        ["MOBILE-101", "MOBILE-110", "MOBILE-121"],
        ["WEB-12"],
        ["MOBILE-9"],
    )

    release = complete(complete(release, "FAILURE"))
    for mark in (Mark.SUBMITTED, Mark.RELEASED):
        release = set_mark(release=release, mark=mark, actor=None)
    run_all(release)
    texts = [str(comment["body"]) for comment in epic.comments]
    for text, words in zip(
        texts, ("Not all builds", "are complete", "was submitted", "was released"), strict=True
    ):
        assert words in text
    (link,) = epic.links.values()
    assert (link["summary"], link["status"]) == ("Released", {"resolved": True})
    assert (epic.status, version.released) == ("Done", True)
    assert version.release_date == timezone.localdate().isoformat()
    assert not Effect.objects.exclude(state=EffectState.DONE).exists()
    once = counts(sandbox)
    assert {kind: once[kind] for kind in ("link.created", "version.created", "issue.moved")} == {
        "link.created": 1,
        "version.created": 1,
        "issue.moved": 1,
    }
    assert once["issue.planned"] == 3


def test_only_the_link_is_on_by_default(wired: Wired, jira: Any) -> None:
    release = plan(wired, {})
    run_all(release)
    release = set_mark(release=complete(release), mark=Mark.RELEASED, actor=None)
    run_all(release)
    (epic,) = jira.issues
    assert (len(epic.links), epic.comments, epic.status, jira.versions) == (1, [], "To Do", [])
    facts = shown(release)
    assert facts["ticketVersion"] is None
    assert facts["ticketSteps"] == {
        "link": True,
        "comments": False,
        "moveAt": None,
        "version": False,
    }


def test_an_epic_that_comes_late_catches_up(wired: Wired, jira: Any) -> None:
    release = plan(wired)
    release = set_mark(release=complete(release), mark=Mark.RELEASED, actor=None)
    run_all(release)
    (epic,) = jira.issues
    (comment,), (link,) = epic.comments, epic.links.values()
    assert ("was released" in str(comment["body"]), link["summary"]) == (True, "Released")
    assert (epic.status, jira.versions[0].released) == ("Done", True)


def test_a_removed_mark_moves_and_releases_nothing(wired: Wired, jira: Any) -> None:
    release = plan(wired)
    run_all(release)
    release = set_mark(release=complete(release), mark=Mark.RELEASED, actor=None)
    release = remove_mark(release=release, mark=Mark.RELEASED, actor=None)
    run_all(release)
    (epic,), (version,) = jira.issues, jira.versions
    assert (epic.status, version.released) == ("To Do", False)
    assert [e.state for e in of(release, acts.MOVE)] == [EffectState.CANCELLED]
    assert [link["summary"] for link in epic.links.values()] == ["Ready for submission"]


def test_a_cancelled_release_says_so_and_plans_nothing(wired: Wired, jira: Any) -> None:
    release = plan(wired)
    cancel_release(release=release, actor=None)
    run_all(release)
    (epic,) = jira.issues
    assert "was cancelled" in str(epic.comments[0]["body"])
    assert jira.versions == []


# --- Lost responses -------------------------------------------------------------------------------

PATHS = {
    acts.LINK: ("POST", "*/remotelink", "link.created"),
    acts.COMMENT: ("POST", "*/comment", "comment.created"),
    acts.MOVE: ("POST", "*/transitions", "issue.moved"),
    acts.VERSION: ("POST", "*/version", "version.created"),
    acts.PLAN: ("PUT", "*/issue/*", "issue.planned"),
    acts.RELEASE_VERSION: ("PUT", "*/version/*", "version.released"),
}


@pytest.mark.parametrize("fault", ["drop_after", "drop_before"])
@pytest.mark.parametrize("kind", PATHS)
def test_a_lost_response_loses_and_doubles_nothing(
    wired: Wired, sandbox: Any, kind: str, fault: str
) -> None:
    method, path, act = PATHS[kind]
    sandbox.state.faults.add(fault, provider="jira", method=method, path=path, count=1)
    release = plan(wired, {**ALL, "comments_epics": kind == acts.COMMENT})
    run_all(release)
    name_tickets(release, "MOBILE-101")
    run_all(release)
    release = set_mark(release=complete(release), mark=Mark.RELEASED, actor=None)
    run_all(release)
    for effect in of(release, kind):
        if fresh(effect).is_open:
            rerun_when_settled(effect)
            run_all(release)
    assert {e.state for e in of(release, kind)} == {EffectState.DONE}
    expected = {"comment.created": 2}.get(act, 1)
    assert counts(sandbox)[act] == expected


def test_after_a_kill_an_effect_is_done_again_only_if_it_is_not_there(
    wired: Wired, sandbox: Any
) -> None:
    """`dispatched_at` is set and nothing else is known, as when `kill -9` came after sending."""
    release = plan(wired)
    run_all(release)
    name_tickets(release, "MOBILE-101")
    release = set_mark(release=complete(release), mark=Mark.RELEASED, actor=None)
    run_all(release)
    before = counts(sandbox)
    links = len(of(release, acts.LINK))
    for kind in PATHS:
        for effect in of(release, kind):
            Effect.objects.filter(pk=effect.pk).update(
                state=EffectState.PENDING, dispatched_at=timezone.now(), result={}
            )
            assert rerun(effect).state == EffectState.DONE
    assert counts(sandbox) == before | {"link.updated": before["link.updated"] + links}


def test_messages_at_an_epic_keep_their_order(wired: Wired, sandbox: Any, jira: Any) -> None:
    release = plan(wired)
    run_all(release)
    fault = {"provider": "jira", "method": "POST", "path": "*/comment", "count": 1}
    sandbox.state.faults.add("status", status=503, **fault)
    release = set_mark(release=complete(release), mark=Mark.SUBMITTED, actor=None)
    first, second = of(release, acts.COMMENT)
    run_effect(first.pk)
    assert rerun(second).state == EffectState.PENDING
    run_all(release)
    rerun_when_settled(first)
    run_all(release)
    words = [str(comment["body"]) for comment in jira.issues[0].comments]
    assert ["complete" in words[0], "submitted" in words[1]] == [True, True]


# --- Refusals -------------------------------------------------------------------------------------


def test_a_missing_permission_stops_one_thing_and_not_the_connection(
    wired: Wired, jira: Any
) -> None:
    wired.jira.project = "BASIC"
    wired.jira.save()
    release = plan(wired)
    run_all(release)
    release = set_mark(release=complete(release), mark=Mark.RELEASED, actor=None)
    run_all(release)
    dead = {effect.kind: effect for effect in Effect.objects.filter(state=EffectState.DEAD)}
    assert set(dead) == {acts.LINK, acts.COMMENT, acts.MOVE, acts.VERSION}
    assert "“Link Issues”" in dead[acts.LINK].last_error_hint
    assert fresh(wired.jira).verification_status == wired.jira.verification_status
    facts = shown(release)
    assert facts["status"] == ReleaseStatus.BUILD_COMPLETE
    assert {blocker["area"] for blocker in facts["blockers"]} == {"messages"}
    assert len(jira.issues) == 1


def test_a_dead_version_waits_for_a_person_and_then_goes_on(wired: Wired, jira: Any) -> None:
    old = jira.create_version(jira.project("MOBILE"), name="1.5.0", archived=True)
    release = plan(wired)
    run_all(release)
    release = set_mark(release=complete(release), mark=Mark.RELEASED, actor=None)
    run_all(release)
    (dead,), (waiting,) = of(release, acts.VERSION), of(release, acts.RELEASE_VERSION)
    assert (dead.state, waiting.state) == (EffectState.DEAD, EffectState.PENDING)
    assert "archived" in dead.last_error
    old.archived = False
    retry_effect(effect=dead, actor=None)
    run_all(release)
    assert (jira.versions, old.released) == ([old], True)
    assert fresh(waiting).state == EffectState.DONE


def test_without_the_version_its_release_is_not_wanted(wired: Wired, jira: Any) -> None:
    jira.create_version(jira.project("MOBILE"), name="1.5.0", archived=True)
    release = plan(wired)
    run_all(release)
    release = set_mark(release=complete(release), mark=Mark.RELEASED, actor=None)
    run_all(release)
    cancel_effect(effect=of(release, acts.VERSION)[0], actor=None)
    run_all(release)
    assert [e.state for e in of(release, acts.RELEASE_VERSION)] == [EffectState.CANCELLED]


def test_a_connection_that_was_removed_is_left_alone(wired: Wired) -> None:
    release = plan(wired)
    run_all(release)
    release = complete(release)
    run_all(release)
    before = Effect.objects.count()
    wired.jira.disconnected_at = timezone.now()
    wired.jira.save()
    set_mark(release=fresh(release), mark=Mark.RELEASED, actor=None)
    assert Effect.objects.count() == before


# --- Tickets --------------------------------------------------------------------------------------


def test_tickets_are_asked_for_once_in_bounded_batches(wired: Wired) -> None:
    release = plan(wired)
    run_all(release)
    name_tickets(release, *(f"MOBILE-{n}" for n in range(1000, 1060)))
    acts.plan_tickets(release)
    assert sorted(len(e.payload["keys"]) for e in of(release, acts.PLAN)) == [10, 25, 25]
    name_tickets(release, "MOBILE-1000", "MOBILE-2000")
    asked = [key for effect in of(release, acts.PLAN) for key in effect.payload["keys"]]
    assert (len(asked), len(set(asked)), "MOBILE-2000" in asked) == (61, 61, True)


def test_a_failed_look_keeps_what_was_known_and_comes_again(wired: Wired, sandbox: Any) -> None:
    release = plan(wired)
    run_all(release)
    part = TicketPart.objects.get()
    look_up(str(part.pk))
    TicketPart.objects.update(look_at=timezone.now())
    sandbox.state.faults.add("status", status=500, provider="jira", method="GET")
    look_up(str(part.pk))
    part = TicketPart.objects.get()
    assert (part.not_done, bool(part.note)) == (0, True)
    assert part.look_at is not None
    assert part.look_at > timezone.now() + timedelta(minutes=4)
    TicketPart.objects.update(look_at=timezone.now())
    Release.objects.filter(pk=release.pk).update(status=ReleaseStatus.CANCELLED)
    look_up(str(part.pk))
    assert TicketPart.objects.get().look_at is None
