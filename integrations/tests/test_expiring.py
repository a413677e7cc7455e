"""Warnings about credentials that expire soon, by email and on pages."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from delivr.effects.models import Effect, EffectState
from delivr.effects.runner import run_effect
from delivr.tenants.models import Membership
from delivr.tests import factories
from delivr.tests.wired import fresh, wired_to
from integrations.expiring import due_warnings, warn_by_id
from integrations.models import Connection, ScmIntegration
from integrations.operations import disconnect
from integrations.rotating import change
from integrations.verification import verify
from sandbox import accounts

pytestmark = pytest.mark.django_db


@pytest.fixture
def scm(tenant: Any, owner: Any) -> ScmIntegration:
    """In a workspace with an owner, an admin, a member and a viewer."""
    for role in ("ADMIN", "MEMBER", "VIEWER"):
        factories.MembershipFactory(tenant=tenant, role=role)
    factories.ReleaseFactory(tenant=tenant)
    return factories.ScmFactory(tenant=tenant, display_name="The app")


def expire_in(row: Connection, **left: float) -> None:
    ends = timezone.now() + timedelta(**left)
    type(row).objects.filter(pk=row.pk).update(credential_expires_at=ends)


def work() -> list[Effect]:
    """Run the job as the sweeper does; the mails created so far."""
    for connection_id in due_warnings():
        warn_by_id(connection_id)
    return list(Effect.objects.filter(kind="mail.expiring").order_by("created_at"))


def state_after_sending(effect: Effect) -> str:
    run_effect(effect.pk)
    return Effect.objects.get(pk=effect.pk).state


def test_owners_and_admins_get_one_mail_at_each_of_three_times(
    scm: ScmIntegration, monkeypatch: Any
) -> None:
    expire_in(scm, days=15)
    begin, promised = timezone.now(), {}
    for day in (0, 2, 7, 9, 13.9, 14.2, 15.1):
        now = begin + timedelta(days=day)
        monkeypatch.setattr("integrations.expiring.timezone.now", lambda now=now: now)
        work()
        promised[day] = len(work())
    assert promised == {0: 0, 2: 2, 7: 2, 9: 4, 13.9: 4, 14.2: 6, 15.1: 6}
    managers = Membership.objects.filter(role__in=("OWNER", "ADMIN"))
    written_to = Effect.objects.values_list("payload__member", flat=True)
    assert set(written_to) == {member.public_id for member in managers}


def test_the_mail_names_the_connection_the_expiry_and_what_to_do(
    scm: ScmIntegration, mailoutbox: Any
) -> None:
    expire_in(scm, days=6, hours=1)
    assert {state_after_sending(effect) for effect in work()} == {EffectState.DONE}
    managers = Membership.objects.filter(role__in=("OWNER", "ADMIN"))
    assert {to for mail in mailoutbox for to in mail.to} == {m.user.email for m in managers}
    mail = mailoutbox[0]
    assert "The app: its credential expires on" in mail.subject
    assert scm.tenant.name in mail.subject
    assert "expires in 6 days" in mail.body
    assert "/integrations" in mail.body
    assert " UTC." in mail.body


def test_the_mail_shows_the_expiry_in_its_readers_time_zone(
    scm: ScmIntegration, owner: Any, mailoutbox: Any
) -> None:
    type(owner).objects.filter(pk=owner.pk).update(time_zone="Asia/Tokyo")
    expire_in(scm, days=6)
    for effect in work():
        run_effect(effect.pk)
    zones = {mail.to[0]: "JST" if " JST." in mail.body else "UTC" for mail in mailoutbox}
    assert zones.pop(owner.email) == "JST"
    assert set(zones.values()) == {"UTC"}


def test_no_mail_is_sent_about_a_credential_that_was_replaced_meanwhile(
    tenant: Any, owner: Any, sandbox: Any, mailoutbox: Any
) -> None:
    """Over HTTP, from the provider's answer to the mail that became unneeded."""
    sandbox.state.github.end_token(accounts.GITHUB_PUSH_TOKEN, 3)
    sandbox.state.github.end_token(accounts.GITHUB_FINE_GRAINED_TOKEN, 90)
    scm = verify(wired_to(tenant, sandbox).scm)
    (effect,) = work()
    change(scm, actor=owner, values={"access_token": accounts.GITHUB_FINE_GRAINED_TOKEN})
    assert state_after_sending(effect) == EffectState.CANCELLED
    assert (mailoutbox, len(work())) == ([], 1)


def test_owners_get_one_mail_when_a_credential_expires(
    tenant: Any, owner: Any, sandbox: Any, mailoutbox: Any
) -> None:
    scm = verify(wired_to(tenant, sandbox).scm)
    sandbox.state.github.end_token(accounts.GITHUB_PUSH_TOKEN, 0)
    expire_in(scm, seconds=-1)
    assert verify(fresh(scm)).verification_status == "EXPIRED"
    assert verify(fresh(scm)).verification_status == "EXPIRED"
    assert work() == []
    effect = Effect.objects.get(kind="mail.refused")
    assert state_after_sending(effect) == EffectState.DONE
    assert mailoutbox[0].to == [owner.email]


def test_no_mail_is_sent_if_a_person_verified_the_expired_credential(
    tenant: Any, owner: Any, sandbox: Any
) -> None:
    scm = verify(wired_to(tenant, sandbox).scm)
    sandbox.state.github.end_token(accounts.GITHUB_PUSH_TOKEN, 0)
    expire_in(scm, seconds=-1)
    assert verify(fresh(scm), actor=owner).verification_status == "EXPIRED"
    assert not Effect.objects.filter(kind="mail.refused").exists()


@pytest.mark.parametrize("who", ["nobody", "without role", "inactive"])
def test_no_mail_is_sent_to_people_without_access(
    scm: ScmIntegration, owner: Any, mailoutbox: Any, who: str
) -> None:
    expire_in(scm, days=1)
    effects = work()
    if who == "nobody":
        disconnect(scm, actor=owner)
    elif who == "without role":
        Membership.objects.update(role="MEMBER")
    else:
        type(owner).objects.update(is_active=False)
    assert {state_after_sending(effect) for effect in effects} == {EffectState.CANCELLED}
    assert (mailoutbox, len(work())) == ([], len(effects))


def test_the_releases_page_shows_the_first_expiry_in_one_line(
    scm: ScmIntegration, client_for: Any, owner: Any
) -> None:
    web: Client = client_for(owner)
    assert "expires" not in web.get("/releases").content.decode()
    expire_in(scm, days=6, hours=1)
    others = factories.ScmFactory.create_batch(3, tenant=scm.tenant)
    foreign = factories.ScmFactory(display_name="FOREIGN")
    expire_in(foreign, days=1)
    html = web.get("/releases").content.decode()
    assert "The app: The credential expires in 6 days" in html
    assert "FOREIGN" not in html
    for other in others:
        expire_in(other, days=10)
    html = web.get("/releases").content.decode()
    assert "The app: The credential expires in 6 days" in html
    assert "3 more expire soon." in html


def test_more_expiries_cost_no_more_queries(
    scm: ScmIntegration, client_for: Any, owner: Any
) -> None:
    web: Client = client_for(owner)
    expire_in(scm, days=2)

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert "The credential expires" in web.get("/releases").content.decode()
        return len(captured)

    few = queries()
    for made in factories.ScmFactory.create_batch(4, tenant=scm.tenant):
        expire_in(made, days=3)
    assert queries() == few
