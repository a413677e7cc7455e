"""Why a build did not succeed, on the page of its release."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from builds.models import Build, Source
from builds.triggering import trigger_builds
from builds.updates.apply import apply_update
from builds.updates.update import BuildUpdate
from delivr.effects.models import Effect, EffectState
from integrations.providers.ci import BuildStatus
from releases.models import Release
from releases.tests.pages import Setup, text_of

JENKINS = "http://127.0.0.1:1/jenkins"


def page(release: Release) -> str:
    return f"/releases/{release.pk}"


@pytest.fixture
def release(setup: Setup, owner: Any) -> Release:
    return setup.release(actor=owner)


def ended(
    release: Release, setup: Setup, status: BuildStatus = BuildStatus.FAILURE, **log: Any
) -> Build:
    """An iOS build with this result, in a release without open work, and with this log excerpt."""
    [build] = trigger_builds(release=release, actor=None, pipeline_id=setup.ios_job.pk)
    for state in (BuildStatus.RUNNING, status):
        address = f"{JENKINS}/job/ios-prod/245/"
        apply_update(
            build.pk, BuildUpdate(status=state, source=Source.POLL, number=245, url=address)
        )
    Build.objects.filter(pk=build.pk).update(**{"log_at": None, **log})
    Effect.objects.filter(release_id=release.pk).update(state=EffectState.DONE)
    Release.objects.update(created_at=timezone.now() - timedelta(minutes=5))
    return build


def test_a_failed_build_shows_the_lines_of_its_log(
    member: Client, release: Release, setup: Setup
) -> None:
    hostile = "Cart.swift:1:2: error: <script>alert(1)</script>\n** ARCHIVE FAILED **"
    ended(release, setup, log_excerpt=hostile)
    html = member.get(page(release)).content.decode()
    assert "Why it failed" in html
    assert "error: &lt;script&gt;alert(1)&lt;/script&gt;\n** ARCHIVE FAILED **" in html
    assert "<script>alert(1)" not in html
    assert "lines" not in html.partition('class="reasons"')[2][:1500]  # nothing is folded


def test_many_lines_of_a_log_are_folded(member: Client, release: Release, setup: Setup) -> None:
    ended(release, setup, log_excerpt="\n".join(f"error: {n}" for n in range(24)))
    assert "Show all 24 lines" in text_of(member.get(page(release)))


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (BuildStatus.UNSTABLE, "Why it is unstable"),
        (BuildStatus.ABORTED, "How it ended"),
    ],
)
def test_the_excerpt_has_a_title_for_each_result(
    member: Client, release: Release, setup: Setup, status: BuildStatus, words: str
) -> None:
    ended(release, setup, status, log_excerpt="error: it")
    assert words in text_of(member.get(page(release)))


def test_an_unreadable_log_is_mentioned_and_still_linked(
    member: Client, release: Release, setup: Setup
) -> None:
    ended(release, setup, log_error="Jenkins no longer has the log of this build.")
    answer = member.get(page(release))
    assert "The log could not be read: Jenkins no longer has the log of this build" in text_of(
        answer
    )
    assert f"{JENKINS}/job/ios-prod/245/console" in answer.content.decode()


def test_the_page_waits_for_the_log(member: Client, release: Release, setup: Setup) -> None:
    build = ended(release, setup, log_at=timezone.now())
    answer = member.get(page(release))
    assert "Reading the log" in text_of(answer)
    assert 'hx-trigger="every 1s' in answer.content.decode()
    Build.objects.filter(pk=build.pk).update(log_tries=2)
    assert 'hx-trigger="every 15s' in member.get(page(release)).content.decode()
    Build.objects.filter(pk=build.pk).update(log_at=None)
    assert 'hx-trigger="every 30s' in member.get(page(release)).content.decode()
