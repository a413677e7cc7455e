"""A trigger whose outcome is unknown: a person names its build, or has it sent again."""

from __future__ import annotations

from html import unescape
from typing import Any

import pytest
from django.test import Client

from builds.models import Build
from builds.tests.test_main_flow import hurry
from delivr.audit.models import AuditEvent
from delivr.effects.models import Effect, EffectState
from delivr.effects.sweeper import sweep_until_idle
from delivr.tenants.models import Role, User
from delivr.tests import factories
from delivr.tests.wired import wired_to

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.on_postgresql]


@pytest.fixture
def api(tenant: Any, api_for: Any) -> Any:
    return api_for(tenant, Role.OWNER)


@pytest.fixture
def undecided(tenant: Any, sandbox: Any) -> Effect:
    """A trigger whose response was lost, of a job that does not declare DELIVR_BUILD_ID."""
    wired = wired_to(tenant, sandbox, jobs={"ios": "/job/ios-no-build-id"})
    sandbox.state.faults.add("drop_after", provider="jenkins", method="POST", count=1)
    wired.build()
    for _round in range(4):
        hurry()
        sweep_until_idle(limit=2)
    effect = Effect.objects.get(kind="build.trigger")
    assert (effect.state, effect.last_error_code) == (EffectState.DEAD, "cannot_correlate")
    return effect


def number_of_the_build(sandbox: Any) -> int:
    return sandbox.state.jenkins.builds_of("ios-no-build-id")[0].number


def test_the_build_is_adopted_by_its_number(undecided: Effect, api: Any, sandbox: Any) -> None:
    number = number_of_the_build(sandbox)
    answer = api.post(f"/api/v1/effects/{undecided.pk}/adopt", {"buildNumber": number})
    assert answer.status_code == 200, answer.json()
    assert answer.json()["state"] == "DONE"
    build = Build.objects.get()
    assert (build.status, build.number) == ("RUNNING", number)
    assert len(sandbox.state.ledger.of("build.queued")) == 1


def test_a_number_that_jenkins_does_not_know_is_refused(undecided: Effect, api: Any) -> None:
    for number in (99_999, 0, -1, "245", None, 10**30, True, {}):
        answer = api.post(f"/api/v1/effects/{undecided.pk}/adopt", {"buildNumber": number})
        assert answer.status_code == 400, number
        assert list(answer.json()["errors"]) == ["buildNumber"], number
        assert Build.objects.get().status == "TRIGGER_FAILED", number


def test_a_build_of_another_release_is_refused(undecided: Effect, api: Any, sandbox: Any) -> None:
    api.post(f"/api/v1/effects/{undecided.pk}/retry")
    for _round in range(6):
        hurry()
        sweep_until_idle(limit=2)
    taken = Build.objects.get()
    assert taken.number
    answer = api.post(f"/api/v1/effects/{undecided.pk}/adopt", {"buildNumber": taken.number})
    assert answer.status_code == 409
    assert answer.json()["code"] == "not_dead"


def test_a_person_may_send_it_again(undecided: Effect, api: Any, sandbox: Any) -> None:
    api.post(f"/api/v1/effects/{undecided.pk}/retry")
    for _round in range(6):
        hurry()
        sweep_until_idle(limit=2)
    assert Build.objects.get().status == "RUNNING"


def test_a_failing_provider_is_reported_in_words(undecided: Effect, api: Any, sandbox: Any) -> None:
    sandbox.state.faults.add("status", provider="jenkins", status=500)
    answer = api.post(f"/api/v1/effects/{undecided.pk}/adopt", {"buildNumber": 7})
    assert answer.status_code == 400
    assert "Jenkins" in answer.json()["errors"]["buildNumber"][0]


def test_members_and_strangers_may_not_adopt(
    undecided: Effect, tenant: Any, api_for: Any, sandbox: Any
) -> None:
    from delivr.tests.factories import TenantFactory

    body = {"buildNumber": number_of_the_build(sandbox)}
    path = f"/api/v1/effects/{undecided.pk}/adopt"
    assert api_for(tenant, Role.MEMBER).post(path, body).status_code == 403
    assert api_for(TenantFactory(), Role.OWNER).post(path, body).status_code == 404
    assert Build.objects.get().status == "TRIGGER_FAILED"


# --- Django's admin -------------------------------------------------------------------------------


@pytest.fixture
def root(db: None) -> Any:
    user = User.objects.create_superuser("root@example.com")
    factories.give_second_factor(user)
    return factories.sign_in(Client(), user)


def in_admin(root: Any, effect: Effect, **form: Any) -> Any:
    chosen = {"action": "adopt", "_selected_action": [effect.pk], **form}
    return root.post("/admin/effects/effect/", chosen, follow=True)


def test_the_operator_adopts_in_the_admin_and_is_named(
    undecided: Effect, root: Any, sandbox: Any
) -> None:
    page = in_admin(root, undecided).content.decode()
    assert 'name="number"' in page
    assert undecided.last_error in unescape(page)
    refused = in_admin(root, undecided, chosen="1", number="7").content.decode()
    assert "The job has no build #7." in refused
    assert Effect.objects.get(pk=undecided.pk).state == EffectState.DEAD
    number = number_of_the_build(sandbox)
    done = in_admin(root, undecided, chosen="1", number=str(number)).content.decode()
    assert f"Build #{number} is adopted." in done
    assert Build.objects.get().number == number
    operator = User.objects.get(email="root@example.com")
    assert AuditEvent.objects.get(action="effect.adopted").actor_id == operator.pk
    again = in_admin(root, undecided, chosen="1", number=str(number)).content.decode()
    assert "Only a build that could not be triggered, failed or is lost can be adopted." in again


def test_the_admin_adopts_one_at_a_time_and_asks_for_a_number(undecided: Effect, root: Any) -> None:
    assert "This field is required." in in_admin(root, undecided, chosen="1").content.decode()
    two = {"_selected_action": [undecided.pk, factories.EffectFactory().pk]}
    assert "Choose one effect" in in_admin(root, undecided, **two).content.decode()
    assert Effect.objects.get(pk=undecided.pk).state == EffectState.DEAD
