"""Creating a release: what is written in one transaction, and the effects that it creates."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import DatabaseError, connection
from django.utils import timezone

from builds.triggering import trigger_builds
from delivr.audit.models import AuditEvent
from delivr.effects.models import Effect
from delivr.tests import factories
from delivr.tests.wired import Wired, fresh, wire
from integrations import operations as integrations
from releases.operations import ReleasePlan, create_release, derive_status, is_legal_branch
from releases.tests.new_release import NOWHERE, TABLES, errors_of, values_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def wired(tenant: Any) -> Wired:
    return wire(tenant, NOWHERE)


# --- What is written -----------------------------------------------------------------------------


def test_a_release_is_written_with_all_its_parts(wired: Wired, owner: Any) -> None:
    release = fresh(create_release(**values_of(wired, actor=owner)))
    assert (release.version, release.branch) == ("1.5.0", "release/1.5.0")
    assert (release.status, release.created_by) == ("KICKOFF_PENDING", owner)
    assert (release.scm, release.communications, release.ticket) == (
        wired.scm,
        [wired.slack],
        wired.jira,
    )
    assert {t.target for t in release.targets.all()} == set(wired.targets.values())
    pipelines = {p.pipeline: p for p in release.pipelines.all()}
    assert set(pipelines) == set(wired.pipelines.values())
    assert {p.platform for p in pipelines.values()} == {"IOS", "ANDROID"}
    assert {p.build_status for p in pipelines.values()} == {"PENDING"}
    assert not any(p.triggered for p in pipelines.values())


def test_there_is_one_epic_per_target_and_one_message_per_channel(wired: Wired) -> None:
    known = {"ok": True, "level": "ERROR", "name": "channel:C123", "message": "#releases"}
    type(wired.slack).objects.update(checks=[known])
    release = create_release(**values_of(wired))
    epics = Effect.objects.filter(kind="ticket.create_epic", release_id=release.pk)
    messages = Effect.objects.filter(kind="message.post", release_id=release.pk)
    assert {e.payload["target"] for e in epics} == {t.pk for t in wired.targets.values()}
    assert sorted(m.payload["channel"] for m in messages) == ["C123", "C456"]
    assert sorted(m.payload["channel_name"] for m in messages) == ["#releases", "C456"]
    assert {m.payload["notice"] for m in messages} == {"release_created"}
    assert {e.integration_id for e in epics} == {wired.jira.pk}
    assert {m.integration_id for m in messages} == {wired.slack.pk}
    assert Effect.objects.count() == 4


def test_without_messages_and_epics_there_are_no_effects(wired: Wired) -> None:
    create_release(**values_of(wired, communication_ids=[], ticket_id=None))
    assert not Effect.objects.exists()


def test_one_audit_row_says_who_made_it(wired: Wired, owner: Any) -> None:
    release = create_release(**values_of(wired, actor=owner))
    event = AuditEvent.objects.get()
    assert (event.action, event.subject_id) == ("release.created", release.pk)
    assert event.actor_id == owner.pk


def test_a_part_named_twice_is_one_part(wired: Wired) -> None:
    ios = wired.pipelines["ios"].pk
    release = create_release(**values_of(wired, pipeline_ids=[ios, ios]))
    assert release.pipelines.count() == 1


def test_a_branch_may_be_named(wired: Wired) -> None:
    assert create_release(**values_of(wired, branch=" main ")).branch == "main"


# --- One transaction -----------------------------------------------------------------------------


@contextlib.contextmanager
def at_insert(table: str, act: Callable[[], None]) -> Iterator[None]:
    """Call `act` right before the first INSERT into a table."""
    waiting = [act]

    def wrapper(execute: Any, sql: str, *args: Any) -> Any:
        if waiting and sql.startswith("INSERT ") and f' INTO "{table}"' in sql:
            waiting.pop()()
        return execute(sql, *args)

    with connection.execute_wrapper(wrapper):
        yield
    assert not waiting


@pytest.mark.parametrize("table", ["release_targets", "release_pipelines", "effects"])
def test_a_failing_part_leaves_nothing(wired: Wired, table: str) -> None:
    def fail() -> None:
        raise DatabaseError("the disk is full")

    with at_insert(table, fail), pytest.raises(DatabaseError):
        create_release(**values_of(wired))
    assert [model.objects.count() for model in TABLES] == [0] * len(TABLES)


def test_the_second_of_two_simultaneous_requests_is_refused(wired: Wired) -> None:
    def be_faster() -> None:
        factories.ReleaseTargetFactory(
            release__tenant=wired.tenant, target=wired.targets["ios"], held_version="1.5.0"
        )

    with at_insert("releases", be_faster):
        assert errors_of(wired) == {"version": ["Release 1.5.0 already exists."]}


# --- Snapshot ------------------------------------------------------------------------------------


def test_a_later_edit_of_a_pipeline_does_not_change_the_release(wired: Wired) -> None:
    ios = wired.pipelines["ios"]
    integrations.edit(ios, actor=None, values={"parameters": {"TRACK": "beta"}})
    release = create_release(**values_of(wired))
    changed = {"parameters": {"TRACK": "production"}, "jenkins_job_path": "/job/other"}
    integrations.edit(ios, actor=None, values=changed)
    part = release.pipelines.get(pipeline=ios)
    assert (part.job_path, part.parameters) == ("/job/ios-prod", {"TRACK": "beta"})
    (build,) = trigger_builds(release=release, actor=None, pipeline_id=ios.pk)
    assert build.parameters == {
        "TRACK": "beta",
        "VERSION": "1.5.0",
        "BRANCH": "release/1.5.0",
        "DELIVR_BUILD_ID": build.pk,
    }


# --- Words ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("builds", "status"),
    [
        ("PENDING PENDING", "KICKOFF_PENDING"),
        ("TRIGGERING PENDING", "BUILDING"),
        ("QUEUED PENDING", "BUILDING"),
        ("RUNNING SUCCESS", "BUILDING"),
        ("SUCCESS PENDING", "BUILDING"),
        ("FAILURE PENDING", "BUILDING"),
        ("FAILURE RUNNING", "BUILDING"),
        ("SUCCESS SUCCESS", "BUILD_COMPLETE"),
        ("SUCCESS", "BUILD_COMPLETE"),
        ("SUCCESS FAILURE", "BUILD_FAILED"),
        ("SUCCESS UNSTABLE", "BUILD_FAILED"),
        ("SUCCESS ABORTED", "BUILD_FAILED"),
        ("SUCCESS TRIGGER_FAILED", "BUILD_FAILED"),
        ("SUCCESS LOST", "BUILD_FAILED"),
        ("SUCCESS CANCELLED", "BUILD_FAILED"),
        ("TRIGGER_FAILED", "BUILD_FAILED"),
    ],
)
def test_the_status_is_derived_from_the_builds(builds: str, status: str) -> None:
    assert derive_status(builds.split()) == status
    assert derive_status(builds.split()[::-1]) == status


LEGAL = ["main", "release/1.5.0", "a", "feature/x-y_z.1", "été", "a@b", "@x", "-".join("ab"), "1"]
ILLEGAL = [
    "",
    "@",
    "a b",
    "a\tb",
    "a\x00",
    "a\x7f",
    "a..b",
    "a~1",
    "a^",
    "a:b",
    "a?",
    "a*",
    "a[b",
    "a\\b",
    "a@{b",
    "a//b",
    "/a",
    "a/",
    ".a",
    "a/.b",
    "a.",
    "a.lock",
    "a.lock/b",
    "-a",
    "x" * 201,
    "a\nb",
    "a\r",
]


@pytest.mark.parametrize("name", LEGAL)
def test_what_git_takes_is_a_branch(name: str) -> None:
    assert is_legal_branch(name)


@pytest.mark.parametrize("name", ILLEGAL)
def test_what_git_refuses_is_no_branch(name: str) -> None:
    assert not is_legal_branch(name)


@pytest.mark.parametrize("field", ["scm", "pipelines", "communications", "ticket"])
def test_a_connection_removed_while_a_release_is_created_is_an_error(
    wired: Wired, field: str
) -> None:
    gone = {
        "scm": wired.scm,
        "pipelines": wired.pipelines["ios"],
        "communications": wired.slack,
        "ticket": wired.jira,
    }[field]
    values = values_of(wired)
    plan = ReleasePlan(**{k: v for k, v in values.items() if k != "actor"}, branch="")
    type(gone).objects.filter(pk=gone.pk).update(disconnected_at=timezone.now())
    with pytest.raises(ValidationError) as error:
        plan.create(None)
    assert error.value.message_dict == {field: [f"There is no connection “{gone.pk}”."]}
