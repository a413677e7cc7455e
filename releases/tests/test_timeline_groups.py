"""The timeline on a release's page: one group for each build."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from builds.models import Build, Source
from builds.triggering import trigger_builds
from builds.updates.apply import apply_update, trigger_failed
from builds.updates.update import BuildUpdate
from delivr.effects.models import Effect
from delivr.tests import factories
from integrations.providers.ci import BuildStatus
from releases.models import Release
from releases.tests.pages import Setup
from releases.timeline import timeline
from releases.timeline_groups import TimelineGroup, group_by_build

URL = "http://127.0.0.1:1/jenkins/job/ios-prod/245/"


@pytest.fixture
def release(setup: Setup, owner: Any) -> Release:
    return setup.release(actor=owner)


@pytest.fixture
def build(release: Release, setup: Setup, owner: Any) -> Build:
    [build] = trigger_builds(release=release, actor=owner, pipeline_id=setup.ios_job.pk)
    return build


def groups(release: Release) -> tuple[TimelineGroup, ...]:
    loaded = Release.objects.with_everything().get(pk=release.pk)
    return group_by_build(timeline(loaded, Effect.objects.filter(release_id=release.pk)))


def update(build: Build, status: BuildStatus, **values: Any) -> None:
    apply_update(build.pk, BuildUpdate(**{"status": status, "source": Source.POLL, **values}))


def test_a_build_is_one_group_named_by_its_end(release: Release, build: Build, owner: Any) -> None:
    update(build, BuildStatus.QUEUED, source=Source.TRIGGER)
    update(build, BuildStatus.RUNNING, number=245, url=URL)
    update(build, BuildStatus.FAILURE)
    newest, first = groups(release)
    assert (newest.title, newest.tone, newest.url) == ("iOS build #245 failed", "danger", URL)
    words = [step.word for step in newest.steps]
    assert words == [f"triggered by {owner}", "queued", "started", "failed"]
    assert first.title == "Release 1.5.0 created"


def test_each_step_links_what_reported_it(release: Release, build: Build, owner: Any) -> None:
    delivery = factories.DeliveryFactory(tenant=release.tenant, pipeline=build.pipeline)
    update(build, BuildStatus.QUEUED, source=Source.TRIGGER)
    update(build, BuildStatus.RUNNING, source=Source.WEBHOOK, delivery=delivery)
    update(build, BuildStatus.SUCCESS)
    trigger = Effect.objects.get(kind="build.trigger").pk
    links = [step.cause_url for step in groups(release)[0].steps]
    effect = f"/activity/effects/{trigger}"
    assert links == [effect, effect, f"/activity/received/{delivery.pk}", ""]


def test_a_late_update_does_not_rename_the_group(release: Release, build: Build) -> None:
    update(build, BuildStatus.SUCCESS, number=245)
    update(build, BuildStatus.RUNNING, source=Source.WEBHOOK, number=245)
    [chapter, _created] = groups(release)
    assert chapter.title == "iOS build #245 complete"
    assert chapter.steps[-1].word == "“Running” ignored"


def test_the_details_of_a_failure_are_shown(release: Release, build: Build) -> None:
    trigger_failed(build.pk, message="Jenkins is closed.")
    [chapter, _created] = groups(release)
    assert (chapter.title, chapter.detail) == (
        "iOS build could not be triggered",
        "Jenkins is closed.",
    )


def test_two_attempts_are_two_groups_newest_first(
    release: Release, setup: Setup, build: Build
) -> None:
    update(build, BuildStatus.FAILURE, number=245)
    trigger_builds(release=release, actor=None, pipeline_id=setup.ios_job.pk)
    assert [chapter.title for chapter in groups(release)] == [
        "iOS build triggered",
        "iOS build #245 failed",
        "Release 1.5.0 created",
    ]


def test_the_page_shows_exact_times_on_hover(
    member: Client, release: Release, build: Build
) -> None:
    update(build, BuildStatus.QUEUED, source=Source.TRIGGER)
    html = member.get(f"/releases/{release.pk}").content.decode()
    steps = html.partition("timeline__steps")[2]
    assert 'title="' in steps.partition(">queued</time>")[0].rpartition("<time")[2]
