"""The link of an invitation: who can use it, once, and that it never leaks."""

import logging

import pytest
from allauth.account.models import EmailAddress
from django.test import Client
from django.utils import timezone

from delivr.audit.models import AuditEvent
from delivr.failures import Conflict
from delivr.tenants import inviting
from delivr.tenants.inviting import accept, invite, revoke
from delivr.tenants.membership import change_role, remove_member
from delivr.tenants.models import Invitation, Membership, Role, User
from delivr.tenants.tests.post import ADA, link_in, run_mail
from delivr.tests import factories

pytestmark = pytest.mark.django_db

PASSWORD = {"new_password1": "correct-horse-battery", "new_password2": "correct-horse-battery"}
PAGE = "/accounts/invitation"


def test_secret_of_the_link_is_only_in_the_first_url(client, link):
    answer = client.get(link)
    assert (answer.status_code, answer["Location"]) == (302, PAGE)
    assert answer["Referrer-Policy"] == "no-referrer"
    assert "no-store" in answer["Cache-Control"]
    secret = link.rsplit("/", 1)[1]
    assert secret not in str(client.session.items())
    assert secret not in client.get(PAGE).content.decode()


def test_log_never_contains_a_link(caplog, settings):
    from delivr.security.hiding import HideLinks

    secret = "s" * 43
    args = ("Service Unavailable", f"/accounts/invitations/{secret}")
    record = logging.LogRecord("django.request", 40, "", 0, "%s: %s", args, None)
    assert HideLinks().filter(record)
    assert record.getMessage() == "Service Unavailable: /accounts/invitations/…"
    assert "hide_links" in settings.LOGGING["handlers"]["console"]["filters"]


def test_new_user_joins_without_a_workspace_of_their_own(client, tenant, owner, invited, link):
    html = client.get(link, follow=True).content.decode()
    for word in (tenant.name, "Member", owner.email, ADA):
        assert word in html
    answer = client.post(PAGE, PASSWORD, follow=True)
    assert f"Welcome to {tenant.name}." in answer.content.decode()
    user = User.objects.get(email=ADA)
    assert user.check_password(PASSWORD["new_password1"])
    assert [(m.tenant, m.role) for m in user.memberships.all()] == [(tenant, "MEMBER")]
    address = EmailAddress.objects.get(user=user)
    assert (address.email, address.verified, address.primary) == (ADA, True, True)
    assert answer.wsgi_request.user == user
    event = AuditEvent.objects.get(action="member.joined")
    assert (event.actor_label, event.changes["inviter"]) == (ADA, [None, owner.email])


@pytest.mark.parametrize(
    "password",
    [
        {},
        {"new_password1": "correct-horse-battery", "new_password2": "another-horse-battery"},
        {"new_password1": "short", "new_password2": "short"},
        {"new_password1": "ada@example.com", "new_password2": "ada@example.com"},
    ],
)
def test_invalid_password_creates_no_account(client, link, password):
    client.get(link)
    answer = client.post(PAGE, password)
    assert answer.context["form"].errors
    assert not User.objects.filter(email=ADA).exists()
    assert Invitation.objects.get().is_live


def test_signed_in_user_confirms(tenant, link, client_for):
    user = factories.UserFactory(email=ADA)
    client = client_for(user)
    assert "Accept the invitation" in client.get(link, follow=True).content.decode()
    assert not user.memberships.exists()
    answer = client.post(PAGE, follow=True)
    assert answer.wsgi_request.tenant == tenant
    assert user.memberships.get().role == Role.MEMBER


def test_accepting_enters_the_new_workspace(tenant, link, client_for):
    membership = factories.MembershipFactory(user=factories.UserFactory(email=ADA))
    client = client_for(membership.user)
    client.get(link)
    client.post(PAGE)
    assert client.get("/settings/").wsgi_request.tenant == tenant


def test_user_who_is_signed_out_signs_in_first(client, link):
    factories.UserFactory(email=ADA)
    html = client.get(link, follow=True).content.decode()
    assert "/accounts/login/?next=/accounts/invitation" in html
    sign_in = {"login": ADA, "password": factories.PASSWORD, "next": PAGE}
    answer = client.post("/accounts/login/", sign_in, follow=True)
    assert "Accept the invitation" in answer.content.decode()


def test_existing_account_cannot_be_created_again(client, link):
    user = factories.UserFactory(email=ADA)
    client.get(link)
    client.post(PAGE, PASSWORD)
    user.refresh_from_db()
    assert user.check_password(factories.PASSWORD)
    assert not user.memberships.exists()


def test_signed_in_as_another_address_is_explained(link, client_for):
    other = factories.UserFactory()
    client = client_for(other)
    html = client.get(link, follow=True).content.decode()
    assert "for another address" in html
    assert other.email in html
    client.post(PAGE)
    assert not other.memberships.exists()
    answer = client.post("/accounts/invitation/sign-out", follow=True)
    assert "Choose a password" in answer.content.decode()
    assert not answer.wsgi_request.user.is_authenticated


def used(invited, link, owner):
    Client().get(link)
    accept(invitation=invited, user=factories.UserFactory(email=ADA))


def expired(invited, link, owner):
    Invitation.objects.update(expires_at=timezone.now())


def revoked(invited, link, owner):
    revoke(invitation=invited, actor=owner)


def of_a_demoted_owner(invited, link, owner):
    other = factories.MembershipFactory(tenant=invited.tenant, role=Role.OWNER)
    membership = Membership.objects.get(user=owner, tenant=invited.tenant)
    change_role(membership=membership, role="ADMIN", actor=other.user)


@pytest.mark.parametrize("how", [used, expired, revoked, of_a_demoted_owner])
@pytest.mark.parametrize("opened", ["before", "after"])
def test_dead_link_lets_nobody_in(client, invited, link, owner, how, opened):
    if opened == "before":
        client.get(link)
    how(invited, link, owner)
    users, members = User.objects.count(), Membership.objects.count()
    answers = [client.get(link, follow=True)] if opened == "after" else []
    answers += [client.get(PAGE), client.post(PAGE, PASSWORD)]
    for answer in answers:
        assert answer.status_code == 404
        assert "This invitation cannot be used" in answer.content.decode()
    assert (User.objects.count(), Membership.objects.count()) == (users, members)


@pytest.mark.parametrize("secret", ["x", "A" * 43, "%00", "..", "é", "x" * 3000])
def test_forged_link_gets_the_same_page(client, link, secret):
    answer = client.get(f"/accounts/invitations/{secret}", follow=True)
    assert answer.status_code == 404
    assert "This invitation cannot be used" in answer.content.decode()


def test_invitation_without_a_sent_mail_has_no_link(client, invited):
    assert client.get("/accounts/invitations/", follow=True).status_code == 404
    assert client.get(PAGE).status_code == 404
    assert inviting.Invitation.objects.find("") is None


def test_link_opened_twice_uses_nothing_up(client, link):
    Client().get(link)
    assert client.get(link, follow=True).status_code == 200


def test_member_who_opens_the_link_enters_the_workspace(tenant, invited, link, client_for):
    user = factories.UserFactory(email=ADA)
    factories.MembershipFactory(tenant=tenant, user=user)
    assert client_for(user).get(link)["Location"] == PAGE
    with pytest.raises(Conflict):
        accept(invitation=invited, user=user)


def test_removed_member_may_be_invited_again(tenant, owner, invited, post_office, client_for):
    user = factories.UserFactory(email=ADA)
    run_mail(invited)
    accept(invitation=invited, user=user)
    remove_member(membership=Membership.objects.get(user=user), actor=owner)
    again = invite(tenant=tenant, email=ADA, role="VIEWER", actor=owner)
    run_mail(again)
    client = client_for(user)
    client.get(link_in(post_office))
    client.post(PAGE)
    assert user.memberships.get().role == "VIEWER"


def test_account_that_somebody_else_created_for_the_address_gains_nothing(
    client, tenant, link, client_for
):
    """Without mail, anybody may sign up with the invited address: only the link proves it."""
    impostor = factories.UserFactory(email=ADA)
    theirs = client_for(impostor)
    assert theirs.get(PAGE).status_code == theirs.post(PAGE).status_code == 404
    client.get(link)
    assert client.post(PAGE, PASSWORD).status_code == 200  # the page asks to sign in
    assert theirs.post(PAGE).status_code == 404
    assert not impostor.memberships.exists()
