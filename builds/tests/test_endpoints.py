"""Events that are sent to an endpoint: signed, repeated by the schedule, logged, turned off."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from standardwebhooks.webhooks import Webhook

from builds.models import Build, Source
from builds.retention import delete_expired
from builds.updates.apply import apply_update
from builds.updates.update import BuildUpdate
from delivr.audit.models import AuditEvent
from delivr.effects.models import Effect, EffectState, IntegrationHealth
from delivr.effects.runner import run_effect
from delivr.failures import Conflict
from delivr.tenants.models import Role
from delivr.tests.wired import Wired, fresh
from integrations import endpoints
from integrations.models import CommunicationIntegration, EndpointAttempt
from integrations.operations import edit
from integrations.providers.ci import BuildStatus
from integrations.providers.outgoing_webhook.events import EVENTS
from integrations.providers.tests.wire import Reply, Seen, Wire
from integrations.verification import verify, verify_by_id
from releases.messages.event_effects import SendEvent
from releases.messages.events import Notice, event_of
from releases.models import Release

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]
SECRET = "whsec_bmV3ZXN0LW5ld2VzdC1uZXdlc3Q="


@pytest.fixture
def endpoint(wired: Wired, wire: Wire, settings: Any, owner: Any) -> CommunicationIntegration:
    """The connection that the releases of `wired` tell, as an endpoint; it accepts everything."""
    settings.OUTBOUND_ALLOW = ["127.0.0.1"]
    wire.routes["/hook"] = Reply(b"", status=200)
    found: CommunicationIntegration = wired.slack
    found.communication_type = "WEBHOOK"
    found.recipients, found.options = [], {"url": f"{wire.url}/hook"}
    found.token = SECRET
    found.save()
    return found


@pytest.fixture
def build(wired: Wired, endpoint: CommunicationIntegration) -> Build:
    made: Build = wired.build("ios", slack=True)
    return made


def events() -> list[Effect]:
    rows = Effect.objects.filter(kind="event.send")
    return sorted(rows, key=lambda effect: effect.payload.get("sequence", 0))


def received(seen: Seen) -> tuple[str, dict[str, Any]]:
    """The event that a receiver reads, with its id."""
    return seen.headers["webhook-id"], Webhook(SECRET).verify(seen.body, seen.headers)


def run_now(effect: Effect) -> Effect:
    Effect.objects.filter(pk=effect.pk).update(next_at=timezone.now())
    IntegrationHealth.objects.update(open_until=None, rate_limited_until=None)
    run_effect(effect.pk)
    found: Effect = fresh(effect)
    return found


def test_every_event_can_be_chosen() -> None:
    """The provider's list, which the code of releases has to keep up with."""
    assert set(EVENTS) == {*map(event_of, Notice), "build.queued", "build.waiting"}


def test_an_endpoint_is_told_every_step_with_the_state(wire: Wire, build: Build) -> None:
    for status in (BuildStatus.QUEUED, BuildStatus.RUNNING, BuildStatus.SUCCESS):
        apply_update(build.pk, BuildUpdate(status=status, source=Source.POLL, number=7))
    assert not Effect.objects.filter(kind="message.post").exists()
    for effect in events():
        run_effect(effect.pk)
    told = [received(seen) for seen in wire.seen]
    assert [one["type"] for _id, one in told] == [
        "release.created",
        "build.queued",
        "build.started",
        "build.complete",
        "release.complete",
    ]
    numbers = [one["data"]["sequence"] for _id, one in told]
    assert numbers == sorted(set(numbers))
    assert [id for id, _one in told] == [effect.pk for effect in events()]
    last = told[-1][1]["data"]
    assert last["release"]["status"] == "BUILD_COMPLETE"
    assert last["release"]["pipelines"][0]["buildStatus"] == "SUCCESS"
    of_build = next(one["data"]["build"] for _id, one in told if one["type"] == "build.started")
    assert (of_build["id"], of_build["buildNumber"]) == (build.pk, 7)
    assert Release.objects.get().sequence == numbers[-1]


def test_only_chosen_events_are_sent(wired: Wired, endpoint: CommunicationIntegration) -> None:
    edit(endpoint, actor=None, values={"events": ["build.failed"]})
    build = wired.build("ios", slack=True)
    for status in (BuildStatus.RUNNING, BuildStatus.FAILURE):
        apply_update(build.pk, BuildUpdate(status=status, source=Source.POLL, number=7))
    assert [effect.payload["name"] for effect in events()] == ["build.failed"]


def test_a_failing_endpoint_is_tried_by_the_schedule_then_turned_off(
    wire: Wire, build: Build, endpoint: CommunicationIntegration
) -> None:
    wire.routes["/hook"] = Reply(b"no", status=500)
    effect = events()[0]
    for delay in SendEvent.schedule:
        before = timezone.now()
        found = run_now(effect)
        waits = found.next_at - before
        assert found.state == EffectState.PENDING
        assert delay <= waits <= delay * 1.2 + timedelta(seconds=5)
    IntegrationHealth.objects.update(failing_since=timezone.now() - timedelta(days=3))
    assert run_now(effect).state == EffectState.DEAD
    assert len({seen.headers["webhook-id"] for seen in wire.seen}) == 1
    log = endpoints.attempts_of(endpoint)
    assert log.count() == len(wire.seen) == len(SendEvent.schedule) + 1
    assert {(one.status, one.answer, one.is_success) for one in log} == {(500, "no", False)}
    endpoint.refresh_from_db()
    assert endpoint.turned_off.startswith("Nothing was accepted for three days")
    assert endpoint.verification_status == "INVALID"
    assert Effect.objects.filter(kind="mail.refused").count() == 1
    assert sum(SendEvent.schedule, timedelta()) * 1.2 < SendEvent.expires_after


def test_one_that_failed_for_a_short_time_stays_on(
    wire: Wire, build: Build, endpoint: CommunicationIntegration
) -> None:
    wire.routes["/hook"] = Reply(b"no", status=500)
    Effect.objects.filter(kind="event.send").update(attempts=len(SendEvent.schedule))
    assert run_now(events()[0]).state == EffectState.DEAD
    endpoint.refresh_from_db()
    assert not endpoint.turned_off


def test_a_test_from_the_page_of_messages_stands_in_the_delivery_log(
    wire: Wire, endpoint: CommunicationIntegration, member_of: Any, client_for: Any
) -> None:
    admin = client_for(member_of(endpoint.tenant, Role.ADMIN))
    page = f"/settings/messages/{endpoint.pk}"
    [channel] = endpoint.channels
    for _press in range(2):
        shown = admin.post(f"{page}/test", {"channel": channel}, follow=True).content.decode()
        assert "Being sent" in shown
    [effect] = events()
    run_effect(effect.pk)
    assert "Accepted" in admin.get(f"{page}/test").content.decode()
    assert EndpointAttempt.objects.count() == len(wire.seen) == 1


def test_410_turns_it_off_until_a_person_turns_it_on(
    wire: Wire, build: Build, endpoint: CommunicationIntegration
) -> None:
    wire.routes["/hook"] = Reply(b"", status=410)
    effect = events()[0]
    assert run_now(effect).state == EffectState.PENDING
    endpoint.refresh_from_db()
    assert "410" in endpoint.turned_off
    assert Effect.objects.filter(kind="mail.refused").count() == 1
    verify_by_id(endpoint.pk)  # what runs by the clock does not turn it on
    assert fresh(endpoint).turned_off
    with pytest.raises(Conflict):
        endpoints.send_test(endpoint, actor=None)
    assert run_now(effect).state == EffectState.PENDING
    assert len(wire.seen) == 1
    wire.routes["/hook"] = Reply(b"", status=200)
    turned_on = verify(endpoints.turn_on(fresh(endpoint), actor=None))
    assert (turned_on.is_valid, turned_on.turned_off) == (True, "")
    assert run_now(effect).state == EffectState.DONE
    acts = AuditEvent.objects.filter(action__startswith="endpoint.").values_list("action")
    assert {action for (action,) in acts} == {"endpoint.turned_off", "endpoint.turned_on"}


def test_another_address_turns_it_on(endpoint: CommunicationIntegration) -> None:
    endpoint.options = {**endpoint.options, "turned_off": "It is gone."}
    endpoint.save()
    assert edit(endpoint, actor=None, values={"events": ["build.failed"]}).turned_off
    other = {"url": f"{endpoint.options['url']}/other"}
    assert not edit(endpoint, actor=None, values=other).turned_off


def test_after_a_kill_it_is_sent_again_under_the_same_id(wire: Wire, build: Build) -> None:
    effect, past = events()[0], timezone.now() - timedelta(seconds=1)
    run_effect(effect.pk)
    lost = {"state": EffectState.LEASED, "lease_until": past, "dispatched_at": past}
    Effect.objects.filter(pk=effect.pk).update(**lost)
    run_effect(effect.pk)
    assert fresh(effect).state == EffectState.DONE
    assert [received(seen)[0] for seen in wire.seen] == [effect.pk, effect.pk]


def test_a_slow_down_holds_back_all_events(wire: Wire, build: Build) -> None:
    wire.routes["/hook"] = Reply(b"", status=429, headers={"Retry-After": "90"})
    effect = events()[0]
    run_effect(effect.pk)
    found = fresh(effect)
    assert (found.state, found.attempts) == (EffectState.PENDING, 0)
    assert found.next_at > timezone.now() + timedelta(seconds=80)
    assert IntegrationHealth.objects.get(integration_id=effect.integration_id).rate_limited_until


def test_an_attempt_is_logged_without_secrets_and_sent_again_as_it_was(
    wire: Wire, build: Build, endpoint: CommunicationIntegration
) -> None:
    wire.routes["/hook"] = Reply(f"you sent {SECRET}".encode(), status=200)
    effect = events()[0]
    run_effect(effect.pk)
    [attempt] = endpoints.attempts_of(endpoint)
    assert SECRET not in attempt.answer
    assert attempt.answer.startswith("you sent ")
    assert attempt.body == wire.seen[0].body.decode()
    Release.objects.update(version="9.9.9")
    again = endpoints.resend(attempt, actor=None)
    assert endpoints.resend(attempt, actor=None) == again
    run_effect(again.pk)
    first, second = (received(seen) for seen in wire.seen)
    assert first == second
    assert endpoints.attempts_of(endpoint).count() == 2


def test_a_test_event_is_sent_and_logged(wire: Wire, endpoint: CommunicationIntegration) -> None:
    effect = endpoints.send_test(endpoint, actor=None)
    run_effect(effect.pk)
    assert fresh(effect).state == EffectState.DONE
    assert received(wire.seen[0])[1]["type"] == "test"
    assert [one.event for one in endpoints.attempts_of(endpoint)] == ["test"]


def test_both_secrets_sign_for_a_day(wire: Wire, endpoint: CommunicationIntegration) -> None:
    rotated = endpoints.rotate_secret(endpoint, actor=None)
    new = rotated.token.reveal()
    with pytest.raises(Conflict, match="rotated within the last 24 hours"):
        endpoints.rotate_secret(endpoint, actor=None)
    run_effect(endpoints.send_test(fresh(endpoint), actor=None).pk)
    for secret in (SECRET, new):
        Webhook(secret).verify(wire.seen[-1].body, wire.seen[-1].headers)
    rows = CommunicationIntegration.objects.filter(pk=endpoint.pk)
    rows.update(previous_token_until=timezone.now() - timedelta(minutes=1))
    run_effect(endpoints.send_test(fresh(endpoint), actor=None).pk)
    assert wire.seen[-1].headers["webhook-signature"].count("v1,") == 1
    EndpointAttempt.objects.update(at=timezone.now() - timedelta(days=31))
    delete_expired()
    assert fresh(endpoint).previous_token is None
    assert not EndpointAttempt.objects.exists()


def test_the_page_shows_the_log_and_acts(
    wire: Wire, endpoint: CommunicationIntegration, admin: Any
) -> None:
    page = f"/integrations/communication/{endpoint.pk}"
    assert admin.post(f"{page}/test-event").status_code == 302
    run_effect(Effect.objects.get(kind="event.send").pk)
    [attempt] = endpoints.attempts_of(endpoint)
    for address in (page, f"{page}/log"):
        text = admin.get(address).content.decode()
        assert attempt.message_id in text
        assert "Send again" in text
    assert admin.post(f"{page}/log/{attempt.pk}/resend").status_code == 302
    shown = admin.post(f"{page}/rotate-signing-secret").content.decode()
    assert fresh(endpoint).token.reveal() in shown


def test_the_api_answers_the_secret_once(wire: Wire, settings: Any, admin: Any) -> None:
    settings.OUTBOUND_ALLOW = ["127.0.0.1"]
    wire.routes["/hook"] = Reply(b"", status=200)
    base = "/api/v1/integrations/communication"
    given = {"communicationType": "WEBHOOK", "url": f"{wire.url}/hook", "events": ["nothing"]}
    refused = admin.post(base, json.dumps(given), content_type="application/json")
    assert refused.status_code == 400
    assert "events" in refused.json()["errors"]
    given["events"] = ["release.created"]
    made = admin.post(base, json.dumps(given), content_type="application/json")
    assert made.status_code == 201, made.content
    secret, place = made.json()["signingSecret"], f"{base}/{made.json()['id']}"
    assert secret.startswith("whsec_")
    shown = admin.get(place).json()
    assert (shown["hasSigningSecret"], shown["events"]) == (True, ["release.created"])
    assert "signingSecret" not in shown
    sent = admin.post(f"{place}/test-event", content_type="application/json")
    run_effect(sent.json()["effectId"])
    [attempt] = admin.get(f"{place}/attempts").json()["results"]
    assert (attempt["ok"], attempt["event"], attempt["status"]) == (True, "test", 200)
    Webhook(secret).verify(wire.seen[-1].body, wire.seen[-1].headers)
    resent = admin.post(f"{place}/attempts/{attempt['id']}/resend", content_type="application/json")
    assert resent.status_code == 202


def test_the_owners_are_told_what_is_off(
    wire: Wire, build: Build, endpoint: CommunicationIntegration, mailoutbox: Any
) -> None:
    wire.routes["/hook"] = Reply(b"", status=410)
    run_now(events()[0])
    run_effect(Effect.objects.get(kind="mail.refused").pk)
    [mail] = mailoutbox
    assert "nothing more is sent to it" in mail.subject
    assert "410" in mail.body
    assert "turns it on again" in mail.body
