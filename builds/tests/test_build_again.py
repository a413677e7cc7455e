"""Build again: another release candidate after a success; the earlier ones are kept."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.test import Client

from builds.cancelling import cancel_build
from builds.insights.figures import insights
from builds.models import Build, Source
from builds.triggering import trigger_builds
from builds.updates.apply import apply_update
from builds.updates.update import BuildUpdate
from delivr.audit.models import AuditEvent
from delivr.effects.models import Effect
from delivr.failures import Conflict
from delivr.tests.wired import fresh
from integrations.providers.ci import BuildStatus
from integrations.providers.slack.provider import Slack
from releases.messages.in_place import said_by
from releases.messages.notices import Notice, render
from releases.models import Release
from releases.tests.pages import Setup, message_of, text_of

pytestmark = pytest.mark.django_db
S = BuildStatus


def end(build: Build, status: S, number: int) -> None:
    for reported in (S.RUNNING, status):
        url = f"http://127.0.0.1:1/jenkins/job/x/{number}/"
        artifact = f"s3://builds/{number}.ipa" if reported is S.SUCCESS else ""
        values = {"number": number, "url": url, "artifact_url": artifact}
        apply_update(build.pk, BuildUpdate(status=reported, source=Source.POLL, **values))  # type: ignore[arg-type]


def build(
    release: Release, *ends: S, pipeline: Any = None, number: int = 245, again: bool = False
) -> list[Build]:
    """Run one build for each of the given ends, of one pipeline or of all."""
    made = []
    pipeline_id = pipeline.pk if pipeline else None
    for status in ends or (S.SUCCESS,):
        for one in trigger_builds(
            release=release, actor=None, pipeline_id=pipeline_id, again=again
        ):
            end(one, status, number + Build.objects.count())
            made.append(fresh(one))
    return made


@pytest.fixture
def ready(release: Release) -> Release:
    """A release whose two pipelines have succeeded."""
    build(release)
    assert fresh(release).status == "BUILD_COMPLETE"
    found: Release = fresh(release)
    return found


def post(client: Client, release: Release, body: dict[str, Any], **headers: str) -> Any:
    path = f"/api/v1/releases/{release.pk}/builds"
    return client.post(path, body, content_type="application/json", headers=headers)


def texts(release: Release, *notices: Notice) -> list[str]:
    """The texts of the messages as they are now, oldest first."""
    found = Effect.objects.filter(kind="message.post", release_id=release.pk)
    rows = [said_by(e) for e in found.order_by("created_at", "pk")]
    rows = [said for said in rows if said["notice"] in notices]
    return [render(release, Notice(p["notice"]), p["words"], chat=Slack).text for p in rows]


# --- Accepted and refused requests ---------------------------------------------------------------


@pytest.mark.parametrize("body", [{}, {"platform": "IOS"}, {"again": False}])
def test_without_again_a_success_is_a_conflict(
    member: Client, ready: Release, body: dict[str, Any]
) -> None:
    answer = post(member, ready, body)
    assert (answer.status_code, answer.json()["code"]) == (409, "already_built")
    assert Build.objects.count() == 2


def test_again_builds_a_second_candidate_and_keeps_the_first(
    member: Client, ready: Release, setup: Setup
) -> None:
    answer = post(member, ready, {"pipelineId": setup.ios_job.pk, "again": True})
    assert answer.status_code == 202
    [made] = answer.json()["builds"]
    assert (made["candidate"], made["attempt"], made["buildStatus"]) == (2, 2, "TRIGGERING")
    shown = member.get(f"/api/v1/releases/{ready.pk}").json()
    assert (shown["status"], shown["completedAt"]) == ("BUILDING", None)
    ios, android = shown["pipelines"]
    assert (ios["candidate"], android["candidate"]) == (2, 1)
    assert [b["candidate"] for b in ios["builds"]] == [2, 1]
    assert ios["builds"][1]["artifactUrl"].startswith("s3://builds/")
    assert (android["buildStatus"], len(android["builds"])) == ("SUCCESS", 1)
    assert Effect.objects.filter(build_id=made["id"], kind="build.trigger").count() == 1
    assert AuditEvent.objects.filter(subject_id=made["id"], action="build.triggered").count() == 1


def test_jenkins_gets_the_same_parameters_as_for_the_first(ready: Release) -> None:
    for made in trigger_builds(release=ready, actor=None, again=True):
        first = Build.objects.get(release_pipeline=made.release_pipeline, attempt=1)
        assert made.parameters == {**first.parameters, "DELIVR_BUILD_ID": made.pk}


def test_again_for_all_builds_all(member: Client, ready: Release) -> None:
    made = post(member, ready, {"again": True}).json()["builds"]
    assert [b["candidate"] for b in made] == [2, 2]


def test_again_is_a_conflict_while_a_build_is_in_progress(member: Client, ready: Release) -> None:
    assert post(member, ready, {"again": True}).status_code == 202
    for body in ({"again": True}, {"platform": "IOS", "again": True}, {}):
        answer = post(member, ready, body)
        assert (answer.status_code, answer.json()["code"]) == (409, "build_in_progress")
    assert Build.objects.count() == 4


def test_an_idempotency_key_creates_one_candidate(member: Client, ready: Release) -> None:
    key = {"Idempotency-Key": "again-1"}
    first = post(member, ready, {"again": True}, **key)
    for made in Build.objects.filter(candidate=2):
        end(made, S.SUCCESS, 900 + made.release_pipeline_id)
    second = post(member, ready, {"again": True}, **key)
    assert (second.status_code, second.json()) == (202, first.json())
    assert Build.objects.count() == 4


def test_a_cancelled_release_is_not_built_again(ready: Release) -> None:
    Release.objects.update(status="CANCELLED")
    with pytest.raises(Conflict) as error:
        trigger_builds(release=ready, actor=None, again=True)
    assert error.value.code == "release_cancelled"


@pytest.mark.parametrize("word", [None, "perhaps", [], {}])
def test_again_is_true_or_false(member: Client, ready: Release, word: Any) -> None:
    answer = post(member, ready, {"again": word})
    assert answer.status_code == 400
    assert set(answer.json()["errors"]) == {"again"}


def test_viewers_and_strangers_may_not(
    as_role: Any, outsider: Client, ready: Release, setup: Setup
) -> None:
    assert post(as_role("VIEWER"), ready, {"again": True}).status_code == 403
    assert post(outsider, ready, {"again": True}).status_code == 404
    assert Build.objects.count() == 2


# --- Numbers of candidates -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ends", "candidates"),
    [
        ("SUCCESS", [1]),
        ("FAILURE SUCCESS", [1, 1]),
        ("SUCCESS SUCCESS SUCCESS", [1, 2, 3]),
        ("SUCCESS FAILURE SUCCESS", [1, 2, 2]),
        ("FAILURE FAILURE SUCCESS UNSTABLE ABORTED SUCCESS SUCCESS", [1, 1, 1, 2, 2, 2, 3]),
    ],
)
def test_a_new_candidate_begins_after_a_success(
    release: Release, setup: Setup, ends: str, candidates: list[int]
) -> None:
    made = build(release, *map(S, ends.split()), pipeline=setup.ios_job, again=True)
    assert [b.candidate for b in made] == candidates
    part = release.pipelines.get(pipeline=setup.ios_job)
    assert part.candidate == candidates[-1]


def test_a_lost_build_that_comes_back_took_its_candidate(release: Release, setup: Setup) -> None:
    [first] = trigger_builds(release=release, actor=None, pipeline_id=setup.ios_job.pk)
    end(first, S.LOST, 245)
    [second] = trigger_builds(release=release, actor=None, pipeline_id=setup.ios_job.pk)
    cancel_build(build=second, actor=None)
    end(first, S.SUCCESS, 245)
    [third] = trigger_builds(release=release, actor=None, pipeline_id=setup.ios_job.pk)
    assert (second.candidate, third.candidate) == (1, 2)


# --- Messages and epics --------------------------------------------------------------------------


def test_messages_of_a_first_build_name_no_candidate(ready: Release) -> None:
    messages = texts(ready, *Notice)
    assert any(text.endswith("complete") for text in messages)
    assert not [text for text in messages if "RC" in text]


def test_messages_of_the_second_begin_like_those_of_the_first(ready: Release) -> None:
    build(ready, again=True)
    complete = texts(ready, Notice.BUILD_COMPLETE)[2:]
    numbers = list(Build.objects.filter(candidate=2).values_list("number", flat=True))
    for number in numbers:
        assert any(f"build #{number} complete (RC 2)" in text for text in complete)
    assert texts(ready, Notice.RELEASE_COMPLETE) == [
        "🏁 Release 1.5.0: all builds complete, ready for submission",
        "🏁 Release 1.5.0: all builds complete, ready for submission (RC 2)",
    ]


def test_where_candidates_differ_each_is_named(ready: Release, setup: Setup) -> None:
    build(ready, pipeline=setup.ios_job, again=True)
    last = texts(ready, Notice.RELEASE_COMPLETE)[-1]
    assert last.endswith("ready for submission (iOS RC 2, Android RC 1)")


def test_epics_are_made_once(ready: Release) -> None:
    build(ready, again=True)
    assert Effect.objects.filter(kind="ticket.create_epic").count() == 2


def test_a_failed_second_candidate_is_announced_and_fails_the_release(
    ready: Release, setup: Setup
) -> None:
    build(ready, S.FAILURE, pipeline=setup.ios_job, again=True)
    assert fresh(ready).status == "BUILD_FAILED"
    message, announcement = texts(ready, Notice.BUILD_FAILED)
    assert message == announcement
    assert message.endswith("failed (RC 2)")


def test_a_cancelled_second_is_the_newest_build_and_can_be_built_again(
    ready: Release, setup: Setup
) -> None:
    [second] = trigger_builds(release=ready, actor=None, pipeline_id=setup.ios_job.pk, again=True)
    cancel_build(build=second, actor=None)
    assert fresh(ready).status == "BUILD_FAILED"
    [third] = trigger_builds(release=ready, actor=None, pipeline_id=setup.ios_job.pk)
    assert third.candidate == 2
    end(third, S.SUCCESS, 260)
    assert fresh(ready).status == "BUILD_COMPLETE"


# --- The page ------------------------------------------------------------------------------------


def page(client: Client, release: Release) -> Any:
    return client.get(f"/releases/{release.pk}")


def press(client: Client, release: Release, **form: Any) -> Any:
    return client.post(f"/releases/{release.pk}/builds", {"again": "1", **form}, follow=True)


def newest(release: Release) -> list[str]:
    return [p.builds.all()[0].pk for p in release.pipelines.all()]


def test_the_page_asks_and_says_what_will_happen(member: Client, ready: Release) -> None:
    text = text_of(page(member, ready))
    assert "Build iOS again?" in text
    assert "iOS is built from release/1.5.0 again, as RC 2." in text
    assert "Build everything again?" in text
    assert "The release is ready again once this succeeds." in text
    assert "A message is posted to Slack." in text


def test_a_viewer_and_a_cancelled_release_have_no_button(
    as_role: Any, member: Client, ready: Release
) -> None:
    assert "Build again" not in text_of(page(as_role("VIEWER"), ready))
    Release.objects.update(status="CANCELLED")
    assert "Build again" not in text_of(page(member, ready))


def test_the_page_builds_what_it_showed(member: Client, ready: Release) -> None:
    shown = newest(ready)
    assert message_of(press(member, ready, after=shown)) == "2 builds are on their way to Jenkins."
    for made in Build.objects.filter(candidate=2):
        end(made, S.SUCCESS, 900 + made.release_pipeline_id)
    assert "Someone else has triggered this" in message_of(press(member, ready, after=shown))
    assert "Someone else has triggered this" in message_of(press(member, ready))
    assert Build.objects.count() == 4


def test_earlier_candidates_stay_on_the_page(member: Client, ready: Release, setup: Setup) -> None:
    first = Build.objects.get(release_pipeline__pipeline=setup.ios_job)
    [second] = build(ready, pipeline=setup.ios_job, again=True)
    answer = page(member, ready)
    text = text_of(answer)
    assert first.artifact_url in text
    assert second.artifact_url in text
    assert f"iOS build #{second.number} (RC 2) complete" in text
    assert text.count("All builds complete: ready for submission") == 2
    assert "iOS #" in text_of(member.get("/releases"))
    assert "RC 2" in text_of(member.get("/releases"))


def test_a_failed_candidate_refers_to_the_last_good_one(
    member: Client, ready: Release, setup: Setup
) -> None:
    build(ready, S.FAILURE, pipeline=setup.ios_job, again=True)
    text = text_of(page(member, ready))
    assert (
        "iOS RC 2 did not succeed. Trigger it again, or submit RC 1, which is still available."
        in text
    )


# --- Figures -------------------------------------------------------------------------------------


def test_a_second_candidate_is_no_retry_and_makes_no_release_slower(ready: Release) -> None:
    hour = timedelta(hours=1)
    Release.objects.update(created_at=F("created_at") - hour)
    before = insights(ready.tenant, days=30)
    build(ready, S.FAILURE, S.SUCCESS, again=True)
    Release.objects.update(completed_at=F("completed_at") + 50 * hour)
    after = insights(ready.tenant, days=30)
    assert (before.figures.retries, after.figures.retries) == (0, 2)
    assert after.figures.builds == 6
    assert before.lead_time is not None
    assert after.lead_time is not None
    assert abs(after.lead_time - before.lead_time) < hour / 60
    trigger_builds(release=ready, actor=None, again=True)
    assert insights(ready.tenant, days=30).ready == 1


def test_the_timeline_shows_each_time_it_was_ready(member: Client, ready: Release) -> None:
    build(ready, S.SUCCESS, S.SUCCESS, again=True)
    trigger_builds(release=ready, actor=None, again=True)
    timeline = member.get(f"/api/v1/releases/{ready.pk}").json()["timeline"]
    titles = [item["title"] for item in timeline]
    assert titles.count("All builds complete: ready for submission") == 3
    assert "iOS build (RC 3) triggered" in titles
    assert json.dumps(timeline)
