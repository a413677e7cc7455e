"""What happens to a user's account is recorded in each of the user's workspaces."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core import mail
from django.test import Client

from delivr.audit.accounts import FAILURES, WINDOW
from delivr.audit.models import AuditEvent
from delivr.security.ratelimit import hit
from delivr.signin.tests.test_second_factor import HOUR, code_of, confirm
from delivr.tenants.models import ApiToken, Role, User
from delivr.tests import factories
from delivr.tests.factories import PASSWORD

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]
NEW = "another-horse-battery-staple"


@pytest.fixture
def ada(tenant: Any, member_of: Any) -> User:
    """A member of two workspaces."""
    user: User = member_of(tenant, Role.MEMBER)
    factories.MembershipFactory(user=user)
    return user


def audited(user: User) -> list[tuple[str, int | None, dict[str, Any]]]:
    """(action, actor, changes) of the user's rows, oldest first; the same in each workspace."""
    lines = [
        [(e.action, e.actor_id, e.changes) for e in rows]
        for tenant in user.tenants.all()
        if (rows := AuditEvent.objects.for_tenant(tenant).filter(subject_id=user.pk).order_by("pk"))
    ]
    assert all(one == lines[0] for one in lines)
    assert len(lines) in (0, user.tenants.count())
    return lines[0] if lines else []


def sign_in(user: User, password: str = PASSWORD, **extra: Any) -> Client:
    client = Client(**extra)
    client.post("/accounts/login/", {"login": user.email, "password": password})
    return client


def test_signing_in_and_out_is_recorded_with_the_address(ada: User) -> None:
    sign_in(ada, REMOTE_ADDR="203.0.113.5").post("/accounts/logout/")
    from_there = {"address": "203.0.113.5"}
    assert audited(ada) == [
        ("user.signed_in", ada.pk, from_there),
        ("user.signed_out", ada.pk, from_there),
    ]


def test_a_wrong_password_is_recorded_without_an_actor(ada: User) -> None:
    sign_in(ada, "wrong", REMOTE_ADDR="203.0.113.5")
    assert audited(ada) == [("user.signin_failed", None, {"address": "203.0.113.5"})]


def test_a_wrong_password_for_an_unknown_address_is_not_recorded(ada: User) -> None:
    sign_in(User(email="nobody@example.com"), "wrong")
    assert not AuditEvent.objects.exists()


def test_many_wrong_passwords_do_not_flood_the_log(ada: User) -> None:
    for n in range(FAILURES + 5):
        sign_in(ada, "wrong", REMOTE_ADDR=f"203.0.113.{n}")
    assert len(audited(ada)) == FAILURES


def test_a_wrong_code_is_recorded_without_an_actor(ada: User) -> None:
    """Whoever enters it has the password already."""
    factories.give_second_factor(ada)
    before = len(audited(ada))
    client = sign_in(ada, REMOTE_ADDR="203.0.113.5")
    client.post("/accounts/2fa/authenticate/", {"code": "000000"})
    expected = {"factor": "totp", "address": "203.0.113.5"}
    assert audited(ada)[before:] == [("user.factor_failed", None, expected)]


def test_many_wrong_codes_do_not_flood_the_log(ada: User) -> None:
    factories.give_second_factor(ada)
    before, client = len(audited(ada)), sign_in(ada)
    for _n in range(FAILURES - 1):
        hit(f"audit.factor:{ada.pk}", limit=FAILURES, window=WINDOW)
    for _n in range(3):
        client.post("/accounts/2fa/authenticate/", {"code": "000000"})
    assert len(audited(ada)) - before == 1


def test_a_changed_password_is_recorded(ada: User) -> None:
    form = {"oldpassword": PASSWORD, "password1": NEW, "password2": NEW}
    sign_in(ada).post("/accounts/password/change/", form)
    assert audited(ada)[-1] == ("user.password_changed", ada.pk, {"password": "changed"})


def test_a_reset_password_is_recorded(ada: User) -> None:
    client = Client()
    client.post("/accounts/password/reset/", {"email": ada.email})
    link = re.search(r"/accounts/password/reset/key/\S+", mail.outbox[-1].body)
    assert link is not None
    page = client.get(link[0], follow=True)
    client.post(page.request["PATH_INFO"], {"password1": NEW, "password2": NEW})
    ada.refresh_from_db()
    assert ada.check_password(NEW)
    assert ("user.password_changed", ada.pk, {"password": "changed"}) in audited(ada)


@pytest.mark.django_db(transaction=True)
def test_second_factors_are_recorded(ada: User, settings: Any) -> None:
    settings.MFA_TOTP_PERIOD = HOUR  # so that no code expires during the test
    client = sign_in(ada)
    confirm(client)
    page = client.get("/accounts/2fa/totp/activate/").content.decode()
    secret = re.search(r'id="totp-secret">(\w+)<', page)
    assert secret is not None
    client.post("/accounts/2fa/totp/activate/", {"code": code_of(secret[1])})
    client.post("/accounts/2fa/recovery-codes/generate/")
    client.post("/accounts/2fa/totp/deactivate/")
    lines = [(action, changes) for action, _actor, changes in audited(ada)]
    assert ("user.factor_added", {"factor": [None, "totp"]}) in lines
    assert ("user.factor_added", {"factor": [None, "recovery_codes"]}) in lines
    assert ("user.codes_renewed", {"recovery_codes": "changed"}) in lines
    assert ("user.factor_removed", {"factor": ["totp", None]}) in lines
    assert secret[1] not in str(lines)


def test_a_token_is_recorded_once_per_address(tenant: Any, api_for: Any) -> None:
    api = api_for(tenant, Role.VIEWER)
    for address in ("203.0.113.5", "203.0.113.5", "203.0.113.6", "203.0.113.5"):
        ApiToken.objects.update(last_used_at=None)  # stored at most once a minute
        assert api.get("/api/v1/setup", REMOTE_ADDR=address).status_code == 200
    audited = AuditEvent.objects.filter(action="token.used").order_by("pk")
    assert [event.changes["address"] for event in audited] == ["203.0.113.5", "203.0.113.6"]
    assert {event.actor_label for event in audited} == {ApiToken.objects.get().user.email}
