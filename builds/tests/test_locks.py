"""Handing out work never waits for a lock, and never hands out the same row twice."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.utils import timezone

from builds.adopting import _adopt
from builds.effects import TriggerBuild
from builds.models import Build, WebhookDelivery
from builds.polling.poller import due_builds
from builds.updates.apply import lock_build
from builds.webhooks.deliveries import due_deliveries
from delivr.effects.models import EffectState
from delivr.effects.operations import retry_effect
from delivr.failures import Conflict
from delivr.tests import factories
from delivr.tests.wired import fresh
from integrations.providers.ci import BuildState, BuildStatus
from releases.models import ReleasePipeline

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def builds(tenant: Any) -> list[Build]:
    """Builds of one release that are due to be polled."""
    release = factories.ReleaseFactory(tenant=tenant)
    return [
        factories.BuildFactory(
            release_pipeline=factories.ReleasePipelineFactory(release=release),
            status="RUNNING",
            poll_at=timezone.now(),
        )
        for _n in range(20)
    ]


def in_threads(work: Callable[[], Any], times: int) -> list[Any]:
    """The results of `work` in so many threads that start at once."""
    barrier, results = threading.Barrier(times), []

    def run() -> None:
        try:
            connection.ensure_connection()
            barrier.wait()
            results.append(work())
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _n in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == times
    return results


def test_a_locked_build_is_skipped(builds: list[Build]) -> None:
    held = builds[0]
    with transaction.atomic():
        lock_build(held.pk)
        [handed] = in_threads(due_builds, 1)  # must not wait for the lock
    assert set(handed) == {build.pk for build in builds} - {held.pk}
    assert fresh(held).poll_at == held.poll_at


def test_each_build_is_handed_to_one_worker(builds: list[Build]) -> None:
    for _round in range(5):
        Build.objects.update(poll_at=timezone.now())
        handed = [pk for ids in in_threads(due_builds, 4) for pk in ids]
        assert len(handed) == len(set(handed))


def test_each_delivery_is_handed_to_one_worker(tenant: Any) -> None:
    pipeline = factories.PipelineFactory(tenant=tenant)
    factories.DeliveryFactory.create_batch(20, pipeline=pipeline)
    for _round in range(5):
        WebhookDelivery.objects.update(next_at=timezone.now())
        handed = [pk for ids in in_threads(due_deliveries, 4) for pk in ids]
        assert len(handed) == len(set(handed))


@pytest.mark.parametrize("others", [[], ["C456"]])
def test_of_two_retried_messages_each_takes_another_channel(tenant: Any, others: list[str]) -> None:
    slack = factories.SlackFactory(tenant=tenant, recipients=["C123", *others])
    release = factories.ReleaseFactory(tenant=tenant, communication=slack)
    first, second = (
        factories.EffectFactory(
            tenant=tenant,
            kind="message.post",
            state=EffectState.DEAD,
            integration_id=slack.pk,
            release_id=release.pk,
            dedupe_key=f"release:{release.pk}:message:{slack.pk}:{channel}:created",
            payload={"channel": channel, "notice": "release_created", "words": {}},
        )
        for channel in ("C777", "C888")  # no longer chosen
    )
    refused: list[ValidationError] = []

    def retry_the_second() -> None:
        try:
            retry_effect(effect=second, actor=None)
        except ValidationError as error:
            refused.append(error)

    late = threading.Thread(target=closing(retry_the_second))
    with transaction.atomic():
        retry_effect(effect=first, actor=None)
        late.start()
        wait_for_a_lock(late)
    late.join()
    went = [fresh(effect).payload["channel"] for effect in (first, second)]
    assert went == ["C123", *(others or ["C888"])]
    assert len(refused) == (0 if others else 1)


def test_of_two_releases_at_once_one_is_given_a_build(tenant: Any) -> None:
    pipeline = factories.PipelineFactory(tenant=tenant)
    first, second = (
        factories.ReleasePipelineFactory(
            release=factories.ReleaseFactory(tenant=tenant, branch="main", scm=pipeline.scm),
            pipeline=pipeline,
        )
        for _n in range(2)
    )
    state = BuildState(status=BuildStatus.RUNNING, number=7, branch="main")
    refused: list[Conflict] = []

    def adopt_for_the_second() -> None:
        try:
            _adopt(second, state, None, instead_of=None)
        except Conflict as conflict:
            refused.append(conflict)

    late = threading.Thread(target=closing(adopt_for_the_second))
    with transaction.atomic():
        _adopt(first, state, None, instead_of=None)
        late.start()
        wait_for_a_lock(late)
    late.join()
    assert [conflict.code for conflict in refused] == ["not_dead"]
    assert Build.objects.get().release_pipeline_id == first.pk


def test_other_releases_are_not_locked_within_the_locks_of_one(tenant: Any) -> None:
    """Two triggers of a pipeline that give up at the same moment would wait for each other."""
    pipeline = factories.PipelineFactory(tenant=tenant)
    builds = [
        factories.BuildFactory(
            release_pipeline__release__tenant=tenant,
            release_pipeline__release__scm=pipeline.scm,
            release_pipeline__pipeline=pipeline,
            status="TRIGGERING",
        )
        for _n in range(2)
    ]
    effect = factories.EffectFactory(
        tenant=tenant,
        kind="build.trigger",
        build_id=builds[0].pk,
        last_error_code="cannot_correlate",
    )
    Build.objects.filter(pk=builds[1].pk).update(status="TRIGGER_FAILED")
    looked_for = ReleasePipeline.objects.exclude(look_at=None)
    with transaction.atomic():
        TriggerBuild().gave_up(effect)
        assert not looked_for.exists()
    assert looked_for.count() == 2


def closing(work: Callable[[], None]) -> Callable[[], None]:
    """`work` for a thread: it closes the thread's database connection at the end."""

    def run() -> None:
        try:
            work()
        finally:
            connection.close()

    return run


def wait_for_a_lock(thread: threading.Thread) -> None:
    """Wait until another session of this database waits for a lock, or the thread has ended."""
    waiting = (
        "SELECT 1 FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with connection.cursor() as cursor:
        while thread.is_alive():
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(waiting)
            if cursor.fetchone():
                return
