"""Inviting, and the mail that an invitation creates."""

import email
import email.policy
import json
from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import timezone

from delivr.audit.models import AuditEvent
from delivr.effects.models import Effect, EffectState
from delivr.effects.operations import retry_effect
from delivr.failures import Conflict
from delivr.tenants.inviting import MAILS_A_DAY, invite, revoke, send_again
from delivr.tenants.models import Invitation, Role, Tenant, hash_token
from delivr.tenants.tests.post import ADA, link_in, run_mail, text_of

pytestmark = pytest.mark.django_db


# --- Inviting ------------------------------------------------------------------------------------


def test_invitation_creates_an_effect_and_sends_no_mail_in_the_request(
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


def test_secret_of_the_link_is_only_in_the_mail(tenant, invited, link):
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


def test_all_errors_are_reported_at_once(tenant, owner):
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


def test_invitations_per_day_are_limited(tenant, owner):
    for number in range(MAILS_A_DAY):
        invite(tenant=tenant, email=f"x{number}@example.com", role="VIEWER", actor=owner)
    with pytest.raises(ValidationError):
        invite(tenant=tenant, email="one-more@example.com", role="VIEWER", actor=owner)
    Effect.objects.update(state=EffectState.DONE)
    with pytest.raises(Conflict):
        send_again(invitation=Invitation.objects.first(), actor=owner)
    assert Effect.objects.count() == MAILS_A_DAY


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MEMBER, Role.ADMIN])
def test_only_owners_invite_send_and_revoke(tenant, invited, member_of, client_for, role):
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


# --- The mail ------------------------------------------------------------------------------------


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
def test_temporary_failure_is_retried(invited, post_office, how):
    post_office.behaviour = [how]
    effect = run_mail(invited)
    assert (effect.state, effect.dispatched_at) == (EffectState.PENDING, None)
    assert run_mail(invited).state == EffectState.DONE
    assert len(post_office.taken) == 1


def test_unreachable_server_is_retried(invited, post_office, settings):
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


def test_mail_of_a_revoked_invitation_is_not_sent(invited, owner, post_office):
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
