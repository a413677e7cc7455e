"""The cards of a release's page: confirmations, folded parts, and links in the header."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from builds.models import Build, Source
from builds.triggering import trigger_builds
from builds.updates.apply import apply_update, trigger_failed
from builds.updates.update import BuildUpdate
from delivr.effects.models import Effect, EffectState
from delivr.tests import factories
from integrations.providers.ci import BuildStatus
from releases.models import Release
from releases.operations import create_release
from releases.tests.pages import Setup, text_of


@pytest.fixture
def release(setup: Setup, owner: Any) -> Release:
    return setup.release(actor=owner)


def built(release: Release, pipeline: Any, status: BuildStatus, number: int | None = 245) -> Build:
    """Another build of the pipeline with this status."""
    [build] = trigger_builds(release=release, actor=None, pipeline_id=pipeline.pk)
    apply_update(build.pk, BuildUpdate(status=status, source=Source.POLL, number=number))
    return build


def page(client: Client, release: Release) -> Any:
    return client.get(f"/releases/{release.pk}")


@pytest.mark.parametrize(
    ("status", "number", "words"),
    [
        (BuildStatus.RUNNING, 245, "Jenkins is asked to abort #245"),
        (BuildStatus.QUEUED, None, "It is removed from the CI server's queue"),
    ],
)
def test_stopping_asks_and_says_what_will_happen(
    member: Client,
    release: Release,
    setup: Setup,
    status: BuildStatus,
    number: int | None,
    words: str,
) -> None:
    build = built(release, setup.ios_job, status, number)
    answer = page(member, release)
    assert f'popovertarget="cancel-{build.pk}"' in answer.content.decode()
    assert "Stop this iOS build?" in text_of(answer)
    assert words in text_of(answer)
    assert "data-confirm" not in answer.content.decode()


def test_cancelling_a_release_says_what_will_happen(member: Client, release: Release) -> None:
    text = text_of(page(member, release))
    assert "Builds in progress are stopped" in text
    assert "A message is posted to Slack." in text
    assert "The epics in Jira stay as they are." in text


def test_a_single_build_is_one_line_without_its_state_again(
    member: Client, release: Release, setup: Setup
) -> None:
    built(release, setup.ios_job, BuildStatus.FAILURE)
    answer = page(member, release)
    assert "Attempts" not in text_of(answer)
    assert text_of(answer).count(" Failed ") == 2  # in the status card and in its own


def test_old_attempts_are_folded_but_never_a_single_one(
    member: Client, release: Release, setup: Setup
) -> None:
    for number in range(4):
        built(release, setup.ios_job, BuildStatus.FAILURE, 240 + number)
    assert "earlier attempt" not in text_of(page(member, release))
    built(release, setup.ios_job, BuildStatus.FAILURE, 244)
    text = text_of(page(member, release))
    assert "2 earlier attempts" in text
    assert "#240" in text


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (BuildStatus.FAILURE, "iOS did not succeed. Check the reason, then trigger it again."),
        (BuildStatus.TRIGGERING, "iOS was not triggered. Check the reason, then try again."),
    ],
)
def test_the_header_names_what_failed_and_leads_there(
    member: Client, release: Release, setup: Setup, status: BuildStatus, advice: str
) -> None:
    built(release, setup.android_job, BuildStatus.SUCCESS)
    if status == BuildStatus.TRIGGERING:
        [build] = trigger_builds(release=release, actor=None, pipeline_id=setup.ios_job.pk)
        trigger_failed(build.pk, message="Jenkins is closed.")
    else:
        built(release, setup.ios_job, status)
    answer = page(member, release)
    assert advice in text_of(answer)
    html = answer.content.decode()
    assert f'href="#{setup.ios_job.pk}"' in html
    assert f'id="{setup.ios_job.pk}"' in html


def test_a_refused_trigger_is_named_as_what_holds_the_release_up(
    member: Client, release: Release, setup: Setup
) -> None:
    [build] = trigger_builds(release=release, actor=None, pipeline_id=setup.ios_job.pk)
    Effect.objects.filter(build_id=build.pk).update(
        state=EffectState.DEAD, last_error="Jenkins is closed.", done_at=build.created_at
    )
    trigger_failed(build.pk, message="Jenkins is closed.")
    answer = page(member, release)
    text = text_of(answer)
    assert "Why is this not moving? iOS: Build trigger: Jenkins is closed." in text
    assert "Try now" not in text  # nothing waits for a time
    assert f'<a href="#{setup.ios_job.pk}">iOS: Build trigger' in answer.content.decode()
    trigger_builds(release=release, actor=None, pipeline_id=setup.ios_job.pk)
    assert "Why is this not moving?" not in text_of(page(member, release))


def test_old_messages_are_folded(member: Client, release: Release, setup: Setup) -> None:
    for number in range(4):
        built(release, setup.ios_job, BuildStatus.FAILURE, 240 + number)
    text = text_of(page(member, release))
    section = text.partition("Messages")[2]
    assert "earlier messages" in section
    assert section.index("iOS build #243 failed") < section.index("iOS build #240 failed")


def test_the_same_trouble_in_several_channels_is_told_once(
    setup: Setup, owner: Any, client_for: Any, member: Client
) -> None:
    setup.slack.recipients = ["C123", "C456"]
    setup.slack.save()
    release = setup.release()
    Effect.objects.filter(kind="message.post").update(
        state=EffectState.DEAD, last_error="Slack is closed.", done_at=timezone.now()
    )
    text = text_of(page(client_for(owner), release)).rpartition(" Messages ")[2]
    assert text.count("Slack is closed.") == 1
    assert "Retry C123" in text
    assert "Retry C456" in text
    text = text_of(page(member, release))
    assert text.count("A workspace admin can retry this.") == 1


def test_a_build_that_is_held_up_is_not_called_in_progress(
    member: Client, release: Release, setup: Setup
) -> None:
    [build] = trigger_builds(release=release, actor=None, pipeline_id=setup.ios_job.pk)
    again = timezone.now() + timedelta(minutes=5)
    effect = Effect.objects.get(build_id=build.pk, kind="build.trigger")
    Effect.objects.filter(pk=effect.pk).update(last_error="Jenkins is closed.", next_at=again)
    text = text_of(page(member, release))
    assert "Something is holding up the builds. Not triggered yet: Android." in text
    assert "Builds are in progress" not in text
    assert "Next attempt" in _trouble(page(member, release))
    Effect.objects.filter(pk=effect.pk).update(next_at=effect.expires_at)
    assert "Next attempt" not in _trouble(page(member, release))  # the connection has to be fixed


def _trouble(answer: Any) -> str:
    html: str = answer.content.decode()
    return html.partition('class="alert')[2].partition("</section>")[0]


def test_pipelines_for_one_platform_are_told_apart(member: Client, setup: Setup) -> None:
    nightly = factories.PipelineFactory(
        tenant=setup.tenant, scm=setup.scm, target=setup.ios, job="/job/night", display_name="Night"
    )
    release = create_release(
        tenant=setup.tenant,
        actor=None,
        version="1.6.0",
        scm_id=setup.scm.pk,
        target_ids=[setup.ios.pk],
        pipeline_ids=[setup.ios_job.pk, nightly.pk],
    )
    trigger_builds(release=release, actor=None, pipeline_id=setup.ios_job.pk)
    text = text_of(page(member, release))
    assert "Not triggered yet: Night." in text
    assert f"{setup.ios_job} build triggered" in text
    headings = re.findall(r'-title">\s*(.*?)\s*<', page(member, release).content.decode())
    assert {str(setup.ios_job), "Night"} <= set(headings)  # axe: landmarks have unique names
    assert "Jenkins · iOS" in text
    for hidden in ("Trigger build (Night)", f"Stop ({setup.ios_job})"):
        assert hidden in text
