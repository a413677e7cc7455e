"""The timeline of a release: its events and their order."""

from datetime import timedelta

import pytest
from django.utils import timezone

from builds.models import Source
from builds.triggering import trigger_builds
from builds.updates.apply import apply_update
from builds.updates.update import BuildUpdate
from delivr.effects.models import Effect, EffectState
from integrations.providers.ci import BuildStatus
from releases.models import Release
from releases.timeline import timeline

URL = "http://127.0.0.1:1/jenkins/job/ios-prod/245/"


@pytest.fixture
def release(setup, owner):
    return setup.release(actor=owner)


def items(release):
    loaded = Release.objects.with_everything().get(pk=release.pk)
    return timeline(loaded, Effect.objects.filter(release_id=release.pk))


def titles(release):
    return [item.title for item in items(release)]


def update(build, status, source=Source.POLL, **values):
    apply_update(build.pk, BuildUpdate(status=status, source=source, **values))


def test_events_come_oldest_first(release, setup, owner):
    [build] = trigger_builds(release=release, actor=owner, pipeline_id=setup.ios_job.pk)
    update(build, BuildStatus.QUEUED, queue_id=7, queue_reason="Waiting for mac")
    update(build, BuildStatus.RUNNING, number=245, url=URL)
    update(build, BuildStatus.SUCCESS, Source.WEBHOOK)
    assert titles(release) == [
        "Release 1.5.0 created",
        "iOS build triggered",
        "iOS build #245 queued",
        "iOS build #245 started",
        "iOS build #245 complete",
    ]
    found = items(release)
    assert found[1].detail == f"by {owner}"
    assert "Waiting for mac" in found[2].detail
    assert (found[4].tone, found[4].url, found[4].detail) == ("success", URL, "Webhook")


def test_second_attempt_is_shown_as_such(release, setup):
    [build] = trigger_builds(release=release, actor=None, pipeline_id=setup.ios_job.pk)
    update(build, BuildStatus.FAILURE, number=245)
    trigger_builds(release=release, actor=None, pipeline_id=setup.ios_job.pk)
    assert [i.detail for i in items(release) if i.title == "iOS build triggered"] == [
        "",
        "Attempt 2",
    ]


def test_late_updates_are_shown_as_ignored(release, setup):
    [build] = trigger_builds(release=release, actor=None, pipeline_id=setup.ios_job.pk)
    update(build, BuildStatus.SUCCESS, number=245)
    update(build, BuildStatus.RUNNING, Source.WEBHOOK, number=245)
    assert titles(release)[-1] == "iOS build #245: “Running” was ignored"
    assert items(release)[-1].tone == "neutral"


def test_settled_messages_and_epics_are_events_and_open_ones_are_not(release):
    assert len(items(release)) == 1
    message = Effect.objects.get(kind="message.post")
    message.state, message.done_at = EffectState.DONE, timezone.now()
    message.result = {"url": "https://slack.test/p1"}
    message.save()
    epic = Effect.objects.filter(kind="ticket.create_epic").first()
    epic.state, epic.done_at = EffectState.DEAD, timezone.now() + timedelta(seconds=1)
    epic.last_error = "No right."
    epic.save()
    sent, failed = items(release)[1:]
    assert (sent.kind, sent.title) == ("MESSAGE", "Message “Release created” to C123")
    assert sent.url == "https://slack.test/p1"
    assert (failed.title, failed.detail, failed.tone) == ("Not sent: Epic", "No right.", "danger")


def test_it_makes_no_queries(release, setup, django_assert_num_queries):
    trigger_builds(release=release, actor=None)
    loaded = Release.objects.with_everything().get(pk=release.pk)
    effects = list(Effect.objects.filter(release_id=release.pk))
    with django_assert_num_queries(0):
        assert len(timeline(loaded, effects)) == 3
