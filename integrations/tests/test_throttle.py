"""Hanging providers block only a few threads of the web processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from builds.models import Build
from delivr.api.problems import Problem
from delivr.effects.models import Effect
from delivr.tenants.models import Role, Tenant, User
from delivr.tests import factories as make
from delivr.tests.wired import wire
from integrations import throttle
from integrations.models import ScmIntegration
from integrations.throttle import PER_PROCESS, VERIFICATIONS, provider_slot
from integrations.verification import VERIFY_CLAIM, due_verifications, verify_by_id

Typed = Callable[..., dict[str, Any]]
BUSY, OFTEN = "Too many checks are running.", "Too many attempts."


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "MAX_WAIT", 0)


@pytest.fixture
def all_slots_taken() -> Iterator[None]:
    """Other users hold all slots."""
    with ExitStack() as places:
        for n in range(PER_PROCESS):
            places.enter_context(provider_slot(User(pk=-1 - n)))
        yield


@pytest.fixture
def scm(tenant: Tenant) -> ScmIntegration:
    row: ScmIntegration = make.ScmFactory(tenant=tenant, verification_status="VALID")
    return row


def too_often(user: User) -> None:
    for _n in range(VERIFICATIONS):
        throttle.throttle("verify", user=user)


# --- The places -----------------------------------------------------------------------------------


def test_one_user_holds_one_slot_and_all_together_a_few() -> None:
    ann, bob, eve = (User(pk=pk) for pk in (1, 2, 3))
    with provider_slot(ann):
        with pytest.raises(Problem), provider_slot(ann):
            pass
        with provider_slot(bob), pytest.raises(Problem) as refused, provider_slot(eve):
            pass
        with provider_slot(eve):
            assert refused.value.status == 429
    with provider_slot(ann), pytest.raises(ZeroDivisionError), provider_slot(bob):
        _ = 1 / 0
    with provider_slot(bob):
        assert list(throttle._calls) == [2]


@pytest.mark.django_db
def test_the_rate_limit_counts_across_workspaces(web: Client, owner: User, scm: Any) -> None:
    too_often(owner)
    other = make.MembershipFactory(user=owner, role=Role.OWNER).tenant
    elsewhere = make.ScmFactory(tenant=other)
    web.post("/settings/switch", {"tenant": other.pk})
    page = web.post(f"/integrations/scm/{elsewhere.pk}/verify", follow=True)
    assert OFTEN in page.content.decode()


# --- Every way to ask -----------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.usefixtures("all_slots_taken")
def test_pages_call_no_provider_while_all_slots_are_taken(
    web: Client, scm: Any, typed: Typed, sandbox: Any
) -> None:
    page, form = f"/integrations/scm/{scm.pk}", typed("GITHUB")
    assert BUSY in web.post(f"{page}/verify", follow=True).content.decode()
    assert BUSY in web.post(page, form).content.decode()  # with another credential
    options = web.post("/integrations/scm/options?field=repository_url", form)
    assert (options.status_code, BUSY in options.json()["detail"]) == (429, True)
    streamed: Any = web.post(f"{page}/verify", headers={"X-Checks": "streamed"})
    assert streamed.getvalue() == b""  # then it is sent in the plain way
    assert not sandbox.state.requests


@pytest.mark.django_db
@pytest.mark.usefixtures("all_slots_taken")
def test_the_api_calls_no_provider_while_all_slots_are_taken(
    api_for: Any, tenant: Tenant, scm: Any, sandbox: Any
) -> None:
    api, where = api_for(tenant, Role.OWNER), f"/api/v1/integrations/scm/{scm.pk}"
    for answer in (api.post(f"{where}/verify"), api.patch(where, {"accessToken": "ghp_another"})):
        assert (answer.status_code, answer.json()["code"]) == (429, "throttled")
        assert answer["Retry-After"] == "5"
    assert not sandbox.state.requests


@pytest.mark.django_db
@pytest.mark.usefixtures("all_slots_taken")
def test_a_build_is_adopted_only_if_a_slot_is_free(
    web: Client, api_for: Any, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr("builds.adopting.ci_of_part", asked.append)
    build: Build = wire(tenant, "http://127.0.0.1:1").build("ios")
    effect = Effect.objects.get(build_id=build.pk)
    Effect.objects.update(state="DEAD")
    page = web.post(f"/activity/effects/{effect.pk}/adopt", {"number": 1}, follow=True)
    assert BUSY in page.content.decode()
    answer = api_for(tenant, Role.OWNER).post(
        f"/api/v1/effects/{effect.pk}/adopt", {"buildNumber": 1}
    )
    assert (answer.status_code, asked) == (429, [])


# --- Saving ---------------------------------------------------------------------------------------


def run_due_verifications() -> None:
    assert due_verifications() == []
    row = ScmIntegration.objects.get()
    assert row.verify_at <= timezone.now() + VERIFY_CLAIM
    ScmIntegration.objects.update(verify_at=timezone.now())
    assert due_verifications() == [row.pk]
    verify_by_id(row.pk)
    assert ScmIntegration.objects.get().is_valid


@pytest.mark.django_db
@pytest.mark.parametrize("streamed", [False, True])
def test_beyond_the_rate_limit_a_new_connection_is_saved_and_verified_later(
    web: Client, owner: User, typed: Typed, sandbox: Any, streamed: bool
) -> None:
    too_often(owner)
    form = typed("GITHUB", form_token="one-form-one-token")
    if streamed:
        answer = web.post("/integrations/scm/new", form, headers={"X-Checks": "streamed"})
        assert answer.status_code == 204
    page = web.post("/integrations/scm/new", form, follow=True).content.decode()
    words = "was not repeated" if streamed else "is saved and will be verified in a few minutes"
    assert words in page
    assert ScmIntegration.objects.get().verification_status == "PENDING"
    assert not sandbox.state.requests
    run_due_verifications()


@pytest.mark.django_db
def test_beyond_the_rate_limit_an_edit_is_verified_later(
    web: Client, owner: User, scm: Any, typed: Typed, sandbox: Any
) -> None:
    too_often(owner)
    page = f"/integrations/scm/{scm.pk}"
    assert OFTEN in web.post(page, typed("GITHUB")).content.decode()  # with another credential
    form = typed("GITHUB", access_token="", repository_url="https://github.com/dream11/other")
    assert "a few minutes" in web.post(page, form, follow=True).content.decode()
    assert not sandbox.state.requests


@pytest.mark.django_db(transaction=True)  # the end of the answer closes the connection
def test_a_verification_whose_page_was_left_is_scheduled(web: Client, typed: Typed) -> None:
    streamed: Any = web.post(
        "/integrations/scm/new", typed("GITHUB"), headers={"X-Checks": "streamed"}
    )
    assert next(iter(streamed.streaming_content))
    streamed.close()
    assert not throttle._calls
    run_due_verifications()
