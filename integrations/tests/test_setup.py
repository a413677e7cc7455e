"""The progress of a setup follows from the rows only."""

from __future__ import annotations

from typing import Any

import pytest

from delivr.tenants.models import Tenant
from delivr.tenants.operations import skip_step
from delivr.tests import factories as make
from integrations import operations
from integrations.choices import Verification
from integrations.models import CommunicationIntegration
from integrations.setup import (
    STEP,
    STEPS,
    State,
    is_complete,
    menu_facts,
    minutes_left,
    next_step,
    progress,
)

FACTORIES: dict[str, Any] = {
    "scm": make.ScmFactory,
    "targets": make.AppStoreFactory,
    "pipelines": make.PipelineFactory,
    "communication": make.SlackFactory,
    "tickets": make.JiraFactory,
}


def states(tenant: Tenant) -> dict[str, str]:
    return {step.key: step.state.value for step in progress(tenant)}


def connect_all(tenant: Tenant, *keys: str) -> None:
    for key in keys:
        FACTORIES[key](tenant=tenant)


def test_a_new_workspace_begins_with_its_repository(tenant: Tenant) -> None:
    assert list(states(tenant).values()) == ["CURRENT", "TODO", "TODO", "TODO", "TODO"]
    assert next_step(tenant) is STEPS[0]


def test_each_connection_opens_the_next_step(tenant: Tenant) -> None:
    for done, following in zip(FACTORIES, [*list(FACTORIES)[1:], None], strict=True):
        if done != "pipelines":
            connect_all(tenant, done)
        else:
            scm, target = operations.FAMILIES["scm"], operations.FAMILIES["targets"]
            make.PipelineFactory(
                tenant=tenant,
                scm=scm.objects.get(tenant=tenant),
                target=target.objects.get(tenant=tenant),
            )
        step = next_step(tenant)
        assert (step.key if step else None) == following
    assert is_complete(tenant)


@pytest.mark.parametrize(
    "status", [Verification.PENDING, Verification.INVALID, Verification.EXPIRED]
)
def test_a_connection_that_does_not_work_does_not_count(tenant: Tenant, status: str) -> None:
    make.ScmFactory(tenant=tenant, verification_status=status)
    assert states(tenant)["scm"] == State.CURRENT


def test_one_working_connection_of_several_is_enough(tenant: Tenant) -> None:
    make.ScmFactory(tenant=tenant, verification_status=Verification.INVALID)
    make.ScmFactory(tenant=tenant)
    assert states(tenant)["scm"] == State.DONE


def test_another_workspaces_connection_does_not_count(tenant: Tenant) -> None:
    make.ScmFactory()
    assert states(tenant)["scm"] == State.CURRENT


def test_a_disconnected_connection_does_not_count(tenant: Tenant) -> None:
    operations.disconnect(make.ScmFactory(tenant=tenant), actor=None)
    assert states(tenant)["scm"] == State.CURRENT


def test_optional_steps_may_be_skipped(tenant: Tenant) -> None:
    connect_all(tenant, "scm", "pipelines")
    skip_step(tenant=tenant, actor=None, step="communication")
    assert states(tenant)["communication"] == State.SKIPPED
    assert states(tenant)["tickets"] == State.CURRENT
    skip_step(tenant=tenant, actor=None, step="tickets")
    assert is_complete(tenant)


def test_required_steps_cannot_be_skipped(tenant: Tenant) -> None:
    skip_step(tenant=tenant, actor=None, step="scm")
    assert states(tenant)["scm"] == State.CURRENT


def test_a_connected_step_is_done_although_it_was_skipped(tenant: Tenant) -> None:
    skip_step(tenant=tenant, actor=None, step="tickets")
    connect_all(tenant, "tickets")
    assert states(tenant)["tickets"] == State.DONE


def test_a_skipped_step_that_is_connected_and_fails_later_is_open(tenant: Tenant) -> None:
    connect_all(tenant, "scm", "targets", "pipelines")
    tenant = skip_step(tenant=tenant, actor=None, step="communication")
    values = {"slack_bot_token": "xoxb-1-2-a", "slack_channels": ["C123"]}
    slack = operations.connect(
        CommunicationIntegration, tenant=tenant, actor=None, kind="SLACK", values=values
    )
    type(slack).objects.update(verification_status=Verification.INVALID)
    assert states(tenant)["communication"] == State.CURRENT


def test_the_time_left_gets_shorter_with_each_step(tenant: Tenant) -> None:
    whole = minutes_left(progress(tenant))
    connect_all(tenant, "scm")
    assert minutes_left(progress(tenant)) == whole - STEP["scm"].minutes
    skip_step(tenant=tenant, actor=None, step="tickets")
    connect_all(tenant, "targets", "pipelines", "communication")
    assert minutes_left(progress(tenant)) == 0


def test_a_step_after_a_failing_one_is_closed_again(tenant: Tenant) -> None:
    scm = make.ScmFactory(tenant=tenant)
    make.AppStoreFactory(tenant=tenant)
    assert [step.is_open for step in progress(tenant)] == [True, True, True, False, False]
    type(scm).objects.update(verification_status=Verification.INVALID)
    assert [step.is_open for step in progress(tenant)] == [True, False, False, False, False]
    assert [bool(step.url) for step in progress(tenant)] == [True, False, False, False, False]


def test_progress_asks_the_database_once(tenant: Tenant, django_assert_num_queries: Any) -> None:
    for _ in range(3):
        connect_all(tenant, *FACTORIES)
    with django_assert_num_queries(1):
        progress(tenant)


def test_the_menu_counts_connections_that_need_attention_in_one_query(
    tenant: Tenant, client_for: Any, member_of: Any, django_assert_num_queries: Any
) -> None:
    make.ScmFactory(tenant=tenant)
    make.AppStoreFactory(tenant=tenant, verification_status=Verification.PENDING)
    with django_assert_num_queries(1):
        assert menu_facts(tenant).failing == 0
    client = client_for(member_of(tenant))
    assert "count--danger" not in client.get("/activity").content.decode()

    for status in (Verification.INVALID, Verification.EXPIRED):
        make.SlackFactory(tenant=tenant, verification_status=status)
    make.JiraFactory(tenant=tenant, verification_status=Verification.INVALID)
    make.JiraFactory(verification_status=Verification.INVALID)  # another workspace's
    gone = make.ScmFactory(tenant=tenant, verification_status=Verification.INVALID)
    type(gone).objects.filter(pk=gone.pk).update(disconnected_at=gone.created_at)
    with django_assert_num_queries(1):
        assert menu_facts(tenant).failing == 3
    page = " ".join(client.get("/activity").content.decode().split())
    assert (
        '<span class="count count--danger">3<span class="visually-hidden"> need attention' in page
    )
