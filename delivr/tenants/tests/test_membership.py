"""Roles, removal and leaving, as operations and on the page; an owner always remains."""

import pytest
from django.core.exceptions import PermissionDenied, ValidationError

from delivr.audit.models import AuditEvent
from delivr.failures import Conflict
from delivr.tenants.inviting import invite
from delivr.tenants.membership import change_role, leave, remove_member
from delivr.tenants.models import ApiToken, Invitation, Membership, Role
from delivr.tenants.operations import create_token
from delivr.tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def boss(owner, client_for):
    return client_for(owner)


@pytest.fixture
def member(tenant):
    return factories.MembershipFactory(tenant=tenant, role=Role.MEMBER)


def mine(user, tenant):
    return Membership.objects.select_related("user", "tenant").get(user=user, tenant=tenant)


def second_owner(tenant):
    return factories.MembershipFactory(tenant=tenant, role=Role.OWNER)


# --- Operations -----------------------------------------------------------------------------------


def test_role_change_is_audited(tenant, owner, member):
    change_role(membership=member, role="ADMIN", actor=owner)
    member.refresh_from_db()
    assert member.role == Role.ADMIN
    event = AuditEvent.objects.get(action="member.changed")
    assert (event.actor_label, event.changes) == (owner.email, {"role": ["MEMBER", "ADMIN"]})


def test_same_role_again_is_not_audited(owner, member):
    change_role(membership=member, role="MEMBER", actor=owner)
    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize("role", ["", "KING", "owner"])
def test_unknown_role_is_refused(owner, member, role):
    with pytest.raises(ValidationError) as refused:
        change_role(membership=member, role=role, actor=owner)
    assert list(refused.value.message_dict) == ["role"]
    member.refresh_from_db()
    assert member.role == Role.MEMBER


@pytest.mark.parametrize("role", [Role.ADMIN, Role.MEMBER, Role.VIEWER])
def test_former_owner_cannot_change_members(tenant, owner, member, member_of, role):
    actor = member_of(tenant, role)
    with pytest.raises(PermissionDenied):
        change_role(membership=member, role="OWNER", actor=actor)
    with pytest.raises(PermissionDenied):
        remove_member(membership=member, actor=actor)
    member.refresh_from_db()
    assert member.role == Role.MEMBER


@pytest.mark.parametrize("act", ["demote", "remove", "leave"])
def test_last_owner_stays(tenant, owner, member, act):
    membership = mine(owner, tenant)
    doing = {
        "demote": lambda: change_role(membership=membership, role="ADMIN", actor=owner),
        "remove": lambda: remove_member(membership=membership, actor=owner),
        "leave": lambda: leave(membership=membership),
    }
    with pytest.raises(Conflict) as refused:
        doing[act]()
    assert refused.value.code == "last_owner"
    assert mine(owner, tenant).role == Role.OWNER
    assert not AuditEvent.objects.exists()


def test_an_owner_who_cannot_sign_in_does_not_count(tenant, owner):
    other = second_owner(tenant)
    other.user.is_active = False
    other.user.save()
    with pytest.raises(Conflict):
        leave(membership=mine(owner, tenant))


def test_change_of_a_member_who_left_is_refused(owner, member):
    Membership.objects.filter(pk=member.pk).delete()
    with pytest.raises(Conflict) as refused:
        remove_member(membership=member, actor=owner)
    assert refused.value.code == "gone"


def test_one_of_two_owners_may_go(tenant, owner):
    second_owner(tenant)
    leave(membership=mine(owner, tenant))
    assert not Membership.objects.filter(user=owner, tenant=tenant).exists()
    assert AuditEvent.objects.get().action == "member.left"


def test_removal_only_ends_tokens_of_this_tenant(tenant, owner, member):
    elsewhere = factories.MembershipFactory(user=member.user).tenant
    _t, text = create_token(tenant=tenant, user=member.user, role="VIEWER")
    _t, other = create_token(tenant=elsewhere, user=member.user, role="VIEWER")
    _t, owners = create_token(tenant=tenant, user=owner, role="VIEWER")
    remove_member(membership=member, actor=owner)
    assert ApiToken.objects.find(text) is None
    assert ApiToken.objects.find(other) is not None
    assert ApiToken.objects.find(owners) is not None
    actions = set(AuditEvent.objects.for_tenant(tenant).values_list("action", flat=True))
    assert {"member.removed", "token.revoked"} <= actions


def test_token_stays_revoked_when_its_user_is_added_again(tenant, owner, member):
    _t, text = create_token(tenant=tenant, user=member.user, role="VIEWER")
    remove_member(membership=member, actor=owner)
    factories.MembershipFactory(tenant=tenant, user=member.user)
    assert ApiToken.objects.find(text) is None


@pytest.mark.parametrize("act", ["demote", "remove", "leave"])
def test_invitations_end_with_the_inviters_role(tenant, owner, act):
    other = second_owner(tenant)
    sent = invite(tenant=tenant, email="x@example.com", role="OWNER", actor=other.user)
    kept = invite(tenant=tenant, email="y@example.com", role="OWNER", actor=owner)
    if act == "demote":
        change_role(membership=other, role="ADMIN", actor=owner)
    elif act == "remove":
        remove_member(membership=other, actor=owner)
    else:
        leave(membership=mine(other.user, tenant))
    assert list(Invitation.objects.unsettled()) == [kept]
    sent.refresh_from_db()
    assert sent.revoked_at is not None


# --- What counts from the next request on ---------------------------------------------------------


def test_role_counts_from_the_next_request_on(tenant, owner, member, client_for):
    client = client_for(member.user)
    assert client.get("/settings/tokens").status_code == 403
    change_role(membership=member, role="OWNER", actor=owner)
    assert client.get("/settings/tokens").status_code == 200
    change_role(membership=member, role="VIEWER", actor=owner)
    assert client.get("/settings/tokens").status_code == 403


def test_role_of_the_member_limits_the_token_at_once(tenant, owner, member_of, api_for):
    client = api_for(tenant, Role.ADMIN)
    assert client.post("/api/v1/effects/eff_x/retry").status_code == 404
    membership = Membership.objects.exclude(user=owner).get(tenant=tenant)
    change_role(membership=membership, role="MEMBER", actor=owner)
    assert client.post("/api/v1/effects/eff_x/retry").status_code == 403


def test_removed_member_sees_nothing_with_the_next_request(tenant, owner, member, client_for):
    client = client_for(member.user)
    elsewhere = factories.MembershipFactory(user=member.user).tenant
    client.post("/settings/switch", {"tenant": tenant.pk})
    remove_member(membership=member, actor=owner)
    assert client.get("/settings/").wsgi_request.tenant == elsewhere


def test_removal_from_the_only_workspace_signs_out(tenant, owner, member, client_for):
    client, other = client_for(member.user), client_for(member.user)
    for each in (client, other):
        session = each.session
        session.pop("seen", None)
        session.save()
        assert each.get("/settings/").status_code == 200
    remove_member(membership=member, actor=owner)
    for each in (client, other):
        assert each.get("/settings/")["Location"].startswith("/accounts/login/")


# --- The page -------------------------------------------------------------------------------------


def page(client):
    return client.get("/settings/").content.decode().partition("<main")[2]


def test_owner_changes_a_role(boss, member):
    answer = boss.post(f"/settings/members/{member.public_id}/role", {"role": "ADMIN"}, follow=True)
    assert "was changed" in answer.content.decode()
    member.refresh_from_db()
    assert member.role == Role.ADMIN


def test_owner_removes_a_member(boss, member):
    boss.post(f"/settings/members/{member.public_id}/remove")
    assert not Membership.objects.filter(pk=member.pk).exists()


@pytest.mark.parametrize("act", ["role", "remove"])
def test_last_owner_is_refused_with_a_reason(boss, tenant, owner, act):
    path = f"/settings/members/{mine(owner, tenant).public_id}/{act}"
    answer = boss.post(path, {"role": "VIEWER"}, follow=True)
    assert "A workspace needs an owner" in answer.content.decode()
    assert mine(owner, tenant).role == Role.OWNER


def test_last_owner_has_no_button_to_leave(boss, tenant, owner):
    html = page(boss)
    assert "The only owner cannot leave." in html
    assert "/settings/leave" not in html
    second_owner(tenant)
    assert "/settings/leave" in page(boss)


def test_invalid_role_is_reported(boss, member):
    path = f"/settings/members/{member.public_id}/role"
    assert "Choose one of" in boss.post(path, {"role": "x"}, follow=True).content.decode()


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MEMBER, Role.ADMIN])
def test_other_roles_have_no_buttons_and_are_refused(
    tenant, owner, member, member_of, client_for, role
):
    client = client_for(member_of(tenant, role))
    html = page(client)
    assert "/role" not in html
    assert "/remove" not in html
    assert "/settings/invitations" not in html
    assert "Owners invite members" in html
    for path in (f"members/{member.public_id}/role", f"members/{member.public_id}/remove"):
        assert client.post(f"/settings/{path}", {"role": "OWNER"}).status_code == 403
    member.refresh_from_db()
    assert member.role == Role.MEMBER


def test_stranger_finds_nobody(stranger, client_for, member):
    client = client_for(stranger)
    for act in ("role", "remove"):
        for key in (member.public_id, "mem_unknown"):
            answer = client.post(f"/settings/members/{key}/{act}", {"role": "VIEWER"})
            assert answer.status_code == 404
    member.refresh_from_db()
    assert member.role == Role.MEMBER


def test_viewer_leaves(tenant, owner, member_of, client_for):
    user = member_of(tenant, Role.VIEWER)
    client = client_for(user)
    answer = client.post("/settings/leave", follow=True)
    assert f"You left {tenant.name}." in answer.content.decode()
    assert answer.redirect_chain[-1][0] == "/settings/new-workspace"


def test_many_members_and_invitations_cost_no_more_queries(
    boss, tenant, owner, django_assert_max_num_queries
):
    for number in range(20):
        factories.MembershipFactory(tenant=tenant)
        invite(tenant=tenant, email=f"x{number}@example.com", role="VIEWER", actor=owner)
    boss.get("/settings/")
    with django_assert_max_num_queries(9):
        assert "x19@example.com" in boss.get("/settings/").content.decode()
