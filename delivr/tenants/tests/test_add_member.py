from __future__ import annotations

import json
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core.management import CommandError, call_command

from delivr.audit.models import AuditEvent
from delivr.tenants.models import Membership
from delivr.tests import factories

pytestmark = pytest.mark.django_db


def add(tenant: Any, email: str, role: str = "MEMBER") -> None:
    call_command("add_member", tenant=tenant.pk, email=email, role=role, json=True)


def test_user_is_added_with_a_role(tenant: Any, capsys: Any) -> None:
    user = factories.UserFactory()
    add(tenant, user.email.upper(), "VIEWER")
    assert json.loads(capsys.readouterr().out)["role"] == "VIEWER"
    assert Membership.objects.get(tenant=tenant, user=user).role == "VIEWER"
    assert AuditEvent.objects.get().action == "member.added"


def test_nobody_is_added_twice(tenant: Any) -> None:
    user = factories.UserFactory()
    add(tenant, user.email)
    with pytest.raises(CommandError, match="already"):
        add(tenant, user.email, "OWNER")
    assert Membership.objects.get(tenant=tenant).role == "MEMBER"


def test_unknown_users_are_not_created(tenant: Any) -> None:
    with pytest.raises(CommandError, match="no user with this address"):
        add(tenant, "nobody@example.com")
    assert not Membership.objects.exists()


def test_unconfirmed_address_is_refused_where_mail_can_be_sent(tenant: Any, settings: Any) -> None:
    user = factories.UserFactory()
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    with pytest.raises(CommandError, match="not confirmed"):
        add(tenant, user.email)
    assert not Membership.objects.exists()
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    add(tenant, user.email)
    assert Membership.objects.get(tenant=tenant, user=user).role == "MEMBER"
