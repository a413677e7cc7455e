"""What a delivery changes, and what it never changes."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from builds.models import Build, BuildEvent, Trust, WebhookDelivery
from builds.tests.delivering import NOWHERE, SUCCESS, deliver, plugin, set_values, store_delivery
from builds.triggering import trigger_builds
from builds.webhooks.deliveries import ORPHAN_AFTER, apply_delivery, apply_unmatched, replay, store
from delivr.effects.models import Effect
from delivr.effects.runner import run_effect
from delivr.tests.wired import Wired, fresh, trigger_of, wire, wired_to
from releases.models import Release

pytestmark = pytest.mark.django_db


@pytest.fixture
def wired(tenant: Any) -> Wired:
    return wire(tenant, NOWHERE)


@pytest.fixture
def build(wired: Wired) -> Build:
    """A build of iOS that runs as #245, from queue item 1001."""
    return set_values(wired.build("ios"), status="RUNNING", number=245, queue_id=1001)


# --- Applied -------------------------------------------------------------------------------------


def test_the_seeds_body_completes_the_build(build: Build) -> None:
    delivery = deliver(build, SUCCESS)
    assert (delivery.state, delivery.build) == ("APPLIED", build)
    assert delivery.settled_at is not None
    done = fresh(build)
    assert (done.status, done.artifact_url) == ("SUCCESS", "s3://builds/ios-245.ipa")
    assert done.finished_at is not None
    part = done.release_pipeline
    assert (part.build_status, part.artifact_url) == ("SUCCESS", "s3://builds/ios-245.ipa")
    assert Release.objects.get().status == "BUILD_COMPLETE"
    event = BuildEvent.objects.get()
    assert (event.source, event.from_status, event.to_status) == ("WEBHOOK", "RUNNING", "SUCCESS")
    assert (event.applied, event.delivery) == (True, delivery)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (plugin("QUEUED"), "RUNNING"),
        (plugin("STARTED"), "RUNNING"),
        (plugin("COMPLETED", status="SUCCESS"), "SUCCESS"),
        (plugin("FINALIZED", status="FAILURE"), "FAILURE"),
        (plugin("COMPLETED", status="UNSTABLE"), "UNSTABLE"),
        (plugin("COMPLETED", status="ABORTED"), "ABORTED"),
        ({"buildNumber": 245, "status": "failed"}, "FAILURE"),
        ({"buildNumber": "245", "status": "UNSTABLE"}, "UNSTABLE"),
    ],
)
def test_each_report_updates_the_build(build: Build, body: dict[str, Any], status: str) -> None:
    deliver(build, body)
    assert fresh(build).status == status


# --- Not applied ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[1, 2]",
        b'"text"',
        b"null",
        b'{"buildNumber": 245, "status": "SUCCESS"',
        b'{"buildNumber": NaN, "status": "SUCCESS"}',
        b'{"buildNumber": Infinity, "status": "SUCCESS"}',
        b"[" * 100_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        b'{"buildNumber": ' + b"9" * 5000 + b', "status": "SUCCESS"}',
        b'{"buildNumber": 245, "status": "\\ud800"}',
        b'{"buildNumber": 245, "status": "SUC\\u0000CESS"}',
        b"\xff\xfe\x00\x01",
        b'{"buildNumber": 245, "status": "\xff"}',
        b"\x00" * 64,
        b'{"buildNumber": 245}',
        b'{"status": "SUCCESS", "buildNumber": null}',
        b'{"buildNumber": -1, "status": "SUCCESS"}',
        b'{"buildNumber": 0, "status": "SUCCESS"}',
        b'{"buildNumber": 1.5, "status": "SUCCESS"}',
        b'{"buildNumber": true, "status": "SUCCESS"}',
        b'{"buildNumber": [245], "status": "SUCCESS"}',
        b'{"buildNumber": 245, "status": 7}',
        b'{"buildNumber": 245, "status": {"a": 1}}',
        b'{"build": {"phase": "COMPLETED"}}',
        b'{"build": {"phase": 7, "number": 245}}',
        b'{"buildNumber": 9999999999999999999, "status": "SUCCESS"}',
    ],
    ids=lambda body: repr(body[:40]),
)
def test_an_unreadable_body_is_kept_as_rejected(build: Build, body: bytes) -> None:
    delivery = deliver(build, body)
    assert delivery.state == "REJECTED"
    assert delivery.reason
    assert bytes(delivery.body) == body
    assert fresh(build).status == "RUNNING"
    assert not BuildEvent.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        {"buildNumber": 245, "status": "DEPLOYED"},
        {"hello": "world"},
        {},
        plugin("CHECKOUT"),
        plugin("COMPLETED", status="BAFFLED"),
        plugin("COMPLETED"),
    ],
    ids=str,
)
def test_an_unknown_event_is_ignored(build: Build, body: dict[str, Any]) -> None:
    delivery = deliver(build, body)
    assert delivery.state == "IGNORED"
    assert fresh(build).status == "RUNNING"


def everything() -> list[Any]:
    rows = Build.objects.values_list("pk", "status", "number", "artifact_url", "finished_at")
    return [
        list(rows),
        list(Effect.objects.values_list("pk", "state")),
        Release.objects.get().status,
    ]


def test_the_same_delivery_again_is_the_same_row(build: Build) -> None:
    pipeline, raw = build.release_pipeline.pipeline, json.dumps(SUCCESS).encode()
    first, second = (
        store(pipeline=pipeline, dedupe_key="same", trust=Trust.SIGNED, body=raw) for _n in "12"
    )
    assert first.pk == second.pk
    assert WebhookDelivery.objects.count() == 1


def test_one_key_at_two_pipelines_is_two_deliveries(wired: Wired, build: Build) -> None:
    for pipeline in wired.pipelines.values():
        store(pipeline=pipeline, dedupe_key="same", trust=Trust.SIGNED, body=b"{}")
    assert WebhookDelivery.objects.count() == 2


def test_duplicates_change_nothing(wired: Wired) -> None:
    build = set_values(wired.build("ios", slack=True), status="RUNNING", number=245)
    first = deliver(build, SUCCESS)
    before = everything()
    apply_delivery(first.pk)
    for _n in range(3):
        deliver(build, SUCCESS)
    assert everything() == before
    assert BuildEvent.objects.count() == 1


@pytest.mark.parametrize(
    ("now", "update"),
    [
        ("RUNNING", "QUEUED"),
        ("SUCCESS", "STARTED"),
        ("FAILURE", "STARTED"),
        ("FAILURE", "ABORTED"),
        ("CANCELLED", "SUCCESS"),
    ],
)
def test_a_late_event_is_kept_and_changes_nothing(build: Build, now: str, update: str) -> None:
    set_values(build, status=now)
    delivery = deliver(build, {"buildNumber": 245, "status": update})
    assert delivery.state == "IGNORED"
    assert fresh(build).status == now
    event = BuildEvent.objects.get()
    assert (event.from_status, event.applied) == (now, False)


@pytest.mark.parametrize(
    ("now", "update"),
    [
        ("SUCCESS", "FAILURE"),
        ("SUCCESS", "ABORTED"),
        ("FAILURE", "SUCCESS"),
        ("ABORTED", "SUCCESS"),
    ],
)
def test_a_contradiction_causes_a_poll(build: Build, now: str, update: str) -> None:
    set_values(build, status=now, poll_at=None)
    delivery = deliver(build, {"buildNumber": 245, "status": update})
    assert delivery.state == "APPLIED"
    assert (fresh(build).status, fresh(build).poll_at is not None) == (now, True)


def test_a_late_artifact_is_filled_in(build: Build) -> None:
    deliver(build, {"buildNumber": 245, "status": "SUCCESS"})
    assert fresh(build).artifact_url == ""
    deliver(build, SUCCESS)
    assert fresh(build).artifact_url == "s3://builds/ios-245.ipa"
    assert fresh(build).release_pipeline.artifact_url == "s3://builds/ios-245.ipa"


def test_a_delivery_with_a_password_only_causes_a_poll(build: Build) -> None:
    set_values(build, poll_at=None)
    delivery = deliver(build, SUCCESS, trust="BASIC")
    assert delivery.state == "APPLIED"
    row = fresh(build)
    assert (row.status, row.artifact_url) == ("RUNNING", "")
    assert row.poll_at <= timezone.now()
    event = BuildEvent.objects.get()
    assert (event.applied, event.step, event.delivery) == (False, "ask", delivery)


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("s3://b/x.ipa", True),
        ("gs://b/x.ipa", True),
        ("https://x.example/y", True),
        ("javascript:alert(1)", False),
        ("file:///etc/passwd", False),
        ("ftp://x/y", False),
        ("//x/y", False),
    ],
)
def test_only_addresses_that_can_be_shown_are_kept(build: Build, url: str, kept: bool) -> None:
    deliver(build, {**SUCCESS, "artifactUrl": url})
    assert fresh(build).artifact_url == (url if kept else "")


def test_a_build_address_on_another_host_is_not_kept(wired: Wired) -> None:
    build = set_values(wired.build("ios"), status="RUNNING", number=245)
    deliver(build, {**SUCCESS, "buildUrl": "https://phishing.example/job/ios-prod/245/"})
    assert fresh(build).url == ""


def test_an_old_attempt_never_changes_the_release_pipeline(wired: Wired) -> None:
    release = wired.release("ios")
    old = set_values(trigger_builds(release=release, actor=None)[0], status="LOST", number=245)
    release.pipelines.update(build_status="LOST")
    (new,) = trigger_builds(release=release, actor=None)
    deliver(old, {"buildNumber": 245, "status": "STARTED"})
    assert fresh(old).status == "LOST"  # only one at a time: a newer one is in progress
    deliver(old, {"buildNumber": 245, "status": "FAILURE"})
    assert (fresh(old).status, fresh(new).status) == ("FAILURE", "TRIGGERING")
    assert release.pipelines.get().build_status == "TRIGGERING"
    assert fresh(release).status == "BUILDING"


ODD_ADDRESSES = ["http://u:p@127.0.0.1/x", "http://a b/", "https://-/", "http://h:0/", "http://[/"]


@pytest.mark.parametrize("url", ODD_ADDRESSES)
def test_an_invalid_build_address_is_left_out(build: Build, url: str) -> None:
    body = {"buildNumber": 245, "status": "SUCCESS", "buildUrl": url}
    assert deliver(build, body).state == "APPLIED"
    assert (fresh(build).status, fresh(build).url) == ("SUCCESS", "")


def test_an_odd_address_does_not_keep_the_trigger_from_being_settled(
    tenant: Any, sandbox: Any
) -> None:
    build = wired_to(tenant, sandbox).build("ios")
    body = {"queueId": 1001, "status": "STARTED", "buildUrl": ODD_ADDRESSES[0]}
    delivery = deliver(build, body)
    assert delivery.state == "UNMATCHED"
    run_effect(trigger_of(build).pk)
    assert fresh(trigger_of(build)).state == "DONE"
    assert fresh(delivery).state == "APPLIED"


def test_the_start_is_announced_as_soon_as_the_number_is_known(wired: Wired) -> None:
    build = set_values(wired.build("ios", slack=True), status="QUEUED", queue_id=1001)

    def messages() -> int:
        return Effect.objects.filter(payload__notice="build_started", build_id=build.pk).count()

    deliver(build, {"queueId": 1001, "status": "STARTED"})
    assert (fresh(build).status, messages()) == ("RUNNING", 0)
    deliver(build, {"queueId": 1001, "buildNumber": 245, "status": "STARTED"})
    assert messages() == len(wired.slack.recipients)


def test_a_build_that_learns_its_number_touches_no_other_build(wired: Wired, build: Build) -> None:
    other = set_values(wired.build("ios"), status="RUNNING", number=246)
    delivery = store_delivery(other, {"buildNumber": 246, "status": "SUCCESS"})
    WebhookDelivery.objects.filter(pk=delivery.pk).update(state="UNMATCHED")
    apply_unmatched(build_id=build.pk)  # the caller holds this build's locks only
    assert (fresh(other).status, fresh(delivery).state) == ("RUNNING", "UNMATCHED")
    apply_unmatched(build_id=other.pk)
    assert (fresh(other).status, fresh(delivery).state) == ("SUCCESS", "APPLIED")


def test_an_unmatched_delivery_is_retried_with_growing_pauses(wired: Wired) -> None:
    delivery = store_delivery(wired.pipelines["ios"], {"buildNumber": 7, "status": "SUCCESS"})
    received = timezone.now() - timedelta(minutes=10)
    WebhookDelivery.objects.filter(pk=delivery.pk).update(received_at=received)
    apply_delivery(delivery.pk)
    assert fresh(delivery).next_at - timezone.now() > timedelta(minutes=4)


def test_a_number_of_another_job_is_not_that_of_our_build(wired: Wired, build: Build) -> None:
    pipeline = wired.pipelines["ios"]
    type(pipeline).objects.filter(pk=pipeline.pk).update(job="/job/ios-next")
    delivery = deliver(build, {"buildNumber": 245, "status": "SUCCESS"})
    assert (fresh(build).status, delivery.state) == ("RUNNING", "UNMATCHED")
    assert deliver(build, {"buildId": build.pk, "status": "SUCCESS"}).state == "APPLIED"


def test_a_replayed_delivery_keeps_its_time_of_receipt(build: Build) -> None:
    long_ago = timezone.now() - timedelta(days=2)
    delivery = deliver(build, {"buildNumber": 999, "status": "SUCCESS"})
    WebhookDelivery.objects.update(received_at=long_ago, state="ORPHAN")
    replay(fresh(delivery), actor=None)
    apply_delivery(delivery.pk)
    again = fresh(delivery)
    assert again.received_at == long_ago
    assert timezone.now() - again.replayed_at < timedelta(minutes=1)
    assert again.state == "UNMATCHED"  # the 15 minutes start again
    WebhookDelivery.objects.update(replayed_at=timezone.now() - ORPHAN_AFTER - timedelta(seconds=1))
    apply_delivery(delivery.pk)
    assert fresh(delivery).state == "ORPHAN"


@pytest.mark.parametrize("now", ["TRIGGERING", "QUEUED", "RUNNING", "SUCCESS", "LOST", "CANCELLED"])
def test_each_report_leaves_an_event_with_its_outcome(wired: Wired, now: str) -> None:
    build = set_values(wired.build("ios"), status=now, number=245)
    steps = {
        "SIGNED": {"SUCCESS": "ask", "CANCELLED": "ignore"}.get(now, "go"),
        "BASIC": "ask",
    }
    for trust, step in steps.items():
        set_values(build, status=now)
        delivery = deliver(build, {"buildNumber": 245, "status": "FAILURE"}, trust=trust)
        event = BuildEvent.objects.get(delivery=delivery)
        assert (trust, event.step, event.applied) == (trust, step, step == "go")
        assert (event.from_status, event.to_status) == (now, "FAILURE")
