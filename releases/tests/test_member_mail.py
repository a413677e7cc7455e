"""Emails to members about releases: who gets which, at once or in a digest, and how they end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.core import mail as outbox
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from delivr.audit.models import AuditEvent
from delivr.effects.handlers import handler_for
from delivr.effects.models import Effect, EffectState
from delivr.effects.runner import run_effect
from delivr.mail import RECIPIENT_REFUSED
from delivr.tenants.mail_choices import DEFAULTS, MailClass, Pace, choose, pace_for
from delivr.tenants.models import Membership, Role, Tenant, User
from delivr.tests import factories
from integrations.providers.email.tests.post_office import post_office
from releases.messages import digest, member_mail
from releases.messages.member_mail import classes_of, day_of, digest_time
from releases.messages.models import ReleaseNotice
from releases.messages.muting import mute
from releases.messages.notices import Notice, notify
from releases.models import Release

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]

BERLIN = ZoneInfo("Europe/Berlin")
BUILD = {"platform": "iOS", "number": 245}


@pytest.fixture(autouse=True)
def _mail_server(settings: Any) -> None:
    settings.EMAIL_URL = "smtp://mail.example"  # the tests' own outbox takes them
    settings.BASE_URL = "https://delivr.example"


@pytest.fixture
def member(tenant: Tenant) -> Membership:
    found: Membership = factories.MembershipFactory(tenant=tenant, role=Role.VIEWER)
    return found


@pytest.fixture
def release(tenant: Tenant) -> Release:
    found: Release = factories.ReleaseFactory(tenant=tenant, version="1.5.0")
    return found


def wants(member: Membership, **paces: str) -> Membership:
    choose(member=member, changes=paces, actor=member.user)  # type: ignore[arg-type]
    member.refresh_from_db()
    return member


def effects(kind: str = "mail.release") -> list[Effect]:
    return list(Effect.objects.filter(kind=kind).order_by("created_at", "pk"))


def run(effect: Effect) -> Effect:
    Effect.objects.filter(pk=effect.pk).update(next_at=timezone.now())
    run_effect(effect.pk)
    return Effect.objects.get(pk=effect.pk)


def test_every_notice_has_classes_and_nothing_else_has() -> None:
    known = member_mail.FAILURES | member_mail.MILESTONES | member_mail.NEEDS_A_PERSON
    assert known <= set(Notice)
    assert {n for n in Notice if classes_of(n, is_mine=False) == [MailClass.EVERYTHING]} == {
        Notice.BUILD_QUEUED,
        Notice.BUILD_WAITING,
        Notice.SUBMISSION_NEEDS_PERSON,
        Notice.BUILD_STARTED,
        Notice.BUILD_COMPLETE,
        Notice.BUILD_CANCELLED,
    }


@pytest.mark.parametrize(
    ("paces", "notice", "is_mine", "expected"),
    [
        ({}, Notice.BUILD_FAILED, False, Pace.OFF),
        ({}, Notice.BUILD_FAILED, True, Pace.INSTANT),
        ({}, Notice.RELEASE_COMPLETE, True, Pace.INSTANT),
        ({}, Notice.RELEASE_CREATED, True, Pace.OFF),
        ({"needsMe": "off"}, Notice.BUILD_FAILED, True, Pace.OFF),
        ({"failures": "daily"}, Notice.BUILD_FAILED, False, Pace.DAILY),
        ({"failures": "daily"}, Notice.BUILD_FAILED, True, Pace.INSTANT),
        ({"failures": "daily"}, Notice.RELEASE_CREATED, False, Pace.OFF),
        ({"milestones": "instant"}, Notice.RELEASE_CREATED, False, Pace.INSTANT),
        ({"everything": "daily"}, Notice.BUILD_STARTED, False, Pace.DAILY),
        ({"everything": "daily", "failures": "instant"}, Notice.BUILD_FAILED, False, Pace.INSTANT),
    ],
)
def test_the_fastest_class_counts(
    member: Membership, paces: dict[str, str], notice: Notice, is_mine: bool, expected: Pace
) -> None:
    wants(member, **paces)
    assert pace_for(member, classes_of(notice, is_mine=is_mine))[0] == expected


def test_a_member_gets_one_email_with_a_link_that_ends_its_class(
    member: Membership, release: Release
) -> None:
    wants(member, failures="instant", milestones="instant")
    for _twice in range(2):
        notify(release, Notice.RELEASE_FAILED)
    [effect] = effects()
    assert (effect.release_id, member.user.email in str(effect.payload)) == ("", False)
    assert run(effect).state == EffectState.DONE
    [mail] = outbox.outbox
    assert (mail.to, mail.bcc, mail.cc) == ([member.user.email], [], [])
    assert mail.subject == f"[{release.tenant.name}] 1.5.0: Not all builds succeeded"
    assert "“Failures”" in mail.body
    assert [kind for _content, kind in mail.alternatives] == ["text/html"]  # type: ignore[attr-defined]
    link = mail.extra_headers["List-Unsubscribe"].strip(" <>")
    assert Client().get(link).status_code == 200
    member.refresh_from_db()
    assert member.mail_choices["failures"] == "instant"
    assert Client(enforce_csrf_checks=True).post(link).status_code == 200
    member.refresh_from_db()
    assert (member.mail_choices["failures"], member.mail_choices["milestones"]) == (
        "off",
        "instant",
    )
    event = AuditEvent.objects.latest("pk")
    assert (event.action, event.actor_id) == ("member.mails", None)


@pytest.mark.parametrize("how", ["removed", "deactivated", "unwanted"])
def test_nothing_is_sent_to_who_left_meanwhile(
    member: Membership, release: Release, how: str
) -> None:
    wants(member, failures="instant", milestones="daily")
    notify(release, Notice.BUILD_FAILED, build_id="bld_1", words=BUILD)
    notify(release, Notice.RELEASE_CREATED)
    if how == "removed":
        member.delete()
    elif how == "deactivated":
        type(member.user).objects.update(is_active=False)
    else:
        wants(member, failures="off", milestones="off")
    with time_machine.travel(timezone.now() + timedelta(days=1), tick=False):
        found = [run(effect) for effect in (*effects(), *effects("mail.digest"))]
    assert [effect.state for effect in found] == [EffectState.CANCELLED] * 2
    assert not outbox.outbox


def test_an_email_that_waits_is_not_sent_about_a_muted_release(
    member: Membership, release: Release
) -> None:
    wants(member, milestones="instant")
    notify(release, Notice.RELEASE_CREATED)
    mute(release=release, actor=None)
    assert run(effects()[0]).state == EffectState.CANCELLED
    assert not outbox.outbox


def test_a_thousand_members_cost_no_more_queries(tenant: Tenant, release: Release) -> None:
    def cost(notice: Notice, members: int) -> int:
        for _one in range(members):
            wants(
                factories.MembershipFactory(tenant=tenant), milestones="instant", failures="daily"
            )
        with CaptureQueriesContext(
            connection,
        ) as queries:
            notify(Release.objects.get(pk=release.pk), notice)
        return len(queries)

    few = cost(Notice.RELEASE_CREATED, 2)
    assert cost(Notice.RELEASE_CANCELLED, 20) == few
    assert len(effects()) == 2 + 22


def test_without_a_mail_server_nothing_is_created(
    member: Membership, release: Release, settings: Any
) -> None:
    settings.EMAIL_URL = settings.SANDBOX_URL = ""
    wants(member, everything="instant", milestones="daily")
    notify(release, Notice.RELEASE_CREATED)
    assert not Effect.objects.exists()
    assert not ReleaseNotice.objects.exists()


def test_an_address_that_is_refused_gets_no_more_until_its_owner_saves(
    member: Membership, release: Release, settings: Any
) -> None:
    wants(member, milestones="instant")
    with post_office(settings) as office:
        office.refusals[member.user.email] = "550 5.1.1 no such box"
        notify(release, Notice.RELEASE_CREATED)
        assert run(effects()[0]).state == EffectState.DEAD
    member.refresh_from_db()
    assert member.mail_refused == member.user.email
    notify(release, Notice.RELEASE_CANCELLED)
    assert len(effects()) == 1
    wants(member)
    notify(release, Notice.RELEASE_SUBMITTED)
    assert len(effects()) == 2


def test_only_the_address_that_was_refused_is_marked(
    member: Membership, release: Release, settings: Any
) -> None:
    wants(member, milestones="instant")
    notify(release, Notice.RELEASE_CREATED)
    [effect] = effects()
    handler = handler_for(effect.kind)
    old = member.user.email
    handler.prepare(effect)
    User.objects.update(email="new@example.com")  # while the old one is being refused
    effect.state, effect.last_error_code = EffectState.LEASED, RECIPIENT_REFUSED
    handler.gave_up(effect)
    member.refresh_from_db()
    assert (member.mail_refused, member.user.email) == (old, "new@example.com")
    assert "to" not in Effect.objects.get().payload


@pytest.mark.parametrize(
    ("moment", "day", "due"),
    [
        # a plain day; just before and after the cut of two minutes before nine
        ("2026-07-01T06:57:59", date(2026, 7, 1), "2026-07-01T07:00:00"),
        ("2026-07-01T06:58:00", date(2026, 7, 2), "2026-07-02T07:00:00"),
        # the nights on which the clocks change: 23 and 25 hours from nine to nine
        ("2026-03-28T12:00:00", date(2026, 3, 29), "2026-03-29T07:00:00"),
        ("2026-03-28T07:00:00", date(2026, 3, 28), "2026-03-28T08:00:00"),
        ("2026-10-24T12:00:00", date(2026, 10, 25), "2026-10-25T08:00:00"),
    ],
)
def test_a_digest_is_due_at_nine_by_the_members_clock(moment: str, day: date, due: str) -> None:
    found = day_of(BERLIN, datetime.fromisoformat(moment).replace(tzinfo=UTC))
    assert found == day
    assert digest_time(BERLIN, found) == datetime.fromisoformat(due).replace(tzinfo=UTC)


def test_a_digest_tells_each_thing_once(
    member: Membership, release: Release, tenant: Tenant
) -> None:
    member.user.time_zone = "Europe/Berlin"
    member.user.save()
    wants(member, failures="daily", milestones="daily")
    other = factories.ReleaseFactory(tenant=tenant, version="1.6.0")
    stranger = factories.ReleaseFactory(version="9.9.9")

    def at(text: str) -> Any:
        return time_machine.travel(datetime.fromisoformat(text).replace(tzinfo=UTC), tick=False)

    assert member.digest_until is not None, "nothing from before the choice is told"
    Membership.objects.update(digest_until=datetime(2026, 6, 30, tzinfo=UTC))
    with at("2026-06-30T12:00:00"):
        notify(release, Notice.RELEASE_CREATED)
        notify(release, Notice.BUILD_STARTED, build_id="bld_1", words=BUILD)  # not wanted
        notify(stranger, Notice.RELEASE_CREATED)
    with at("2026-07-01T06:00:00"):
        notify(other, Notice.BUILD_FAILED, build_id="bld_2", words=BUILD)
    [first] = effects("mail.digest")
    assert first.next_at == datetime(2026, 7, 1, 7, tzinfo=UTC)
    with at("2026-07-01T06:59:00"):
        run_effect(first.pk)
        assert not outbox.outbox, "it is not nine yet"
        notify(other, Notice.RELEASE_FAILED)  # after the cut: tomorrow's
    with at("2026-07-01T07:00:05"):
        run_effect(first.pk)
        run_effect(first.pk)
    [mail] = outbox.outbox
    assert mail.to == [member.user.email]
    assert "1 Jul 2026" in mail.subject
    assert "30 Jun, 14:00: Release created" in mail.body
    assert "1 Jul, 08:00: iOS build #245 failed" in mail.body
    for absent in ("started", "9.9.9", "Not all builds"):
        assert absent not in mail.body
    [_first, second] = effects("mail.digest")
    with at("2026-07-02T07:00:05"):
        run_effect(second.pk)
    assert "Not all builds succeeded" in outbox.outbox[1].body
    assert "Release created" not in outbox.outbox[1].body
    link = outbox.outbox[1].extra_headers["List-Unsubscribe"].strip(" <>")
    assert Client().post(link).status_code == 200
    member.refresh_from_db()
    assert set(member.mail_choices.values()) == {"instant", "off"}


def test_a_digest_leaves_nothing_out_silently(
    member: Membership, release: Release, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    wants(member, failures="daily", milestones="daily")
    monkeypatch.setattr(digest, "MOST", 2)
    Membership.objects.update(digest_until=datetime(2026, 6, 30, tzinfo=UTC))
    silent = factories.ReleaseFactory(tenant=tenant, version="1.6.0")
    with time_machine.travel(datetime(2026, 6, 30, 12, tzinfo=UTC), tick=False) as clock:
        keep = member_mail._keep_for_digests
        for number in range(3):  # what only others want takes no place in it
            keep(release, Notice.BUILD_STARTED, BUILD, f"started:{number}", [])
        keep(silent, Notice.BUILD_FAILED, BUILD, "muted", [])
        notify(release, Notice.RELEASE_CREATED)  # failures come first
        for number in range(3, 7):
            clock.shift(1)
            words = {"platform": "iOS", "number": number}
            notify(release, Notice.BUILD_FAILED, build_id=f"bld_{number}", words=words)
    mute(release=silent, actor=None)
    [effect] = effects("mail.digest")
    with time_machine.travel(datetime(2026, 7, 1, 9, 0, 5, tzinfo=UTC), tick=False):
        run_effect(effect.pk)
    [mail] = outbox.outbox
    assert "build #3 failed" in mail.body
    assert "build #4 failed" in mail.body
    assert "build #5" not in mail.body
    assert "3 more things happened." in mail.body
    assert "1.6.0" not in mail.body


def test_a_member_chooses_on_the_page_and_by_the_api(
    member: Membership, client_for: Callable[..., Client], api_for: Any
) -> None:
    client, page = client_for(member.user), "/settings/notifications"
    assert "Never" in client.get(page).content.decode()
    sent = {one.value: "daily" for one in MailClass}
    assert client.post(page, {**sent, "failures": "hourly"}).context["form"].errors.keys() == {
        "failures"
    }
    member.refresh_from_db()
    assert member.mail_choices == {}
    assert client.post(page, sent)["Location"] == page
    member.refresh_from_db()
    assert member.mail_choices == sent

    api = api_for(member.tenant, Role.VIEWER)
    where = "/api/v1/me/notifications"
    assert api.get(where).json() == {one.value: pace.value for one, pace in DEFAULTS.items()}
    changed = api.patch(where, {"failures": "instant"}, format="json").json()
    assert changed == {**api.get(where).json(), "failures": "instant"}
    for wrong in ({"failures": "x"}, {"unknown": "off"}, {"failures": None}, []):
        assert api.patch(where, wrong, format="json").status_code == 400
    assert api.get(where).json() == changed
    member.refresh_from_db()
    assert member.mail_choices == sent, "those of another member are untouched"
