"""A release's messages by email, through a real mail server: threads, refusals, lost answers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from delivr.audit.models import AuditEvent
from delivr.effects.models import Effect, EffectState
from delivr.effects.runner import run_effect
from delivr.tenants.models import Role, Tenant
from delivr.tests import factories
from integrations.models import CommunicationIntegration
from integrations.providers.email.tests.post_office import PostOffice, post_office
from releases.messages.notices import Notice, notify
from releases.models import Release

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]

ADA, BOB = "ada@example.com", "bob+releases@example.com"
FAILED = {"platform": "iOS", "number": 245}


@pytest.fixture
def office(settings: Any) -> Iterator[PostOffice]:
    settings.DEFAULT_FROM_EMAIL = "delivr <releases@delivr.example>"
    settings.BASE_URL = "https://delivr.example"
    with post_office(settings) as server:
        yield server


@pytest.fixture
def release(tenant: Tenant) -> Release:
    connection = factories.SlackFactory(
        tenant=tenant, communication_type="EMAIL", token=None, recipients=[ADA, BOB]
    )
    found: Release = factories.ReleaseFactory(
        tenant=tenant, version="1.5.0", communication=connection
    )
    return found


def mails() -> list[Effect]:
    return list(Effect.objects.filter(kind="message.post").order_by("created_at", "pk"))


def run_all(**changes: Any) -> list[Effect]:
    for effect in mails():
        Effect.objects.filter(pk=effect.pk).update(next_at=timezone.now(), **changes)
        run_effect(effect.pk)
    return mails()


def connection_of(release: Release) -> CommunicationIntegration:
    return CommunicationIntegration.objects.get(pk=release.communication_ids[0])


def test_milestones_are_one_thread_for_each_recipient(release: Release, office: PostOffice) -> None:
    notify(release, Notice.RELEASE_CREATED)
    run_all()
    notify(release, Notice.BUILD_STARTED, build_id="bld_1", words=FAILED)  # no milestone
    notify(release, Notice.BUILD_FAILED, build_id="bld_1", words=FAILED)
    assert {effect.state for effect in run_all()} == {EffectState.DONE}
    assert sorted(office.envelopes) == [[ADA], [ADA], [BOB], [BOB]]
    for address in (ADA, BOB):
        first, second = (mail for mail in office.taken if mail["To"] == address)
        assert second["References"] == second["In-Reply-To"] == first["Message-ID"]
        assert first["References"] is None
        subject = f"[{release.tenant.name}] 1.5.0: iOS build #245 failed"
        assert second["Subject"] == subject
    ids = {mail["Message-ID"] for mail in office.taken}
    assert ids == {f"<{effect.pk}@delivr.example>" for effect in mails()}


@pytest.mark.parametrize("answer", ["450 4.2.0 greylisted", "550 5.1.1 no such box"])
def test_a_refusal_stops_one_recipient_and_says_so(
    release: Release, office: PostOffice, owner: Any, client_for: Any, answer: str
) -> None:
    office.refusals[ADA] = answer
    notify(release, Notice.RELEASE_CREATED)
    by_address = {effect.payload["channel"]: effect for effect in run_all()}
    assert by_address[BOB].state == EffectState.DONE
    refused, now = by_address[ADA], timezone.now()
    if answer.startswith("4"):
        assert refused.state == EffectState.PENDING
        assert timedelta(minutes=4) < refused.next_at - now <= timedelta(minutes=5)
        office.refusals.clear()
        assert {effect.state for effect in run_all()} == {EffectState.DONE}
        assert connection_of(release).silent == {}
        return
    assert (refused.state, refused.last_error_code) == (EffectState.DEAD, "mail_refused")
    assert refused.last_error_hint
    found = connection_of(release)
    assert (found.channels, found.recipients) == ([BOB], [ADA, BOB])
    assert AuditEvent.objects.filter(action="recipient.refused").count() == 1
    notify(Release.objects.get(), Notice.RELEASE_FAILED)
    assert [e.payload["channel"] for e in mails()].count(ADA) == 1
    client: Client = client_for(owner)
    page = f"/integrations/communication/{found.pk}"
    assert "does not accept emails" in client.get(page).content.decode()
    [silent] = client.get(f"/api/v1{page}").json()["silentRecipients"]
    assert (silent["recipient"], silent["reason"]) == (ADA, "REFUSED")
    assert "550" in silent["message"]
    viewer = client_for(factories.MembershipFactory(tenant=found.tenant, role=Role.VIEWER).user)
    again = f"{page}/recipient"
    assert viewer.post(again, {"recipient": ADA}).status_code == 403
    assert connection_of(release).channels == [BOB]
    client.post(again, {"recipient": ADA})
    assert connection_of(release).channels == [ADA, BOB]
    client.post(again, {"recipient": ADA})  # twice
    assert AuditEvent.objects.filter(action="recipient.tried_again").count() == 1


def test_a_lost_answer_sends_the_same_email_once_more(release: Release, office: PostOffice) -> None:
    office.drops.append(ADA)
    notify(release, Notice.RELEASE_CREATED)
    run_all()
    assert len(office.taken) == 2
    earlier = timezone.now() - timedelta(minutes=5)
    run_all(dispatched_at=earlier)
    run_all(dispatched_at=earlier)
    assert {effect.state for effect in mails()} == {EffectState.DONE}
    to_ada = [mail for mail in office.taken if mail["To"] == ADA]
    assert len(to_ada) == 2
    assert len({mail["Message-ID"] for mail in to_ada}) == 1
    assert len(office.taken) == 3


def test_one_click_ends_emails_to_one_recipient(release: Release, office: PostOffice) -> None:
    notify(release, Notice.RELEASE_CREATED)
    run_all()
    notify(release, Notice.RELEASE_FAILED)  # waits when the link is followed
    mail = next(mail for mail in office.taken if mail["To"] == ADA)
    link = mail["List-Unsubscribe"].strip(" <>")
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert link.startswith("https://delivr.example/unsubscribe/")
    assert ADA not in link
    path, stranger = link.removeprefix("https://delivr.example"), Client(enforce_csrf_checks=True)
    assert stranger.get(path).status_code == 200
    assert connection_of(release).channels == [ADA, BOB], "scanners of emails open links"
    assert stranger.post(f"{path[:-1]}{'A' if path[-1] != 'A' else 'B'}").status_code == 404
    assert connection_of(release).channels == [ADA, BOB]
    for _twice in range(2):
        assert stranger.post(path, {"List-Unsubscribe": "One-Click"}).status_code == 200
    found = connection_of(release)
    assert (found.channels, found.recipients) == ([BOB], [ADA, BOB])
    assert AuditEvent.objects.filter(action="recipient.unsubscribed").count() == 1
    states = {
        e.payload["channel"]: e.state for e in run_all() if e.payload["notice"] != "release_created"
    }
    assert states == {ADA: EffectState.CANCELLED, BOB: EffectState.DONE}
    found.set_value("recipients", [BOB])
    assert found.silent == {}
    found.set_value("recipients", [ADA.upper(), BOB])
    assert found.channels == [BOB], "added anew, even in capitals, it is still unsubscribed"
    found.save()
    assert "Get them again" in stranger.post(path).content.decode()
    for _twice in range(2):
        stranger.post(path, {"again": "1"})
    assert connection_of(release).channels == [ADA.upper(), BOB]
    assert AuditEvent.objects.filter(action="recipient.subscribed_again").count() == 1


def test_a_refusal_is_forgotten_with_its_recipient(release: Release, office: PostOffice) -> None:
    office.refusals[ADA] = "550 no such mailbox"
    notify(release, Notice.RELEASE_CREATED)
    run_all()
    found = connection_of(release)
    assert found.channels == [BOB]
    found.set_value("recipients", [BOB])
    found.set_value("recipients", [ADA, BOB])
    assert found.channels == [ADA, BOB], "added anew, it is a new recipient"
