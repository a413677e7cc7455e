"""The settings of a workspace, and changing the workspace."""

import re

import pytest
from django.utils import timezone

from delivr.tenants.models import ApiToken, Membership, Role, Tenant
from delivr.tenants.operations import create_token
from delivr.tests import factories

pytestmark = pytest.mark.on_sqlite

TOKENS = "/settings/tokens"
TOKEN = re.compile(r"dlv_\w{8}_[\w-]{43}")


@pytest.fixture
def as_role(tenant, member_of, client_for):
    return lambda role: client_for(member_of(tenant, role))


@pytest.fixture
def boss(owner, client_for):
    return client_for(owner)


@pytest.fixture
def outsider(stranger, client_for):
    return client_for(stranger)


def main_of(response):
    return response.content.decode().partition("<main")[2]


def token_form(client, **changes):
    """The form with the values that the page offers."""
    key = client.get(TOKENS).context["form_key"]
    return {"name": "CI", "role": "MEMBER", "days": "90", "form_key": key, **changes}


# --- Members --------------------------------------------------------------------------------------


def test_members_are_listed_with_their_roles(as_role, owner):
    html = main_of(as_role(Role.VIEWER).get("/settings/"))
    assert owner.email in html
    assert "Owner" in html


def test_other_workspaces_members_are_not_listed(outsider, owner):
    assert owner.email not in outsider.get("/settings/").content.decode()


def test_tokens_have_no_tab_for_those_who_may_not_see_them(as_role, boss):
    assert TOKENS in main_of(boss.get("/settings/"))
    assert TOKENS not in main_of(as_role(Role.ADMIN).get("/settings/"))


# --- Tokens ---------------------------------------------------------------------------------------


def test_token_is_shown_once_and_works(boss, tenant, owner):
    response = boss.post(TOKENS, token_form(boss, role="ADMIN"))
    [text] = set(TOKEN.findall(response.content.decode()))
    token = ApiToken.objects.find(text)
    assert (token.tenant, token.user, token.role, token.name) == (tenant, owner, "ADMIN", "CI")
    assert "no-store" in response["Cache-Control"]
    assert not TOKEN.search(boss.get(TOKENS).content.decode())
    assert text not in str(boss.session.items())


def test_reloading_the_page_creates_no_second_token(boss):
    form = token_form(boss)
    boss.post(TOKENS, form)
    again = boss.post(TOKENS, form, follow=True)
    assert "already sent" in again.content.decode()
    assert ApiToken.objects.count() == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", ""), ("role", "KING"), ("days", "0"), ("days", "31"), ("days", "366"), ("days", "x")],
)
def test_invalid_token_is_refused_beside_its_field(boss, field, value):
    response = boss.post(TOKENS, token_form(boss, **{field: value}))
    assert list(response.context["form"].errors) == [field]
    assert not ApiToken.objects.exists()


def test_form_can_be_sent_again_after_an_error(boss):
    wrong = boss.post(TOKENS, token_form(boss, days="0"))
    right = {"name": "CI", "role": "VIEWER", "days": "30", "form_key": wrong.context["form_key"]}
    assert TOKEN.search(boss.post(TOKENS, right).content.decode())


def test_token_is_revoked(boss, tenant, owner):
    token, text = create_token(tenant=tenant, user=owner, role="MEMBER", name="CI")
    assert f"{TOKENS}/{token.pk}/revoke" in boss.get(TOKENS).content.decode()
    boss.post(f"{TOKENS}/{token.pk}/revoke")
    assert ApiToken.objects.find(text) is None
    html = main_of(boss.get(TOKENS))
    assert "Revoked" in html
    assert "/revoke" not in html


def test_expired_token_is_shown_as_expired(boss, tenant, owner):
    token, _text = create_token(tenant=tenant, user=owner, role="MEMBER")
    ApiToken.objects.filter(pk=token.pk).update(expires_at=timezone.now())
    assert "Expired" in main_of(boss.get(TOKENS))


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MEMBER, Role.ADMIN])
def test_only_owners_see_create_and_revoke_tokens(as_role, tenant, owner, role):
    token, _text = create_token(tenant=tenant, user=owner, role="MEMBER")
    client = as_role(role)
    assert client.get(TOKENS).status_code == 403
    assert client.post(TOKENS, {"name": "x", "role": "VIEWER", "days": "1"}).status_code == 403
    assert client.post(f"{TOKENS}/{token.pk}/revoke").status_code == 403
    token.refresh_from_db()
    assert token.is_live
    assert ApiToken.objects.count() == 1


def test_owner_of_another_workspace_finds_no_token(outsider, tenant, owner):
    token, _text = create_token(tenant=tenant, user=owner, role="MEMBER", name="canary")
    assert outsider.post(f"{TOKENS}/{token.pk}/revoke").status_code == 404
    assert "canary" not in outsider.get(TOKENS).content.decode()
    token.refresh_from_db()
    assert token.is_live


def test_many_tokens_cost_no_more_queries(boss, tenant, owner, django_assert_max_num_queries):
    for _ in range(30):
        create_token(tenant=tenant, user=owner, role="MEMBER")
    boss.get(TOKENS)
    with django_assert_max_num_queries(5):
        boss.get(TOKENS)


# --- Workspaces -----------------------------------------------------------------------------------


@pytest.fixture
def second(owner):
    return factories.MembershipFactory(user=owner, role=Role.VIEWER).tenant


def current(client):
    return client.get("/settings/").wsgi_request.tenant


def test_switch_changes_the_workspace(boss, tenant, second):
    boss.post("/settings/switch", {"tenant": tenant.pk})
    response = boss.post("/settings/switch", {"tenant": second.pk, "next": "/activity"})
    assert response["Location"] == "/activity"
    assert current(boss) == second


@pytest.mark.parametrize(
    "wanted",
    [
        "",
        "//attacker.test",
        "https://attacker.test/",
        "/\\attacker.test",
        "javascript:alert(1)",
        "x",
    ],
)
def test_switch_only_redirects_within_this_site(boss, second, wanted):
    response = boss.post("/settings/switch", {"tenant": second.pk, "next": wanted})
    assert response["Location"] == "/"


@pytest.mark.parametrize("wanted", ["", "nonsense", "\x00"])
def test_switch_refuses_unknown_workspaces(boss, tenant, wanted):
    assert boss.post("/settings/switch", {"tenant": wanted}).status_code == 404
    assert current(boss) == tenant


def test_switch_refuses_others_workspaces(outsider, boss, tenant, stranger):
    assert outsider.post("/settings/switch", {"tenant": tenant.pk}).status_code == 404
    assert current(outsider) == stranger.memberships.get().tenant


def test_switch_needs_a_post_of_somebody_signed_in(client, boss, tenant):
    assert boss.get("/settings/switch", {"tenant": tenant.pk}).status_code == 405
    response = client.post("/settings/switch", {"tenant": tenant.pk})
    assert response["Location"].startswith("/accounts/login/")


def test_user_without_a_workspace_is_redirected_to_create_one(db, client_for):
    user = factories.UserFactory()
    client = client_for(user)
    assert client.get("/releases")["Location"] == "/settings/new-workspace"
    assert "New workspace" in client.get("/settings/new-workspace").content.decode()
    assert client.post("/settings/new-workspace", {"workspace": " Acme "})["Location"] == "/"
    membership = Membership.objects.get(user=user)
    assert (membership.tenant.name, membership.role) == ("Acme", Role.OWNER)


def test_new_workspace_becomes_the_current_one(boss):
    boss.post("/settings/new-workspace", {"workspace": "Second"})
    assert current(boss).name == "Second"


@pytest.mark.parametrize("name", ["", "   ", "x" * 81, "\x00"])
def test_invalid_name_of_a_workspace_is_refused(boss, name):
    count = Tenant.objects.count()
    response = boss.post("/settings/new-workspace", {"workspace": name})
    assert response.context["form"].errors["workspace"]
    assert Tenant.objects.count() == count


def test_name_of_a_workspace_is_escaped(boss):
    boss.post("/settings/new-workspace", {"workspace": "<script>alert(1)</script>"})
    assert "<script>alert" not in boss.get("/settings/").content.decode()
