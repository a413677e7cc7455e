"""Triggering: which pipelines need a build, what conflicts, what is written."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from builds.models import Build
from builds.triggering import NoSuchPipeline, trigger_builds
from builds.updates.apply import trigger_failed
from delivr.audit.models import AuditEvent
from delivr.effects.models import Effect
from delivr.failures import Conflict
from delivr.tests import factories
from delivr.tests.wired import Wired, fresh, trigger_of, wire
from integrations.providers.ci import BuildStatus
from releases.models import Release, ReleasePipeline

pytestmark = pytest.mark.django_db

NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def wired(tenant: Any) -> Wired:
    return wire(tenant, NOWHERE)


@pytest.fixture
def release(wired: Wired) -> Release:
    return wired.release()


def trigger(release: Release, **kwargs: Any) -> list[Build]:
    return trigger_builds(release=release, actor=None, **kwargs)


def part(release: Release, platform: str) -> ReleasePipeline:
    found: ReleasePipeline = release.pipelines.get(platform=platform)
    return found


def set_status(release: Release, platform: str, status: str) -> None:
    """Set the status of a pipeline's newest build."""
    ReleasePipeline.objects.filter(release=release, platform=platform).update(build_status=status)
    Build.objects.filter(release_pipeline__release=release).filter(
        release_pipeline__platform=platform
    ).update(status=status)


def code(release: Release, **kwargs: Any) -> str:
    with pytest.raises(Conflict) as error:
        trigger(release, **kwargs)
    return str(error.value.code)


def test_a_trigger_writes_the_build_its_effect_and_its_audit_row(
    release: Release, owner: Any
) -> None:
    builds = trigger_builds(release=release, actor=owner)
    assert len(builds) == 2
    for build in map(fresh, builds):
        assert (build.status, build.attempt, build.started_by) == ("TRIGGERING", 1, owner)
        assert (build.number, build.poll_at) == (None, None)
        effect = trigger_of(build)
        assert effect.integration_id == build.release_pipeline.pipeline_id
        assert effect.release_id == release.pk
        assert effect.dedupe_key == f"build:{build.pk}:trigger"
    assert fresh(release).status == "BUILDING"
    events = AuditEvent.objects.filter(action="build.triggered")
    assert {e.subject_id for e in events} == {b.pk for b in builds}


def test_the_release_pipeline_mirrors_its_build(release: Release) -> None:
    trigger(release, platform="IOS")
    assert part(release, "IOS").build_status == "TRIGGERING"
    assert part(release, "IOS").triggered is False
    assert part(release, "ANDROID").build_status == "PENDING"


def test_one_pipeline_or_one_platform_may_be_chosen(release: Release, wired: Wired) -> None:
    (ios,) = trigger(release, pipeline_id=wired.pipelines["ios"].pk)
    assert ios.release_pipeline == part(release, "IOS")
    (android,) = trigger(release, platform="ANDROID")
    assert android.release_pipeline == part(release, "ANDROID")


@pytest.mark.parametrize("status", [s.value for s in BuildStatus])
def test_only_what_needs_a_build_gets_one(release: Release, status: str) -> None:
    needs = status not in ("TRIGGERING", "QUEUED", "WAITING", "RUNNING", "SUCCESS")
    trigger(release, platform="IOS")
    set_status(release, "IOS", status)
    assert part(release, "IOS").needs_build is needs
    if needs:
        (again,) = trigger(release, platform="IOS")
        assert again.attempt == 2
    else:
        moving = status != "SUCCESS"
        wanted = "build_in_progress" if moving else "already_built"
        assert code(release, platform="IOS") == wanted
        assert Build.objects.count() == Effect.objects.count() == 1


def test_all_means_all_that_still_need_one(release: Release) -> None:
    trigger(release, platform="IOS")
    set_status(release, "IOS", "RUNNING")
    (android,) = trigger(release)
    assert android.release_pipeline == part(release, "ANDROID")
    assert code(release) == "build_in_progress"
    set_status(release, "IOS", "SUCCESS")
    set_status(release, "ANDROID", "SUCCESS")
    assert code(release) == "already_built"


def test_a_cancelled_release_is_not_built(release: Release) -> None:
    Release.objects.filter(pk=release.pk).update(status="CANCELLED")
    assert code(release) == "release_cancelled"
    assert not Build.objects.exists()


def test_a_pipeline_that_the_release_lacks_is_none(wired: Wired, tenant: Any) -> None:
    release = wired.release("ios")
    others = factories.ReleasePipelineFactory(release__tenant=tenant).pipeline
    theirs = factories.ReleasePipelineFactory().pipeline
    for pk in (wired.pipelines["android"].pk, others.pk, theirs.pk, "pipeline_x"):
        with pytest.raises(NoSuchPipeline):
            trigger(release, pipeline_id=pk)
    with pytest.raises(NoSuchPipeline):
        trigger(release, platform="ANDROID")
    with pytest.raises(NoSuchPipeline):
        trigger(release, pipeline_id=wired.pipelines["ios"].pk, platform="ANDROID")
    assert not Build.objects.exists()


def test_a_trigger_that_failed_can_be_triggered_again(wired: Wired) -> None:
    release = wired.release("ios", slack=True)
    (first,) = trigger(release)
    trigger_failed(first.pk, message="Jenkins was away.")
    assert part(release, "IOS").build_status == "TRIGGER_FAILED"
    assert part(release, "IOS").triggered is False
    assert fresh(release).status == "BUILD_FAILED"
    (second,) = trigger(release)
    assert (fresh(first).status, fresh(second).status) == ("TRIGGER_FAILED", "TRIGGERING")
    assert fresh(release).status == "BUILDING"
    event = first.events.get()
    assert (event.to_status, event.detail) == ("TRIGGER_FAILED", "Jenkins was away.")


def test_history_is_kept_newest_first(release: Release) -> None:
    for number in range(1, 4):
        (build,) = trigger(release, platform="IOS")
        assert build.attempt == number
        set_status(release, "IOS", "FAILURE")
    assert [b.attempt for b in part(release, "IOS").builds.all()] == [3, 2, 1]
    assert Effect.objects.filter(kind="build.trigger").count() == 3


def test_our_three_parameters_win(wired: Wired) -> None:
    release = wired.release("ios")
    release.pipelines.update(parameters={"TRACK": "beta", "VERSION": "0", "DELIVR_BUILD_ID": "x"})
    (build,) = trigger(release)
    assert build.parameters == {
        "TRACK": "beta",
        "VERSION": release.version,
        "BRANCH": release.branch,
        "DELIVR_BUILD_ID": build.pk,
    }


def with_pipelines(wired: Wired, count: int) -> Release:
    release = factories.ReleaseFactory(tenant=wired.tenant, scm=wired.scm)
    for _n in range(count):
        pipeline = factories.PipelineFactory(
            tenant=wired.tenant, scm=wired.scm, target=wired.targets["ios"]
        )
        factories.ReleasePipelineFactory(release=release, pipeline=pipeline)
    return release


def test_twenty_pipelines_cost_no_more_queries_than_two(wired: Wired, owner: Any) -> None:
    counts = []
    for number in (2, 20):
        release = with_pipelines(wired, number)
        with CaptureQueriesContext(connection) as queries:
            assert len(trigger_builds(release=release, actor=owner)) == number
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 16
