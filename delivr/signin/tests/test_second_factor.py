"""The second factor: what it protects, who must have one, how it is stored."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client

from delivr.audit.models import AuditEvent
from delivr.encryption.fields import SecretUnreadable
from delivr.encryption.key_usage import measure_key_usage
from delivr.encryption.rotation import rotate_secrets
from delivr.signin.sealing import seal, unseal
from delivr.tenants.models import Role, Tenant, User
from delivr.tests import factories
from delivr.tests.factories import PASSWORD, give_second_factor

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]
NEEDED = "/accounts/second-factor"


HOUR = 3600


@pytest.fixture(autouse=True)
def _codes_do_not_end_within_a_test(settings: Any) -> None:
    settings.MFA_TOTP_PERIOD = HOUR


def code_of(secret: str) -> str:
    return format_hotp_value(hotp_value(secret, int(time.time()) // HOUR))


def sign_in(user: User, client: Client | None = None) -> tuple[Client, Any]:
    client = client or Client()
    sent = {"login": user.email, "password": PASSWORD}
    return client, client.post("/accounts/login/", sent)


def is_signed_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def confirm(client: Client) -> None:
    """Enter the password again, as the pages ask."""
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})


@pytest.fixture
def ada() -> User:
    return factories.UserFactory(email="ada@example.com")


# --- Setting up and signing in --------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_app_is_set_up_with_a_code_and_gives_recovery_codes(ada: User, client_for: Any) -> None:
    client = client_for(ada)
    confirm(client)
    page = client.get("/accounts/2fa/totp/activate/").content.decode()
    assert 'src="data:image/svg+xml;base64,' in page
    secret = re.search(r'id="totp-secret">(\w+)<', page)
    assert secret
    client.post("/accounts/2fa/totp/activate/", {"code": "000000"})
    assert not Authenticator.objects.exists()
    sent = {"code": code_of(secret[1])}
    answer = client.post("/accounts/2fa/totp/activate/", sent, follow=True)
    assert "Recovery codes" in answer.content.decode()
    codes = re.findall(r"<code>(\d{8})</code>", answer.content.decode())
    assert len(codes) == 10
    assert client.get("/accounts/2fa/recovery-codes/download/").content.decode().split() == codes
    assert mail.outbox[-1].to == [ada.email]


def test_password_alone_does_not_sign_in(ada: User) -> None:
    secret = give_second_factor(ada)
    client, answer = sign_in(ada)
    assert answer["Location"] == "/accounts/2fa/authenticate/"
    assert not is_signed_in(client)
    client.post("/accounts/2fa/authenticate/", {"code": "000000"})
    assert not is_signed_in(client)
    client.post("/accounts/2fa/authenticate/", {"code": code_of(secret)})
    assert is_signed_in(client)


def test_code_works_once(ada: User) -> None:
    secret = give_second_factor(ada)
    code = code_of(secret)
    for expected in (True, False):
        client, _answer = sign_in(ada)
        client.post("/accounts/2fa/authenticate/", {"code": code})
        assert is_signed_in(client) is expected


def test_number_of_tried_codes_is_limited(ada: User) -> None:
    secret = give_second_factor(ada)
    client, _answer = sign_in(ada)
    for _ in range(5):
        client.post("/accounts/2fa/authenticate/", {"code": "000000"})
    answer = client.post("/accounts/2fa/authenticate/", {"code": code_of(secret)})
    assert "Too many" in answer.content.decode()
    assert not is_signed_in(client)


@pytest.mark.parametrize(
    "path",
    [
        "/accounts/2fa/totp/deactivate/",
        "/accounts/2fa/recovery-codes/generate/",
        "/accounts/2fa/recovery-codes/",
        "/accounts/2fa/recovery-codes/download/",
        "/accounts/2fa/webauthn/add/",
        "/accounts/delete",
    ],
)
def test_change_of_factors_asks_for_the_password_again(
    ada: User, client_for: Any, path: str
) -> None:
    give_second_factor(ada)
    factories.give_recovery_codes(ada)
    before = list(Authenticator.objects.values())
    client = client_for(ada)
    assert "reauthenticate" in client.get(path)["Location"]
    assert client.post(path, {}).status_code in (302, 405)
    assert list(Authenticator.objects.values()) == before
    assert User.objects.filter(pk=ada.pk).exists()


def test_removing_the_last_factor_removes_the_recovery_codes(ada: User, client_for: Any) -> None:
    give_second_factor(ada)
    factories.give_recovery_codes(ada)
    client = client_for(ada)
    confirm(client)
    client.post("/accounts/2fa/totp/deactivate/", {})
    assert not Authenticator.objects.exists()
    assert "deactivated" in mail.outbox[-1].body


# --- Storage --------------------------------------------------------------------------------------


def test_secrets_of_factors_are_stored_encrypted(ada: User) -> None:
    secret = give_second_factor(ada)
    factories.give_recovery_codes(ada)
    with connection.cursor() as cursor:
        cursor.execute("SELECT data FROM mfa_authenticator")
        stored = str(cursor.fetchall())
    codes = Authenticator.objects.get(type="recovery_codes").wrap().get_unused_codes()
    assert not [text for text in (secret, *codes) if text in stored]


def test_ciphertext_of_another_purpose_does_not_open(ada: User) -> None:
    from delivr.encryption.fields import SecretTextField

    other = SecretTextField().fernet.encrypt(b"table:tenant:row:field\x00value").decode()
    with pytest.raises(SecretUnreadable):
        unseal(other)
    assert unseal(seal("text")) == "text"


def test_rotation_includes_the_secrets_of_factors(ada: User, settings: Any) -> None:
    secret = give_second_factor(ada)
    factories.give_recovery_codes(ada)
    codes = Authenticator.objects.get(type="recovery_codes").wrap().get_unused_codes()
    settings.FERNET_KEYS = ["a-new-key", *settings.FERNET_KEYS]
    assert rotate_secrets().rotated == 2
    settings.FERNET_KEYS = ["a-new-key"]
    assert unseal(Authenticator.objects.get(type="totp").data["secret"]) == secret
    kept = Authenticator.objects.get(type="recovery_codes").wrap()
    assert kept.get_unused_codes() == codes
    assert rotate_secrets().rotated == 0


def test_lost_key_is_reported(ada: User, settings: Any) -> None:
    give_second_factor(ada)
    settings.FERNET_KEYS = ["another-key"]
    factor = Authenticator.objects.get()
    assert rotate_secrets().unreadable == [f"mfa_authenticator:{factor.pk}"]
    assert Authenticator.objects.get().data == factor.data


def test_lost_key_lets_nobody_in_and_says_so(ada: User, settings: Any) -> None:
    secret = give_second_factor(ada)
    measure_key_usage()
    settings.FERNET_KEYS = ["another-key"]
    client, _answer = sign_in(ada)
    answer = client.post("/accounts/2fa/authenticate/", {"code": code_of(secret)})
    assert "The encryption key of your second factor is missing." in answer.content.decode()
    assert not is_signed_in(client)
    assert Client().get("/readyz").status_code == 503


def test_operator_resets_lost_factors(tenant: Tenant, owner: User) -> None:
    give_second_factor(owner)
    factories.give_recovery_codes(owner)
    call_command("reset_second_factor", owner.email)
    assert not Authenticator.objects.exists()
    event = AuditEvent.objects.get()
    assert (event.action, event.subject_label) == (
        "member.second_factor_reset",
        f"{owner.email} in {tenant.name}",
    )
    with pytest.raises(CommandError):
        call_command("reset_second_factor", "nobody@example.com")


# --- Who must have one ----------------------------------------------------------------------------


@pytest.fixture
def strict(tenant: Tenant) -> Tenant:
    tenant.requires_second_factor = True
    tenant.save()
    return tenant


@pytest.mark.parametrize(
    ("role", "is_led"),
    [(Role.OWNER, True), (Role.ADMIN, True), (Role.MEMBER, False), (Role.VIEWER, False)],
)
def test_owners_and_admins_are_redirected_to_the_setup(
    strict: Tenant, member_of: Any, client_for: Any, role: Role, is_led: bool
) -> None:
    user = member_of(strict, role)
    client = client_for(user)
    for path in ("/integrations", "/activity", "/settings/"):
        answer = client.get(path)
        assert (answer.status_code == 302 and answer["Location"] == NEEDED) is is_led
    give_second_factor(user)
    assert client.get("/activity").status_code == 200


def test_page_explains_why(strict: Tenant, owner: User, client_for: Any) -> None:
    page = client_for(owner).get(NEEDED).content.decode()
    assert f"Owners and admins of <strong>{strict.name}</strong>" in page
    assert "/accounts/2fa/totp/activate/" in page
    assert "/accounts/2fa/webauthn/add/" in page


def test_recovery_codes_alone_are_no_second_factor(
    strict: Tenant, owner: User, client_for: Any
) -> None:
    factories.give_recovery_codes(owner)
    assert client_for(owner).get("/releases")["Location"] == NEEDED


def test_session_is_refused_by_the_api_and_a_token_is_not(
    strict: Tenant, owner: User, client_for: Any, api_for: Any
) -> None:
    answer = client_for(owner).get("/api/v1/releases")
    assert (answer.status_code, answer.json()["code"]) == (403, "second_factor_required")
    assert api_for(strict, Role.OWNER).get("/api/v1/releases").status_code == 200


def test_another_workspace_of_the_same_user_stays_open(
    strict: Tenant, owner: User, client_for: Any
) -> None:
    other = factories.MembershipFactory(user=owner, role=Role.OWNER).tenant
    client = client_for(owner)
    client.post("/settings/switch", {"tenant": other.pk})
    assert client.get("/activity").status_code == 200


def test_rule_needs_an_owner_who_has_one(tenant: Tenant, owner: User, client_for: Any) -> None:
    client = client_for(owner)
    client.post("/settings/security", {"required": "1"})
    tenant.refresh_from_db()
    assert not tenant.requires_second_factor
    assert not AuditEvent.objects.exists()
    give_second_factor(owner)
    for value, expected in (("1", True), ("1", True), ("0", False)):
        client.post("/settings/security", {"required": value})
        tenant.refresh_from_db()
        assert tenant.requires_second_factor is expected
    rows = AuditEvent.objects.filter(action="tenant.second_factor").order_by("pk")
    assert [row.changes for row in rows] == [
        {"requires_second_factor": [False, True]},
        {"requires_second_factor": [True, False]},
    ]


@pytest.mark.parametrize("role", [Role.ADMIN, Role.MEMBER, Role.VIEWER])
def test_only_owners_change_the_rule(
    tenant: Tenant, member_of: Any, client_for: Any, role: Role
) -> None:
    user = member_of(tenant, role)
    give_second_factor(user)
    client = client_for(user)
    assert client.get("/settings/security").status_code == 403
    assert client.post("/settings/security", {"required": "1"}).status_code == 403
    tenant.refresh_from_db()
    assert not tenant.requires_second_factor


@pytest.mark.parametrize(
    ("demo", "has_one", "opens"),
    [(False, False, False), (False, True, True), (True, False, True)],
)
def test_admin_requires_staff_with_a_second_factor(
    client_for: Any, settings: Any, demo: bool, has_one: bool, opens: bool
) -> None:
    settings.SECOND_FACTOR_FOR_STAFF = not demo
    root = User.objects.create_superuser("root@example.com")
    if has_one:
        give_second_factor(root)
    client = client_for(root)
    for path in ("/admin/", "/admin/tenants/user/", "/admin/password_change/", "/admin/jsi18n/"):
        answer = client.get(path)
        assert (answer.status_code == 200) is opens, path
        assert opens or answer["Location"] == NEEDED


def test_admin_uses_our_own_sign_in(client: Client) -> None:
    User.objects.create_superuser("root@example.com", PASSWORD)
    answer = client.get("/admin/login/?next=/admin/")
    assert answer["Location"].startswith("/accounts/login/")
    sent = {"username": "root@example.com", "password": PASSWORD}
    client.post("/admin/login/", sent)
    assert not is_signed_in(client)
