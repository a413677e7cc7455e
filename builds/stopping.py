"""Creates the effects that stop builds at the CI server."""

from __future__ import annotations

from builds.models import Build, BuildEvent, TestBuild
from delivr.effects.models import Effect
from delivr.effects.operations import create_effect, wake
from integrations.providers.ci import BuildHandle
from releases.messages.notices import from_event


def create_stop(build: Build, event: BuildEvent) -> None:
    """Have the CI server stop a build that was cancelled here. A trigger that was not sent ends
    now, whatever it waits for."""
    mine = Effect.objects.for_tenant(build.tenant_id).filter(build_id=build.pk)
    wake(mine.filter(kind="build.trigger", dispatched_at=None))
    create_effect(
        tenant=build.tenant,
        kind="build.cancel",
        integration_id=build.release_pipeline.pipeline_id,
        release_id=build.release_pipeline.release_id,
        build_id=build.pk,
        dedupe_key=f"build:{build.pk}:cancel:{build.number or 'queue'}",
        payload=from_event(event.pk),
    )


def create_stop_of_duplicate(build: Build, there: BuildHandle) -> None:
    """Have another run with this build's id checked, and stopped if it is ours. One effect for
    each run, whether it was first seen in the queue or by its number."""
    names = {"": there.number, "queue:": there.queue_id, "id:": there.external_id}
    keys = [f"build:{build.pk}:repeat:{sort}{name}" for sort, name in names.items() if name]
    known = Effect.objects.for_tenant(build.tenant_id).filter(dedupe_key__in=keys)
    if not keys or known.exists():
        return
    create_effect(
        tenant=build.tenant,
        kind="build.stop_repeat",
        integration_id=build.release_pipeline.pipeline_id,
        release_id=build.release_pipeline.release_id,
        build_id=build.pk,
        dedupe_key=keys[0],
        payload={
            "number": there.number,
            "queueId": there.queue_id,
            "externalId": there.external_id,
        },
    )


def create_stop_of_test(test: TestBuild) -> None:
    """Have the CI server stop a test build that was cancelled here."""
    create_effect(
        tenant=test.tenant,
        kind="build.test_stop",
        integration_id=test.pipeline_id,
        dedupe_key=f"test:{test.pk}:stop",
        payload={"testBuildId": test.pk},
    )
