"""A user's own account: sessions, password, address, deletion."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core import mail
from django.test import Client

from delivr.audit.models import AuditEvent
from delivr.signin.sessions import KEY
from delivr.tenants.models import ApiToken, Membership, Role, Tenant, User
from delivr.tests import factories
from delivr.tests.factories import PASSWORD

pytestmark = pytest.mark.django_db
NEW = "another-long-password"


@pytest.fixture
def ada() -> User:
    return factories.UserFactory(email="ada@example.com")


def sign_in(user: User, agent: str = "Firefox", password: str = PASSWORD) -> Client:
    client = Client(headers={"user-agent": agent})
    client.post("/accounts/login/", {"login": user.email, "password": password})
    assert is_signed_in(client)
    return client


def is_signed_in(client: Client) -> bool:
    return client.get("/accounts/sessions/").status_code == 200


def confirm(client: Client) -> None:
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})


# --- Sessions -------------------------------------------------------------------------------------


def test_sessions_are_listed_with_the_current_one_marked(ada: User) -> None:
    sign_in(ada, "Phone")
    page = sign_in(ada, "Laptop").get("/accounts/sessions/").content.decode()
    rows = re.findall(r"<tr>.*?</tr>", page, re.DOTALL)[1:]
    assert ["This session" in row for row in rows if "Phone" in row] == [False]
    assert ["This session" in row for row in rows if "Laptop" in row] == [True]
    assert "127.0.0.1" in page


def test_sign_out_elsewhere_keeps_the_current_session(ada: User) -> None:
    here, there, strangers = sign_in(ada), sign_in(ada), sign_in(factories.UserFactory())
    here.post("/accounts/sessions/")
    assert [is_signed_in(c) for c in (here, there, strangers)] == [True, False, True]


def test_session_use_is_recorded_once_a_minute(ada: User, django_assert_num_queries: Any) -> None:
    client = sign_in(ada)
    client.get("/accounts/second-factor")
    with django_assert_num_queries(3):  # session, user, memberships
        client.get("/accounts/second-factor")
    session = client.session
    session[KEY] -= 61
    session.save()
    client.get("/accounts/second-factor", REMOTE_ADDR="203.0.113.7")
    assert "203.0.113.7" in client.get("/accounts/sessions/").content.decode()


# --- Password and address -------------------------------------------------------------------------


def test_new_password_ends_the_other_sessions(ada: User) -> None:
    here, there = sign_in(ada), sign_in(ada)
    sent = {"oldpassword": PASSWORD, "password1": NEW, "password2": NEW}
    here.post("/accounts/password/change/", sent)
    assert [is_signed_in(c) for c in (here, there)] == [True, False]
    assert mail.outbox[-1].subject.endswith("Your password was changed")
    sign_in(ada, password=NEW)


def test_reset_password_ends_every_session(ada: User) -> None:
    there = sign_in(ada)
    client = Client()
    client.post("/accounts/password/reset/", {"email": ada.email})
    link = re.search(r"https?://[^/\s]+(/\S+)", mail.outbox[-1].body)
    assert link
    form = client.get(link[1])["Location"]
    client.post(form, {"password1": NEW, "password2": NEW})
    assert not is_signed_in(there)
    sign_in(ada, password=NEW)


@pytest.mark.django_db(transaction=True)
def test_new_address_counts_once_confirmed_and_the_old_one_is_notified(ada: User) -> None:
    client = sign_in(ada)
    sent = {"email": "new@example.com", "action_add": ""}
    assert "reauthenticate" in client.post("/accounts/email/", sent)["Location"]
    assert not mail.outbox
    confirm(client)
    client.post("/accounts/email/", sent)
    ada.refresh_from_db()
    assert ada.email == "ada@example.com"
    message = mail.outbox[-1]
    assert message.to == ["new@example.com"]
    link = re.search(r"https?://[^/\s]+(/\S+)", message.body)
    assert link
    client.post(link[1])
    ada.refresh_from_db()
    assert ada.email == "new@example.com"
    assert [m.to for m in mail.outbox if "changed" in m.subject] == [["ada@example.com"]]


@pytest.mark.django_db(transaction=True)
def test_address_can_be_changed_with_a_second_factor(ada: User) -> None:
    client = sign_in(ada)
    factories.give_second_factor(ada)
    confirm(client)
    client.post("/accounts/email/", {"email": "new@example.com", "action_add": ""})
    assert mail.outbox[-1].to == ["new@example.com"]


def test_address_in_use_cannot_be_removed(ada: User) -> None:
    client = sign_in(ada)
    client.get("/accounts/email/")  # records it as not confirmed
    confirm(client)
    client.post("/accounts/email/", {"email": ada.email, "action_remove": ""})
    ada.refresh_from_db()
    assert ada.email == "ada@example.com"


# --- Deletion -------------------------------------------------------------------------------------


def test_account_is_deleted_with_all_its_data(tenant: Tenant, owner: User, api_for: Any) -> None:
    ada = factories.MembershipFactory(tenant=tenant, role=Role.ADMIN).user
    ApiToken.objects.create(
        tenant=tenant, user=ada, role=Role.ADMIN, expires_at="2099-01-01T00:00Z"
    )
    factories.give_second_factor(ada)
    email, client = ada.email, sign_in_with_factor(ada)
    confirm(client)
    client.post("/accounts/delete")
    assert not User.objects.filter(email=email).exists()
    assert not is_signed_in(client)
    assert not ApiToken.objects.exists()
    assert list(Membership.objects.values_list("user", flat=True)) == [owner.pk]
    event = AuditEvent.objects.get(action="member.deleted")
    assert (event.tenant_id, event.actor_label) == (tenant.pk, email)


def sign_in_with_factor(user: User) -> Client:
    return factories.sign_in(Client(), user)


def test_only_owner_cannot_leave(tenant: Tenant, owner: User) -> None:
    factories.MembershipFactory(tenant=tenant, role=Role.ADMIN)
    client = sign_in(owner)
    confirm(client)
    assert tenant.name in client.get("/accounts/delete").content.decode()
    client.post("/accounts/delete")
    assert User.objects.filter(pk=owner.pk).exists()
    assert not AuditEvent.objects.filter(action="member.deleted").exists()
    factories.MembershipFactory(tenant=tenant, role=Role.OWNER)
    client.post("/accounts/delete")
    assert not User.objects.filter(pk=owner.pk).exists()


def test_owner_who_cannot_sign_in_does_not_count_as_owner(ada: User) -> None:
    tenant = factories.MembershipFactory(user=ada, role=Role.OWNER).tenant
    locked = factories.MembershipFactory(tenant=tenant, role=Role.OWNER, user__is_active=False)
    client = sign_in(ada)
    confirm(client)
    assert tenant.name in client.get("/accounts/delete").content.decode()
    client.post("/accounts/delete")
    assert User.objects.filter(pk=ada.pk).exists()
    User.objects.filter(pk=locked.user_id).update(is_active=True)
    client.post("/accounts/delete")
    assert not User.objects.filter(pk=ada.pk).exists()
