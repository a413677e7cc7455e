"""Members, invitations and tokens over the API."""

import re

import pytest

from delivr.effects.models import Effect
from delivr.tenants.inviting import invite
from delivr.tenants.models import ApiToken, Invitation, Membership, Role
from delivr.tenants.operations import create_token
from delivr.tests import factories

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]

API = "/api/v1"
ADA = "ada@example.com"
PUBLISHED = re.compile(r"dlv_[A-Za-z0-9]{8}_[A-Za-z0-9_-]{43}")  # as in docs/api.md


@pytest.fixture
def api(api_for, tenant):
    return api_for(tenant, Role.OWNER)


@pytest.fixture
def member(tenant):
    return factories.MembershipFactory(tenant=tenant, role=Role.MEMBER)


# --- Members --------------------------------------------------------------------------------------


def test_members_are_listed_for_all_of_the_workspace(api_for, tenant, member):
    answer = api_for(tenant, Role.VIEWER).get(f"{API}/members").json()
    [row] = [r for r in answer["results"] if r["email"] == member.user.email]
    assert set(row) == {"id", "email", "role", "createdAt"}
    assert (row["id"], row["role"]) == (member.public_id, "MEMBER")
    assert row["id"].startswith("mem_")


def test_role_is_changed_and_member_removed(api, member):
    path = f"{API}/members/{member.public_id}"
    assert api.patch(path, {"role": "ADMIN"}).json()["role"] == "ADMIN"
    assert api.delete(path).status_code == 204
    assert api.delete(path).status_code == 404
    assert not Membership.objects.filter(pk=member.pk).exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [({"role": "KING"}, "role"), ({"role": None}, "role"), ({"tenant": "x"}, "tenant")],
)
def test_invalid_change_is_a_400(api, member, body, field):
    answer = api.patch(f"{API}/members/{member.public_id}", body)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])


def test_last_owner_is_a_409(api, tenant):
    owner = Membership.objects.get(tenant=tenant)
    for answer in (
        api.patch(f"{API}/members/{owner.public_id}", {"role": "VIEWER"}),
        api.delete(f"{API}/members/{owner.public_id}"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "last_owner")
    owner.refresh_from_db()
    assert owner.role == Role.OWNER


# --- Invitations ----------------------------------------------------------------------------------


def test_invitation_is_created_listed_and_revoked(api, tenant):
    answer = api.post(f"{API}/invitations", {"email": "Ada@example.com", "role": "ADMIN"})
    assert answer.status_code == 201
    made = answer.json()
    assert (made["email"], made["role"], made["mailState"]) == (ADA, "ADMIN", "PENDING")
    assert made["id"].startswith("inv_")
    assert api.get(f"{API}/invitations").json()["results"] == [made]
    assert (
        api.get(f"{API}/effects?kind=mail.send").json()["results"][0]["id"] == made["mailEffectId"]
    )
    assert api.delete(f"{API}/invitations/{made['id']}").status_code == 204
    assert api.delete(f"{API}/invitations/{made['id']}").status_code == 204
    assert api.get(f"{API}/invitations").json()["results"] == []


def test_invitation_names_every_problem(api):
    answer = api.post(f"{API}/invitations", {"email": "x", "role": "KING", "more": 1})
    assert answer.status_code == 400
    assert set(answer.json()["errors"]) == {"email", "role", "more"}
    assert not Invitation.objects.exists()


@pytest.mark.parametrize("body", [{}, {"email": 7}, {"email": None, "role": []}, [], "x"])
def test_odd_bodies_are_400s(api, body):
    assert api.post(f"{API}/invitations", body).status_code == 400
    assert api.post(f"{API}/tokens", body).status_code == 400


def test_same_key_invites_once(api):
    body, key = {"email": ADA, "role": "VIEWER"}, {"HTTP_IDEMPOTENCY_KEY": "k"}
    first = api.post(f"{API}/invitations", body, **key)
    again = api.post(f"{API}/invitations", body, **key)
    assert (first.json(), again["Idempotent-Replayed"]) == (again.json(), "true")
    assert Effect.objects.count() == 1


def test_invitation_is_sent_again_unless_it_is_on_its_way(api, tenant):
    made = api.post(f"{API}/invitations", {"email": ADA, "role": "VIEWER"}).json()
    path = f"{API}/invitations/{made['id']}/send"
    assert (api.post(path).status_code, api.post(path).json()["code"]) == (409, "on_its_way")
    Effect.objects.update(state="DONE")
    answer = api.post(path)
    assert (answer.status_code, answer.json()["mailState"]) == (202, "PENDING")
    assert Effect.objects.count() == 2


# --- Tokens ---------------------------------------------------------------------------------------


def test_token_is_shown_once_works_and_ends(api, tenant, client):
    answer = api.post(f"{API}/tokens", {"name": "CI", "role": "VIEWER", "expiresInDays": 30})
    assert (answer.status_code, answer["Cache-Control"]) == (201, "no-store")
    made = answer.json()
    assert PUBLISHED.fullmatch(made["token"])
    assert made["id"].startswith("tok_")
    bearer = {"HTTP_AUTHORIZATION": f"Bearer {made['token']}"}
    assert client.get(f"{API}/members", **bearer).status_code == 200
    listed = api.get(f"{API}/tokens")
    assert made["id"] in {row["id"] for row in listed.json()["results"]}
    assert made["token"] not in listed.content.decode()
    assert api.delete(f"{API}/tokens/{made['id']}").status_code == 204
    assert client.get(f"{API}/members", **bearer).status_code == 401


def test_every_token_has_the_published_form(tenant, owner):
    for _ in range(50):
        assert PUBLISHED.fullmatch(create_token(tenant=tenant, user=owner, role="VIEWER")[1])


@pytest.mark.parametrize("days", [0, 366, -1, "x", 1.5])
def test_lifetime_of_a_token_is_bounded(api, days):
    answer = api.post(f"{API}/tokens", {"role": "VIEWER", "expiresInDays": days})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["expiresInDays"])
    assert ApiToken.objects.count() == 1


def test_token_names_every_problem(api):
    answer = api.post(f"{API}/tokens", {"role": "KING", "expiresInDays": 0, "more": 1})
    assert set(answer.json()["errors"]) == {"role", "expiresInDays", "more"}


# --- Who may --------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MEMBER, Role.ADMIN])
def test_only_owners_see_and_change_tokens(api_for, tenant, owner, member, role):
    invited = invite(tenant=tenant, email=ADA, role="VIEWER", actor=owner)
    token, _text = create_token(tenant=tenant, user=owner, role="VIEWER")
    api = api_for(tenant, role)
    assert api.get(f"{API}/members").status_code == 200
    assert api.get(f"{API}/invitations").status_code == 200
    before = (Membership.objects.count(), ApiToken.objects.count())
    for answer in (
        api.patch(f"{API}/members/{member.public_id}", {"role": "OWNER"}),
        api.delete(f"{API}/members/{member.public_id}"),
        api.post(f"{API}/invitations", {"email": "x@example.com", "role": "OWNER"}),
        api.delete(f"{API}/invitations/{invited.pk}"),
        api.post(f"{API}/invitations/{invited.pk}/send"),
        api.get(f"{API}/tokens"),
        api.post(f"{API}/tokens", {"role": "VIEWER"}),
        api.delete(f"{API}/tokens/{token.public_id}"),
    ):
        assert answer.status_code == 403
    assert (Membership.objects.count(), ApiToken.objects.count()) == before
    assert list(Invitation.objects.unsettled()) == [invited]
    token.refresh_from_db()
    assert token.is_live


def test_ids_of_another_workspace_are_unknown(api_for, tenant, owner, member, stranger):
    invited = invite(tenant=tenant, email=ADA, role="VIEWER", actor=owner)
    token, _text = create_token(tenant=tenant, user=owner, role="VIEWER")
    api = api_for(stranger.memberships.get().tenant, Role.OWNER)
    pairs = [
        ("patch", "members/{}", member.public_id, "mem_unknown"),
        ("delete", "members/{}", member.public_id, "mem_unknown"),
        ("delete", "invitations/{}", invited.pk, "inv_unknown"),
        ("post", "invitations/{}/send", invited.pk, "inv_unknown"),
        ("delete", "tokens/{}", token.public_id, "tok_unknown"),
    ]
    for method, path, theirs, unknown in pairs:
        answers = [
            getattr(api, method)(f"{API}/{path.format(key)}", {"role": "VIEWER"})
            for key in (theirs, unknown)
        ]
        assert [a.status_code for a in answers] == [404, 404]
        assert answers[0].content == answers[1].content
    for path in ("members", "invitations", "tokens"):
        text = api.get(f"{API}/{path}").content.decode()
        assert not [x for x in (member.user.email, ADA, token.public_id) if x in text]
    token.refresh_from_db()
    assert token.is_live
    assert list(Invitation.objects.for_tenant(tenant).unsettled()) == [invited]


@pytest.mark.parametrize("path", ["members", "invitations", "tokens"])
def test_long_list_costs_no_more_queries(
    api, tenant, path, member_of, django_assert_max_num_queries
):
    owner = Membership.objects.get(tenant=tenant).user
    for number in range(30):
        factories.MembershipFactory(tenant=tenant)
        create_token(tenant=tenant, user=owner, role="VIEWER")
        invite(tenant=tenant, email=f"x{number}@example.com", role="VIEWER", actor=owner)
    api.get(f"{API}/{path}")
    with django_assert_max_num_queries(6):
        assert len(api.get(f"{API}/{path}").json()["results"]) == 25
