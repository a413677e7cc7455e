"""Causes and consequences through a whole build, on the pages and in the API."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from builds.activity.tracing import (
    causes_of,
    causes_of_delivery,
    consequences_of,
    consequences_of_delivery,
    subject_of,
)
from builds.cancelling import cancel_build, cancel_release
from builds.models import Build, BuildEvent, Trust, WebhookDelivery
from builds.polling.poller import poll_build
from builds.triggering import trigger_builds
from builds.updates.apply import trigger_failed
from builds.webhooks.deliveries import apply_delivery, store
from delivr.effects.models import Effect, EffectState
from delivr.effects.runner import run_effect
from delivr.tenants.models import Tenant
from delivr.tests import factories
from delivr.tests.wired import Wired, fresh, trigger_of, wire, wired_to
from releases.marks import set_mark
from releases.models import Mark, Release, ReleaseStatus

pytestmark = pytest.mark.django_db
NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def wired(tenant: Tenant) -> Wired:
    return wire(tenant, NOWHERE)


def triggered(wired: Wired, actor: Any = None) -> Build:
    release = wired.release("ios", slack=True)
    build = trigger_builds(release=release, actor=actor)[0]
    Build.objects.filter(pk=build.pk).update(status="QUEUED", queue_id=1001)
    return build


def report(build: Build, trust: str = "SIGNED", **body: Any) -> WebhookDelivery:
    delivery = store(
        pipeline=build.release_pipeline.pipeline,
        dedupe_key=json.dumps(body),
        trust=Trust(trust),
        body=json.dumps({"queueId": 1001, "buildNumber": 245, **body}).encode(),
    )
    apply_delivery(delivery.pk)
    found: WebhookDelivery = fresh(delivery)
    assert found.state == "APPLIED", found.reason
    return found


def message(notice: str) -> Effect:
    effect: Effect = Effect.objects.get(payload__notice=notice, payload__channel="C123")
    return effect


def before(effect: Effect) -> list[tuple[str, str]]:
    return [(t.kind, t.text) for t in causes_of(effect, *subject_of(effect))]


def after(effect: Effect) -> list[tuple[str, str]]:
    return [(t.kind, t.id) for t in consequences_of(effect, subject_of(effect)[1])]


# --- Causes ---------------------------------------------------------------------------------------


def test_a_click_causes_a_trigger(wired: Wired, owner: Any) -> None:
    build = triggered(wired, actor=owner)
    assert before(trigger_of(build)) == [("release", f"{owner} triggered the iOS build")]


def test_a_releases_creation_causes_its_first_message(wired: Wired) -> None:
    triggered(wired)
    assert before(message("release_created")) == [("release", "Release 1.5.1 created")]


def test_a_mark_and_a_cancellation_cause_their_messages(wired: Wired) -> None:
    ready, other = wired.release("ios", slack=True), wired.release("ios", slack=True)
    Release.objects.filter(pk=ready.pk).update(status=ReleaseStatus.BUILD_COMPLETE)
    set_mark(release=ready, mark=Mark.SUBMITTED, actor=None)
    set_mark(release=ready, mark=Mark.RELEASED, actor=None)
    cancel_release(release=other, actor=None)
    for notice, release, text in (
        ("release_submitted", ready, f"Release {ready.version} marked as submitted"),
        ("release_released", ready, f"Release {ready.version} marked as released"),
        ("release_cancelled", other, f"Release {other.version} cancelled"),
    ):
        [cause] = causes_of(message(notice), release, None)
        assert (cause.id, cause.text, cause.at) == (release.pk, text, message(notice).created_at)


def test_what_a_release_stands_at_now_is_not_caused_by_its_creation(wired: Wired) -> None:
    release = wired.release("ios", slack=True)
    Effect.objects.filter(kind="message.post").update(state=EffectState.DONE)
    Release.objects.filter(pk=release.pk).update(status=ReleaseStatus.BUILD_COMPLETE)
    release = set_mark(release=release, mark=Mark.SUBMITTED, actor=None)
    edits = Effect.objects.filter(kind="message.edit", payload__channel="C123")
    edit = edits.order_by("created_at").last()
    assert edit is not None
    assert before(edit) == [("release", f"Release {release.version} marked as submitted")]
    edit.payload["words"]["state"] = "release_building"
    assert before(edit) == []


def test_a_delivery_causes_the_messages_of_its_update(wired: Wired) -> None:
    build = triggered(wired)
    started = report(build, status="STARTED")
    [source, update] = causes_of(message("build_started"), None, build)
    assert (source.kind, source.id, source.state) == ("delivery", started.pk, "APPLIED")
    assert update.text == "iOS build #245: Queued → Running"
    ended = report(build, status="SUCCESS")
    for notice in ("build_complete", "release_complete"):
        assert causes_of(message(notice), None, build)[0].id == ended.pk
    consequences = {t.id for t in consequences_of_delivery(ended)}
    about = Effect.objects.filter(payload__notice__in=["build_complete", "release_complete"])
    assert consequences == set(about.values_list("pk", flat=True))


def test_a_trigger_causes_the_delivery_about_its_build(wired: Wired) -> None:
    build = triggered(wired)
    [cause] = causes_of_delivery(report(build, status="STARTED"))
    assert (cause.kind, cause.id) == ("effect", trigger_of(build).pk)
    strange = factories.DeliveryFactory(pipeline=wired.pipelines["ios"])
    assert causes_of_delivery(strange) == []


def test_a_poll_is_the_cause_of_what_it_found(tenant: Any, sandbox: Any) -> None:
    build = wired_to(tenant, sandbox).build("ios", slack=True)
    run_effect(trigger_of(build).pk)
    for _n in range(3):
        poll_build(build.pk)
    sandbox.state.jenkins.finish("ios-prod", 245)
    poll_build(build.pk)
    assert before(message("build_complete"))[0] == ("release", "Polled Jenkins")


def test_a_triggers_failure_is_caused_by_the_trigger(wired: Wired) -> None:
    release = wired.release("ios", slack=True)
    build = trigger_builds(release=release, actor=None)[0]
    trigger_failed(build.pk, message="Jenkins refused.")
    cause = causes_of(message("build_not_started"), None, build)[0]
    assert (cause.kind, cause.id) == ("effect", trigger_of(build).pk)


def test_a_person_causes_the_stop_of_a_build(wired: Wired) -> None:
    build = triggered(wired)
    cancel_build(build=fresh(build), actor=None)
    for effect in (Effect.objects.get(kind="build.cancel"), message("build_cancelled")):
        assert before(effect)[0] == ("release", "Done by a user")


def test_an_effect_of_an_unknown_event_has_no_cause_but_its_page_works(wired: Wired) -> None:
    other = wire(factories.TenantFactory(), NOWHERE)
    report(triggered(other), status="STARTED")
    strange = BuildEvent.objects.get(to_status="RUNNING")
    for event in (strange.pk, 10**9, "1", None):
        effect = factories.EffectFactory(tenant=wired.tenant, payload={"event": event})
        assert before(effect) == []


# --- Consequences ---------------------------------------------------------------------------------


def test_a_trigger_leads_to_its_build_reports_and_messages(wired: Wired) -> None:
    build = triggered(wired)
    started, ended = report(build, status="STARTED"), report(build, status="SUCCESS")
    found = after(trigger_of(build))
    assert found[0] == ("release", build.release_pipeline.release_id)
    assert ("delivery", started.pk) in found
    assert ("delivery", ended.pk) in found
    assert ("effect", message("build_complete").pk) in found
    assert ("effect", trigger_of(build).pk) not in found


def test_a_hint_has_no_consequences(wired: Wired) -> None:
    build = triggered(wired)
    assert consequences_of_delivery(report(build, trust="BASIC", status="SUCCESS")) == []


# --- The API --------------------------------------------------------------------------------------


@pytest.fixture
def api(tenant: Tenant, api_for: Any) -> APIClient:
    client: APIClient = api_for(tenant)
    return client


def test_a_delivery_names_its_build_release_and_effects(api: APIClient, wired: Wired) -> None:
    build = triggered(wired)
    ended = report(build, status="SUCCESS")
    lone = factories.DeliveryFactory(pipeline=wired.pipelines["ios"])
    consequences = {t.id for t in consequences_of_delivery(ended)}
    rows = {d["id"]: d for d in api.get("/api/v1/webhook-deliveries").json()["results"]}
    row = rows[ended.pk]
    assert (row["buildId"], row["releaseId"]) == (build.pk, build.release_pipeline.release_id)
    assert set(row["effectIds"]) == consequences != set()
    assert (rows[lone.pk]["releaseId"], rows[lone.pk]["effectIds"]) == (None, [])
    assert api.get(f"/api/v1/webhook-deliveries/{ended.pk}").json() == row


def test_an_effect_shows_its_causes_and_consequences(api: APIClient, wired: Wired) -> None:
    build = triggered(wired)
    ended = report(build, status="SUCCESS")
    trigger = api.get(f"/api/v1/effects/{trigger_of(build).pk}").json()
    assert trigger["causes"][0]["text"] == "iOS build #245 triggered"
    assert ended.pk in [c["id"] for c in trigger["consequences"]]
    shown = api.get(f"/api/v1/effects/{message('build_complete').pk}").json()
    assert shown["causes"][0]["kind"] == "delivery"
    assert shown["causes"][0]["id"] == ended.pk
    assert (shown["reconciles"], shown["dispatchedAt"], shown["consequences"]) == (0, None, [])


@pytest.mark.parametrize("path", ["webhook-deliveries", "effects"])
def test_a_stranger_finds_neither(api_for: Any, wired: Wired, path: str) -> None:
    build = triggered(wired)
    ended = report(build, status="SUCCESS")
    row = {"webhook-deliveries": ended.pk, "effects": trigger_of(build).pk}[path]
    stranger = api_for(factories.TenantFactory())
    answers = [stranger.get(f"/api/v1/{path}/{pk}") for pk in (row, "nothing", "a%00b")]
    assert [a.status_code for a in answers] == [404, 404, 404]


def test_many_deliveries_cost_as_many_queries_as_one(api: APIClient, wired: Wired) -> None:
    build = triggered(wired)
    report(build, status="SUCCESS")
    counts = []
    api.get("/api/v1/webhook-deliveries")  # notes that the token was used
    for _round in range(2):
        with CaptureQueriesContext(connection) as queries:
            assert api.get("/api/v1/webhook-deliveries?limit=100").status_code == 200
        counts.append(len(queries))
        for number in range(30):
            report(build, status="SUCCESS", artifactUrl=f"s3://b/{number}")
    assert counts[0] == counts[1]
