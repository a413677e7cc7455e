"""What strangers, viewers, stale pages and odd numbers do to submissions: nothing."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from delivr.effects.models import Effect
from delivr.tenants.models import Role
from delivr.tests.factories import SentryFactory
from integrations.providers.stores import Act
from releases.models import Release
from releases.tests.pages import Setup, text_of
from submissions.models import RolloutRule, Submission
from submissions.tests.app_store.provider import FakeStore
from submissions.tests.conftest import run_all
from submissions.tests.test_health_pages import line, lines, rule

pytestmark = pytest.mark.django_db


@pytest.fixture
def rolling(submitted: Submission) -> Submission:
    run_all(submitted)
    Submission.objects.filter(pk=submitted.pk).update(state="ROLLING_OUT", percent=5, step=1)
    found: Submission = Submission.objects.get(pk=submitted.pk)
    return found


def acts() -> int:
    return Effect.objects.filter(kind="store.act").count()


@pytest.mark.parametrize("act", list(Act))
def test_strangers_and_viewers_act_on_nothing(
    rolling: Submission, api_for: Any, member_of: Any, client_for: Any, tenant: Any, act: Act
) -> None:
    stranger = Setup(SentryFactory().tenant).tenant
    page = reverse("submission_act", args=[rolling.pk])
    path = f"/api/v1/submissions/{rolling.pk}/{act}"
    assert api_for(stranger).post(path).status_code == 404
    assert client_for(member_of(stranger, Role.OWNER)).post(page, {"act": act}).status_code == 404
    assert api_for(tenant, role=Role.VIEWER).post(path).status_code == 403
    viewer = client_for(member_of(tenant, Role.VIEWER))
    assert viewer.post(page, {"act": act, "seen": 0}).status_code == 403
    assert acts() == 0


def test_strangers_submit_nothing(
    store: type[FakeStore], release: Release, setup: Setup, member_of: Any, client_for: Any
) -> None:
    other = Setup(SentryFactory().tenant)
    theirs = client_for(member_of(other.tenant, Role.OWNER))
    form = reverse("submission_new", args=[release.pk, setup.ios.pk])
    assert theirs.get(form).status_code == 404
    assert theirs.post(form, lines()).status_code == 404
    mine = other.release(version="7.0.0")
    mixed = reverse("submission_new", args=[mine.pk, setup.ios.pk])  # a target of another workspace
    assert theirs.post(mixed, lines()).status_code == 404
    assert not Submission.objects.exists()


@pytest.mark.parametrize("seen", ["-1", "1", "9" * 400])
def test_a_page_that_is_not_the_newest_does_not_act(
    rolling: Submission, member: Any, seen: str
) -> None:
    page = reverse("submission_act", args=[rolling.pk])
    answer = member.post(page, {"act": "advance", "seen": seen}, follow=True)
    assert "Something else was asked for since this page was shown." in text_of(answer)
    assert acts() == 0


@pytest.mark.parametrize("seen", ["NaN", "1.5", "", "9" * 5000, "0x1"])
def test_a_page_that_never_was_shown_is_refused(
    rolling: Submission, member: Any, seen: str
) -> None:
    page = reverse("submission_act", args=[rolling.pk])
    assert member.post(page, {"act": "halt", "seen": seen}).status_code == 400
    assert acts() == 0


def test_a_double_click_halts_once(rolling: Submission, member: Any) -> None:
    page = reverse("submission_act", args=[rolling.pk])
    for _ in range(3):
        assert member.post(page, {"act": "halt", "seen": 0}).status_code == 302
    assert acts() == 1


NUMBERS = ("NaN", "-NaN", "Infinity", "-Infinity", "-1", "1e400", "9" * 400, "0x10", "１００％")


@pytest.mark.parametrize("name", ["threshold", "margin", "min_sample", "after_hours"])
@pytest.mark.parametrize("number", NUMBERS)
def test_odd_numbers_in_rules_are_refused_by_the_form(
    member: Any,
    store: type[FakeStore],
    setup: Setup,
    release: Release,
    tenant: Any,
    name: str,
    number: str,
) -> None:
    source = SentryFactory(tenant=tenant)
    given = {
        "action": "ADVANCE",
        "after_hours": "2",
        **({"threshold": ""} if name == "margin" else {}),
    }
    address = reverse("submission_new", args=[release.pk, setup.ios.pk])
    answer = member.post(address, lines(line(source, **given | {name: number})))
    assert answer.status_code == 200
    assert "Rule 1" in text_of(answer)
    assert not Submission.objects.exists()


@pytest.mark.parametrize("name", ["threshold", "margin", "minSample", "afterHours"])
@pytest.mark.parametrize("number", [*NUMBERS, -1, True, [], {}, 10**400])
def test_odd_numbers_in_rules_are_refused_by_the_api(
    store: type[FakeStore],
    setup: Setup,
    release: Release,
    tenant: Any,
    api_for: Any,
    name: str,
    number: Any,
) -> None:
    given = rule(SentryFactory(tenant=tenant), action="ADVANCE", afterHours=2)
    if name == "margin":
        given.pop("threshold")
    body = {"targetId": setup.ios.pk, "steps": [5, 100]}
    body["rolloutRules"] = [given | {name: number}]
    answer = api_for(tenant).post(f"/api/v1/releases/{release.pk}/submissions", body)
    assert answer.status_code == 400, answer.json()
    assert not RolloutRule.objects.exists()


@pytest.mark.parametrize("shares", ["nan", "1, nan", "inf", "-5", "5, 5", "100, 5", "1e-400, 5"])
def test_odd_steps_are_refused(
    member: Any, store: type[FakeStore], setup: Setup, release: Release, shares: str
) -> None:
    address = reverse("submission_new", args=[release.pk, setup.ios.pk])
    answer = member.post(address, {**lines(), "shares": shares})
    assert answer.status_code == 200
    assert not Submission.objects.exists()
