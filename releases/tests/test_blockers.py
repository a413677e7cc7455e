"""The blockers of a release: each reason, from the rows alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from delivr.effects.models import Effect, Heartbeat, IntegrationHealth
from delivr.tests import factories
from releases.blockers import (
    blockers,
    failing_integrations,
    sweeper_heartbeat,
    with_surroundings,
)
from releases.models import Release
from releases.tests.pages import text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def pipeline(tenant: Any) -> Any:
    release = factories.ReleaseFactory(tenant=tenant, status="BUILDING")
    return factories.ReleasePipelineFactory(release=release)


def why(pipeline: Any) -> list[str]:
    return [blocker.code for blocker in explain(pipeline)]


def explain(pipeline: Any) -> Any:
    rows = with_surroundings(Release.objects.with_everything())
    release = rows.get(pk=pipeline.release_id)
    effects = list(Effect.objects.filter(release_id=release.pk).order_by("created_at"))
    failing, heartbeat = failing_integrations(release), sweeper_heartbeat(release)
    return blockers(release, effects, failing, heartbeat, timezone.now())


def effect(pipeline: Any, **kwargs: Any) -> Effect:
    return factories.EffectFactory(
        tenant=pipeline.tenant,
        release_id=pipeline.release_id,
        integration_id=pipeline.pipeline_id,
        **kwargs,
    )


def health(pipeline: Any, **kwargs: Any) -> None:
    IntegrationHealth.objects.create(
        tenant=pipeline.tenant, integration_id=pipeline.pipeline_id, **kwargs
    )


def soon(**kwargs: float) -> Any:
    return timezone.now() + timedelta(**kwargs)


def test_nothing_is_shown_while_all_goes_well(pipeline: Any) -> None:
    effect(pipeline)
    effect(pipeline, state="DONE")
    factories.BuildFactory(release_pipeline=pipeline, status="RUNNING", started_at=timezone.now())
    assert why(pipeline) == []


def test_paused(pipeline: Any, settings: Any) -> None:
    settings.EFFECTS_PAUSED = True
    effect(pipeline, next_at=soon(minutes=-5))
    assert why(pipeline) == ["paused"]


def test_nobody_picks_up_the_work(pipeline: Any) -> None:
    effect(pipeline, next_at=soon(seconds=-60))
    assert why(pipeline) == ["not_picked_up"]


@pytest.mark.parametrize(("age", "codes"), [(90, ["not_picked_up"]), (150, ["nobody_sweeps"])])
def test_the_sweeper_has_no_heartbeat(pipeline: Any, age: int, codes: list[str]) -> None:
    effect(pipeline, next_at=soon(seconds=-60))
    Heartbeat.objects.create(name="sweeper", at=soon(seconds=-age))
    assert why(pipeline) == codes


def test_a_dead_sweeper_holds_up_a_build_on_its_way_and_no_release_at_rest(pipeline: Any) -> None:
    Heartbeat.objects.create(name="sweeper", at=soon(minutes=-3))
    assert why(pipeline) == []
    moving(pipeline)
    (blocker,) = explain(pipeline)
    assert blocker.code == "nobody_sweeps"
    assert "3 minutes" in blocker.message


def test_the_broker_is_down(pipeline: Any) -> None:
    effect(pipeline)
    heartbeat = Heartbeat.objects.create(
        name="sweeper", at=timezone.now(), broker_down_since=soon(seconds=-20)
    )
    (blocker,) = explain(pipeline)
    assert blocker.code == "broker_down"
    assert blocker.next == heartbeat.broker_down_since + timedelta(seconds=60)
    Heartbeat.objects.update(broker_down_since=None)
    assert why(pipeline) == []


def test_a_kind_that_this_version_does_not_know(pipeline: Any) -> None:
    effect(pipeline, kind="from.the.future", next_at=soon(seconds=-60), last_error="Odd.")
    assert why(pipeline) == ["unknown_kind"]


def test_the_provider_does_not_answer_questions_about_a_build(pipeline: Any) -> None:
    build = moving(pipeline)
    health(pipeline, failures=2, failing_since=soon(seconds=-40), last_error="Jenkins: time-out.")
    (blocker,) = explain(pipeline)
    assert (blocker.code, blocker.hint) == ("not_answering", "Jenkins: time-out.")
    assert blocker.next == build.poll_at
    IntegrationHealth.objects.update(failures=5, open_until=soon(seconds=60))
    (blocker,) = explain(pipeline)
    assert blocker.code == "breaker_open"
    assert blocker.since < blocker.next


def moving(pipeline: Any) -> Any:
    build = factories.BuildFactory(
        release_pipeline=pipeline,
        status="RUNNING",
        started_at=timezone.now(),
        poll_at=soon(seconds=10),
    )
    type(pipeline).objects.filter(pk=pipeline.pk).update(build_status="RUNNING")
    return build


def test_the_breaker_is_open(pipeline: Any) -> None:
    effect(pipeline, next_at=soon(seconds=-60), last_error="Jenkins is down.")
    health(pipeline, failures=5, open_until=soon(seconds=60))
    (blocker,) = explain(pipeline)
    assert blocker.code == "breaker_open"
    assert blocker.next > timezone.now()


def test_the_rate_is_limited(pipeline: Any) -> None:
    effect(pipeline)
    health(pipeline, rate_limited_until=soon(seconds=60))
    assert why(pipeline) == ["rate_limited"]


def test_credentials_are_refused(pipeline: Any) -> None:
    effect(pipeline, next_at=soon(hours=1))
    connection = pipeline.pipeline
    connection.verification_status, connection.verification_error = "INVALID", "Token refused."
    connection.save()
    (blocker,) = explain(pipeline)
    assert (blocker.code, blocker.message) == ("credentials_refused", "Token refused.")


def test_refused_credentials_of_an_edited_connection_show_the_next_check(
    pipeline: Any,
) -> None:
    effect(pipeline, next_at=soon(hours=1), last_error="Token refused.")
    type(pipeline.pipeline).objects.update(verification_status="PENDING", verify_at=soon(minutes=5))
    health(pipeline, credentials_refused_at=soon(minutes=-1))
    (blocker,) = explain(pipeline)
    assert blocker.code == "credentials_refused"
    assert blocker.since < timezone.now() < blocker.next


def test_refused_credentials_alone_are_named_where_a_build_waits_for_them(pipeline: Any) -> None:
    """Nothing else goes on by itself then, so no other next attempt is shown."""
    build = moving(pipeline)
    type(build).objects.update(status="QUEUED", queue_reason="No executor.")
    health(
        pipeline, credentials_refused_at=soon(minutes=-1), failures=2, open_until=soon(minutes=1)
    )
    refused, waits = explain(pipeline)
    assert (refused.code, refused.next) == ("credentials_refused", None)
    assert (waits.code, waits.next) == ("waiting_in_queue", None)


def test_a_broken_connection_that_nothing_waits_for_is_no_blocker(pipeline: Any) -> None:
    type(pipeline.pipeline).objects.update(verification_status="INVALID")
    assert why(pipeline) == []


def test_what_gave_up_waits_for_a_person(pipeline: Any) -> None:
    effect(pipeline, state="DEAD", last_error="No such channel.", last_error_hint="Choose one.")
    (blocker,) = explain(pipeline)
    assert blocker.code == "waiting_for_person"
    assert "No such channel." in blocker.message
    assert blocker.hint == "Choose one."


def test_what_is_in_doubt_says_what_a_person_can_do(pipeline: Any) -> None:
    effect(pipeline, state="DEAD", last_error="No answer.", dispatched_at=timezone.now())
    (blocker,) = explain(pipeline)
    assert blocker.code == "waiting_for_person"
    assert "A retry checks there first" in blocker.hint


def test_the_trigger_of_an_older_build_waits_for_nobody(pipeline: Any) -> None:
    old = factories.BuildFactory(release_pipeline=pipeline, status="TRIGGER_FAILED", attempt=1)
    factories.BuildFactory(release_pipeline=pipeline, status="SUCCESS", attempt=2)
    effect(pipeline, kind="build.trigger", build_id=old.pk, state="DEAD", last_error="Refused.")
    assert why(pipeline) == []


@pytest.mark.parametrize(("dispatched", "code"), [(True, "answer_lost"), (False, "retrying")])
def test_it_is_tried_again(pipeline: Any, dispatched: bool, code: str) -> None:
    effect(
        pipeline,
        next_at=soon(seconds=20),
        last_error="Time ran out.",
        dispatched_at=timezone.now() if dispatched else None,
    )
    assert why(pipeline) == [code]


def test_the_reason_of_the_queue_is_shown(pipeline: Any) -> None:
    factories.BuildFactory(
        release_pipeline=pipeline, status="QUEUED", queue_reason="Waiting for an executor"
    )
    (blocker,) = explain(pipeline)
    assert blocker.code == "waiting_in_queue"
    assert "Waiting for an executor" in blocker.message


@pytest.mark.parametrize(
    ("status", "minutes", "estimate", "stuck"),
    [
        ("RUNNING", 119, None, False),
        ("RUNNING", 121, None, True),
        ("RUNNING", 121, 60 * 60_000, False),
        ("RUNNING", 181, 60 * 60_000, True),
        ("SUCCESS", 500, None, False),
    ],
)
def test_a_build_beyond_its_time_is_stuck(
    pipeline: Any, status: str, minutes: int, estimate: int | None, stuck: bool
) -> None:
    factories.BuildFactory(
        release_pipeline=pipeline,
        status=status,
        started_at=soon(minutes=-minutes),
        estimated_ms=estimate,
    )
    assert ("stuck" in why(pipeline)) is stuck


def test_the_api_shows_the_same(pipeline: Any, api_for: Any) -> None:
    effect(pipeline, state="DEAD", last_error="No such channel.")
    answer = api_for(pipeline.tenant).get(f"/api/v1/releases/{pipeline.release_id}")
    (blocker,) = answer.json()["blockers"]
    assert blocker["code"] == "waiting_for_person"
    assert set(blocker) == {"code", "message", "hint", "since", "next", "area"}


def test_areas_tell_builds_from_messages(pipeline: Any, settings: Any) -> None:
    effect(pipeline, state="DEAD", last_error="No such channel.")
    build = moving(pipeline)
    effect(pipeline, kind="build.trigger", build_id=build.pk, last_error="Refused.")
    assert {(b.code, b.area) for b in explain(pipeline)} == {
        ("waiting_for_person", "messages"),
        ("retrying", "build"),
    }
    settings.EFFECTS_PAUSED = True
    assert explain(pipeline)[0].area == "build"
    Effect.objects.filter(kind="build.trigger").delete()
    type(pipeline).objects.update(build_status="SUCCESS")
    effect(pipeline)
    assert explain(pipeline)[0].area == "messages"


def test_the_same_trouble_of_several_channels_is_one(pipeline: Any) -> None:
    for channel in ("C1", "C2"):
        payload = {"channel": channel, "notice": "release_created", "words": {}}
        effect(pipeline, payload=payload, last_error="Slack is not responding.")
    (blocker,) = explain(pipeline)
    assert blocker.message == "2 messages: Slack is not responding."


def test_the_page_asks_why_only_where_a_build_is_held_up(
    pipeline: Any, client_for: Any, owner: Any
) -> None:
    path, asked = f"/releases/{pipeline.release_id}", "Why is this not moving?"
    client = client_for(owner)
    effect(pipeline, state="DEAD", last_error="No such channel.")
    assert asked not in client.get(path).content.decode()
    build = moving(pipeline)
    health(pipeline, failures=2, failing_since=soon(seconds=-40), last_error="Jenkins: time-out.")
    response = client.get(path)
    assert asked in response.content.decode()
    assert "Try now" in response.content.decode()
    assert "Nothing to do" not in response.content.decode()
    IntegrationHealth.objects.all().delete()
    live = client.get(f"{path}/live", {"seen": response.context["seen"]})
    assert live.status_code == 200
    assert asked not in live.content.decode()
    type(build).objects.update(status="QUEUED", queue_reason="In the quiet period.")
    assert asked not in client.get(path).content.decode()
    type(build).objects.update(created_at=soon(minutes=-3))
    assert asked in client.get(path).content.decode()


def test_messages_say_once_that_they_wait(setup: Any, client_for: Any, owner: Any) -> None:
    setup.slack.recipients = ["C123", "C456"]
    setup.slack.save()
    release = setup.release()
    Effect.objects.filter(kind="message.post").update(last_error="Slack is not responding.")
    IntegrationHealth.objects.create(
        tenant=setup.tenant,
        integration_id=setup.slack.pk,
        failures=5,
        open_until=soon(minutes=2),
        last_error="Slack is not responding.",
    )
    text = text_of(client_for(owner).get(f"/releases/{release.pk}"))
    assert text.count("Messages wait for Slack") == 1
    assert text.count("Slack is not responding.") == 1
    assert "Why is this not moving?" not in text


def test_a_paused_installation_is_told_where_only_messages_wait(
    setup: Any, client_for: Any, owner: Any, settings: Any
) -> None:
    settings.EFFECTS_PAUSED = True
    release = setup.release()
    Effect.objects.exclude(kind="message.post").delete()
    text = text_of(client_for(owner).get(f"/releases/{release.pk}"))
    assert "Messages wait for Slack Sending is paused" in text
    assert "Epics wait" not in text
    assert "Try now" not in text  # it would not help
