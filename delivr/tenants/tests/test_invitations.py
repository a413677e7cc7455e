"""Invitations: made, mailed, opened, accepted once."""

import email
import email.policy
import json
import logging
import re
from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from django.core.exceptions import PermissionDenied, ValidationError
from django.test import Client
from django.utils import timezone

from delivr.audit.models import AuditEvent
from delivr.conflict import Conflict
from delivr.effects.models import Effect, EffectState
from delivr.effects.operations import retry_effect
from delivr.effects.runner import run_effect
from delivr.tenants import inviting
from delivr.tenants.inviting import MAILS_A_DAY, accept, invite, revoke, send_again
from delivr.tenants.membership import change_role, remove_member
from delivr.tenants.models import Invitation, Membership, Role, Tenant, User, hash_token
from delivr.tenants.tests.smtp import mail_server
from delivr.tests import factories

pytestmark = pytest.mark.django_db

ADA = "ada@example.com"
LINK = re.compile(r"http://127\.0\.0\.1:\d+(/accounts/invitations/([\w-]{43}))")
PASSWORD = {"new_password1": "correct-horse-battery", "new_password2": "correct-horse-battery"}
PAGE = "/accounts/invitation"


@pytest.fixture
def post_office(settings):
    with mail_server() as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
        yield server


@pytest.fixture
def invited(tenant, owner):
    return invite(tenant=tenant, email=ADA, role="MEMBER", actor=owner)


def run_mail(invitation):
    """Let the worker have its turn; the effect as it is then."""
    invitation.refresh_from_db()
    Effect.objects.filter(pk=invitation.mail_id).update(next_at=timezone.now())
    run_effect(invitation.mail_id)
    return Effect.objects.get(pk=invitation.mail_id)


def text_of(server, number=-1):
    message = email.message_from_string(server.taken[number], policy=email.policy.default)
    return message["To"], message["Subject"], message.get_content()


def link_in(server, number=-1):
    found = LINK.search(text_of(server, number)[2])
    assert found
    return found[1]


@pytest.fixture
def link(post_office, invited):
    run_mail(invited)
    return link_in(post_office)


# --- Inviting -------------------------------------------------------------------------------------


def test_invitation_promises_a_mail_and_sends_none_in_the_request(
    tenant, owner, post_office, client_for
):
    answer = client_for(owner).post(
        "/settings/invitations", {"email": "Ada@Example.com ", "role": "ADMIN"}
    )
    assert answer["Location"] == "/settings/"
    invitation = Invitation.objects.get()
    assert (invitation.email, invitation.role, invitation.inviter) == (ADA, "ADMIN", owner)
    assert invitation.expires_at - invitation.created_at > timedelta(days=6, hours=23)
    effect = Effect.objects.get()
    assert (effect.kind, effect.state) == ("mail.send", EffectState.PENDING)
    assert effect.payload == {"invitation": invitation.pk}
    assert not post_office.taken
    assert AuditEvent.objects.get().action == "invitation.created"


def test_mail_names_workspace_role_inviter_and_link(tenant, owner, invited, post_office):
    assert run_mail(invited).state == EffectState.DONE
    to, subject, body = text_of(post_office)
    assert to == ADA
    assert tenant.name in subject
    for word in (owner.email, tenant.name, "Member"):
        assert word in body


def test_secret_of_the_link_is_in_the_mail_alone(tenant, invited, link):
    secret = link.rsplit("/", 1)[1]
    from django.apps import apps

    rows = [
        list(model._base_manager.values())
        for model in apps.get_models()
        if model._meta.managed and model._base_manager.exists()
    ]
    text = json.dumps(rows, default=str)
    assert hash_token(secret) in text
    assert secret not in text


@pytest.mark.parametrize(
    "address", ["", "x", "x@", "a b@example.com", "a\nb@example.com", "x" * 300]
)
def test_wrong_address_is_refused_beside_its_field(tenant, owner, client_for, address):
    client = client_for(owner)
    answer = client.post("/settings/invitations", {"email": address, "role": "MEMBER"})
    assert list(answer.context["form"].errors) == ["email"]
    with pytest.raises(ValidationError):
        invite(tenant=tenant, email=address, role="MEMBER", actor=owner)
    assert not Invitation.objects.exists()
    assert not Effect.objects.exists()


def test_every_complaint_at_once(tenant, owner):
    with pytest.raises(ValidationError) as refused:
        invite(tenant=tenant, email="x", role="KING", actor=owner)
    assert set(refused.value.message_dict) == {"email", "role"}


def test_member_and_invited_are_not_invited_again(tenant, owner, invited):
    for address in (owner.email.upper(), ADA.upper()):
        with pytest.raises(ValidationError):
            invite(tenant=tenant, email=address, role="VIEWER", actor=owner)
    assert Invitation.objects.count() == 1


def test_another_workspace_may_invite_the_same(stranger, invited):
    other = stranger.memberships.get().tenant
    assert invite(tenant=other, email=ADA, role="VIEWER", actor=stranger).tenant == other


def test_addresses_cannot_be_written_to_at_will(tenant, owner):
    for number in range(MAILS_A_DAY):
        invite(tenant=tenant, email=f"x{number}@example.com", role="VIEWER", actor=owner)
    with pytest.raises(ValidationError):
        invite(tenant=tenant, email="one-more@example.com", role="VIEWER", actor=owner)
    Effect.objects.update(state=EffectState.DONE)
    with pytest.raises(Conflict):
        send_again(invitation=Invitation.objects.first(), actor=owner)
    assert Effect.objects.count() == MAILS_A_DAY


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MEMBER, Role.ADMIN])
def test_owners_alone_invite_send_and_revoke(tenant, invited, member_of, client_for, role):
    actor = member_of(tenant, role)
    client = client_for(actor)
    paths = ["", f"/{invited.pk}/send", f"/{invited.pk}/revoke"]
    for path in paths:
        answer = client.post(f"/settings/invitations{path}", {"email": "x@example.com"})
        assert answer.status_code == 403
    with pytest.raises(PermissionDenied):
        invite(tenant=tenant, email="x@example.com", role="VIEWER", actor=actor)
    assert list(Invitation.objects.unsettled()) == [invited]
    assert ADA in client.get("/settings/").content.decode()


def test_stranger_finds_no_invitation(stranger, client_for, invited):
    client = client_for(stranger)
    for key in (invited.pk, "inv_unknown"):
        for act in ("send", "revoke"):
            assert client.post(f"/settings/invitations/{key}/{act}").status_code == 404
    assert ADA not in client.get("/settings/").content.decode()
    invited.refresh_from_db()
    assert invited.is_live


# --- The mail -------------------------------------------------------------------------------------


def state_shown(client):
    return client.get("/settings/").context["invitations"][0].state


def test_state_of_the_mail_is_shown(tenant, owner, invited, post_office, client_for):
    client = client_for(owner)
    assert state_shown(client) == "PENDING"
    assert "Send again" not in client.get("/settings/").content.decode()
    run_mail(invited)
    assert state_shown(client) == "DONE"
    assert "Send again" in client.get("/settings/").content.decode()


def test_refused_address_is_shown_with_what_to_do(owner, invited, post_office, client_for):
    post_office.behaviour = ["refuse"]
    effect = run_mail(invited)
    assert (effect.state, effect.last_error_code) == (EffectState.DEAD, "mail_refused")
    html = client_for(owner).get("/settings/").content.decode()
    assert "refused this address (550)" in html
    assert "Send again" in html


@pytest.mark.parametrize("how", ["busy", "later"])
def test_what_passes_is_tried_again(invited, post_office, how):
    post_office.behaviour = [how]
    effect = run_mail(invited)
    assert (effect.state, effect.dispatched_at) == (EffectState.PENDING, None)
    assert run_mail(invited).state == EffectState.DONE
    assert len(post_office.taken) == 1


def test_server_that_is_away_is_tried_again(invited, post_office, settings):
    settings.EMAIL_PORT = 1
    effect = run_mail(invited)
    assert (effect.state, effect.last_error_code) == (EffectState.PENDING, "mail_server")


@pytest.mark.parametrize("how", ["hang_up", "hang_up_after"])
def test_lost_answer_goes_to_a_person_and_is_not_sent_twice(invited, owner, post_office, how):
    post_office.behaviour = [how]
    assert run_mail(invited).state == EffectState.PENDING
    effect = run_mail(invited)
    assert (effect.state, effect.last_error_code) == (EffectState.DEAD, "cannot_correlate")
    assert len(post_office.taken) == (1 if how == "hang_up_after" else 0)
    send_again(invitation=invited, actor=owner)
    assert run_mail(invited).state == EffectState.DONE


def test_mail_is_not_sent_for_what_was_revoked_meanwhile(invited, owner, post_office):
    Invitation.objects.update(revoked_at=timezone.now())
    assert run_mail(invited).state == EffectState.CANCELLED
    assert not post_office.taken


def test_revoking_stops_the_mail(invited, owner, post_office):
    revoke(invitation=invited, actor=owner)
    assert run_mail(invited).state == EffectState.CANCELLED
    assert not post_office.taken


def test_workspace_name_cannot_forge_headers(tenant, owner, post_office):
    Tenant.objects.filter(pk=tenant.pk).update(name="Acme\nBcc: victim@example.com")
    invitation = invite(tenant=tenant, email=ADA, role="MEMBER", actor=owner)
    assert run_mail(invitation).state == EffectState.DONE
    message = email.message_from_string(post_office.taken[0], policy=email.policy.default)
    assert message["Bcc"] is None
    assert "Acme Bcc:" in message["Subject"]


def test_send_again_makes_a_new_link_and_ends_the_old(invited, owner, post_office, link, client):
    Invitation.objects.update(expires_at=timezone.now() - timedelta(days=1))
    send_again(invitation=invited, actor=owner)
    run_mail(invited)
    assert link_in(post_office) != link
    assert client.get(link, follow=True).status_code == 404
    assert client.get(link_in(post_office), follow=True).status_code == 200
    assert AuditEvent.objects.filter(action="invitation.sent_again").count() == 1


def test_send_again_while_one_is_on_its_way_is_refused(invited, owner):
    with pytest.raises(Conflict) as refused:
        send_again(invitation=invited, actor=owner)
    assert refused.value.code == "on_its_way"
    assert Effect.objects.count() == 1


def test_dead_mail_may_be_retried_in_the_ledger(invited, owner, post_office):
    post_office.behaviour = ["refuse"]
    retry_effect(effect=run_mail(invited), actor=owner)
    assert run_mail(invited).state == EffectState.DONE


# --- The link -------------------------------------------------------------------------------------


def test_link_leaves_its_secret_behind(client, link):
    answer = client.get(link)
    assert (answer.status_code, answer["Location"]) == (302, PAGE)
    assert answer["Referrer-Policy"] == "no-referrer"
    assert "no-store" in answer["Cache-Control"]
    secret = link.rsplit("/", 1)[1]
    assert secret not in str(client.session.items())
    assert secret not in client.get(PAGE).content.decode()


def test_log_never_tells_a_link(caplog, settings):
    from delivr.logs import HideLinks

    secret = "s" * 43
    args = ("Service Unavailable", f"/accounts/invitations/{secret}")
    record = logging.LogRecord("django.request", 40, "", 0, "%s: %s", args, None)
    assert HideLinks().filter(record)
    assert record.getMessage() == "Service Unavailable: /accounts/invitations/…"
    assert settings.LOGGING["handlers"]["console"]["filters"] == ["hide_links"]


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
def test_senseless_password_makes_no_account(client, link, password):
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


def test_stranger_cannot_make_an_account_that_is_there(client, link):
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


def test_member_who_opens_the_link_goes_in(tenant, invited, link, client_for):
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


def test_account_that_somebody_else_made_for_the_address_gains_nothing(
    client, tenant, link, client_for
):
    """Without mail, anybody may sign up with the invited address: the link is what proves it."""
    impostor = factories.UserFactory(email=ADA)
    theirs = client_for(impostor)
    assert theirs.get(PAGE).status_code == theirs.post(PAGE).status_code == 404
    client.get(link)
    assert client.post(PAGE, PASSWORD).status_code == 200  # asks to sign in
    assert theirs.post(PAGE).status_code == 404
    assert not impostor.memberships.exists()
