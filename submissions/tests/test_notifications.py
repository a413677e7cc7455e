"""Notifications of the App Store: they make looks due, and only Apple can send them."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from delivr.effects import clock
from delivr.failures import Conflict
from delivr.tests.factories import AppStoreFactory, PlayStoreFactory, TenantFactory
from integrations import operations, store_webhooks
from integrations.models import StoreWebhookSecret
from releases.models import Release
from releases.tests.pages import Setup
from submissions import notifications, reading
from submissions.models import Preflight, Submission
from submissions.tests.app_store.provider import FakeStore
from submissions.tests.conftest import effects_of, run_all

pytestmark = pytest.mark.django_db
EVENT = "appStoreVersionAppVersionStateUpdated"
BODY = json.dumps({"data": {"type": EVENT, "id": "0f2c", "version": 1}}).encode()
LATER = timedelta(minutes=5)


@pytest.fixture
def secret(setup: Setup) -> str:
    return store_webhooks.replace(setup.ios, actor=None)


def mac(secret: str, body: bytes = BODY) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def notify(
    target: Any,
    signature: str | None,
    body: bytes = BODY,
    *,
    content_type: str = "application/json",
) -> Any:
    headers = {} if signature is None else {"x-apple-signature": signature}
    address = f"/api/v1/webhooks/app-store/{target.pk}"
    return Client().post(address, body, content_type=content_type, headers=headers)


@pytest.fixture
def waiting(release: Release, setup: Setup) -> Submission:
    """One in review, which is read in five minutes."""
    part = release.targets.get(target=setup.ios)
    return Submission.objects.create(
        tenant=release.tenant,
        release=release,
        release_target=part,
        target=setup.ios,
        store_build="7",
        state="IN_REVIEW",
        submitted_at=clock.now(),
        read_at=clock.now() + LATER,
    )


def is_due(row: Submission) -> bool:
    return Submission.objects.due(clock.now()).filter(pk=row.pk).exists()


@pytest.mark.parametrize("prefix", ["hmacsha256=", ""])
def test_a_notification_makes_the_look_due(
    waiting: Submission, setup: Setup, secret: str, prefix: str
) -> None:
    assert not is_due(waiting)
    answer = notify(setup.ios, prefix + mac(secret))
    assert (answer.status_code, answer.json()) == (202, {"event": EVENT})
    assert is_due(waiting)
    heard = store_webhooks.heard(setup.ios)
    assert heard is not None
    assert heard.event == EVENT
    assert heard.heard_at is not None


def test_it_says_nothing_about_the_state(waiting: Submission, setup: Setup, secret: str) -> None:
    attributes = {"newValue": "READY_FOR_DISTRIBUTION"}
    body = json.dumps({"data": {"type": EVENT, "attributes": attributes}}).encode()
    assert notify(setup.ios, mac(secret, body), body).status_code == 202
    waiting.refresh_from_db()
    assert (waiting.state, waiting.store_state) == ("IN_REVIEW", "")


@pytest.mark.parametrize("signature", [None, "", "hmacsha256=", "hmacsha256=" + "0" * 64, "ä"])
def test_wrongly_signed_ones_change_nothing(
    waiting: Submission, setup: Setup, secret: str, signature: str | None
) -> None:
    assert notify(setup.ios, signature).status_code == 401
    assert not is_due(waiting)
    assert StoreWebhookSecret.objects.get().heard_at is None


def test_a_changed_body_is_refused(waiting: Submission, setup: Setup, secret: str) -> None:
    assert notify(setup.ios, mac(secret), BODY + b" ").status_code == 401
    assert not is_due(waiting)


def test_another_tenants_secret_is_refused(waiting: Submission, setup: Setup, secret: str) -> None:
    stranger = AppStoreFactory(tenant=TenantFactory())
    theirs = store_webhooks.replace(stranger, actor=None)
    assert notify(setup.ios, mac(theirs)).status_code == 401
    assert notify(stranger, mac(secret)).status_code == 401
    assert notify(stranger, mac(theirs)).status_code == 202
    assert not is_due(waiting)


def test_the_answer_does_not_tell_whether_an_app_exists(setup: Setup, secret: str) -> None:
    unknown = AppStoreFactory.build(pk="target_appstore_unknown")
    without = AppStoreFactory(tenant=setup.ios.tenant)
    answers = [notify(one, "hmacsha256=00") for one in (setup.ios, unknown, without)]
    assert {(a.status_code, a.content) for a in answers} == {(401, answers[0].content)}


def test_a_store_without_notifications_has_no_secret(setup: Setup) -> None:
    play = PlayStoreFactory(tenant=setup.ios.tenant)
    with pytest.raises(Conflict) as refused:
        store_webhooks.replace(play, actor=None)
    assert refused.value.code == "no_notifications"
    assert notify(play, mac("anything")).status_code == 401


@pytest.mark.parametrize(
    "body", [b"", b"not JSON", b"[]", b'{"data": 7}', b'{"data": {"type": ["x"]}}', b"\xff"]
)
def test_an_unknown_event_is_a_hint_too(
    waiting: Submission, setup: Setup, secret: str, body: bytes
) -> None:
    answer = notify(setup.ios, mac(secret, body), body)
    assert (answer.status_code, answer.json()) == (202, {"event": ""})
    assert is_due(waiting)


def test_what_is_too_large_or_no_json_is_refused(
    waiting: Submission, setup: Setup, secret: str
) -> None:
    large = b" " * (notifications.MAX_BYTES + 1)
    assert notify(setup.ios, mac(secret, large), large).status_code == 413
    assert notify(setup.ios, mac(secret), content_type="text/plain").status_code == 415
    assert Client().get(f"/api/v1/webhooks/app-store/{setup.ios.pk}").status_code == 405
    assert not is_due(waiting)


def test_a_repeated_one_only_causes_another_look(
    waiting: Submission, setup: Setup, secret: str
) -> None:
    for _ in range(3):
        assert notify(setup.ios, mac(secret)).status_code == 202
    waiting.refresh_from_db()
    assert (waiting.state, waiting.events.count()) == ("IN_REVIEW", 0)


def test_a_flood_is_limited_and_strangers_block_nobody(
    waiting: Submission, setup: Setup, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "A_MINUTE", 3)
    monkeypatch.setattr(notifications, "REFUSALS", 2)
    strangers = [notify(setup.ios, "00").status_code for _ in range(4)]
    assert strangers == [401, 401, 429, 429]
    answers = [notify(setup.ios, mac(secret)) for _ in range(4)]
    assert [a.status_code for a in answers] == [202, 202, 202, 429]
    assert int(answers[-1]["Retry-After"]) > 0
    assert is_due(waiting)


def test_every_replaced_secret_works_for_a_day(
    waiting: Submission, setup: Setup, secret: str
) -> None:
    second = store_webhooks.replace(setup.ios, actor=None)
    third = store_webhooks.replace(setup.ios, actor=None)
    for one in (secret, second, third):
        assert notify(setup.ios, mac(one)).status_code == 202
    StoreWebhookSecret.objects.exclude(until=None).update(until=timezone.now())
    assert [notify(setup.ios, mac(one)).status_code for one in (secret, second, third)] == [
        401,
        401,
        202,
    ]
    assert store_webhooks.expired().count() == 2


def test_disconnecting_deletes_the_secrets(setup: Setup, secret: str) -> None:
    other = AppStoreFactory(tenant=setup.ios.tenant)
    theirs = store_webhooks.replace(other, actor=None)
    operations.disconnect(other, actor=None)
    assert notify(other, mac(theirs)).status_code == 401
    assert StoreWebhookSecret.objects.get().target == setup.ios


def test_a_store_that_asked_for_a_pause_is_left_alone(
    waiting: Submission, setup: Setup, secret: str
) -> None:
    Submission.objects.update(read_error="Too many requests.")
    assert notify(setup.ios, mac(secret)).status_code == 202
    assert not is_due(waiting)


def test_a_check_before_a_submission_is_due_too(
    setup: Setup, release: Release, secret: str
) -> None:
    part = release.targets.get(target=setup.ios)
    Preflight.objects.all().delete()
    found = Preflight.objects.create(
        tenant=release.tenant, release_target=part, look_at=clock.now() + LATER
    )
    assert notify(setup.ios, mac(secret)).status_code == 202
    assert str(found.pk) in notifications_due()


def notifications_due() -> list[str]:
    from submissions import preflight

    return preflight.due()


def test_one_that_comes_while_the_store_is_asked_is_not_lost(
    submitted: Submission, setup: Setup, secret: str, store: type[FakeStore], monkeypatch: Any
) -> None:
    """The answer on its way may be older than what the notification is about."""
    run_all(submitted)
    Submission.objects.filter(pk=submitted.pk).update(read_at=clock.now())
    usual = FakeStore.read_submission

    def read(self: FakeStore, plan: Any) -> Any:
        found = usual(self, plan)
        assert notify(setup.ios, mac(secret)).status_code == 202
        return found

    monkeypatch.setattr(FakeStore, "read_submission", read)
    reading.read(submitted.pk)
    submitted.refresh_from_db()
    assert submitted.read_at is not None
    assert submitted.read_at <= clock.now() + timedelta(seconds=1)


def test_a_step_that_waits_for_the_build_goes_on(
    submitted: Submission, setup: Setup, secret: str
) -> None:
    (step,) = effects_of(submitted)
    step.next_at = clock.now() + LATER
    step.last_error_code = "not_ready"
    step.save()
    assert notify(setup.ios, mac(secret)).status_code == 202
    (step,) = effects_of(submitted)
    assert step.next_at <= clock.now()
