"""A repository that was renamed: its new address is offered, and taken over by one click."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from delivr.audit.models import AuditEvent
from delivr.tenants.models import Role, Tenant
from delivr.tests import factories
from delivr.tests.wired import fresh
from integrations.models import ScmIntegration
from integrations.operations import edit
from integrations.verification import verify
from sandbox import accounts

pytestmark = pytest.mark.on_sqlite
NAME = "dream11/app"
OFFER = "Take the new address over"


@pytest.fixture
def scm(tenant: Tenant, sandbox: Any) -> ScmIntegration:
    """A verified connection."""
    row = factories.ScmFactory(tenant=tenant, access_token=accounts.GITHUB_PUSH_TOKEN)
    checked: ScmIntegration = verify(row)
    assert checked.options["repository_id"] == "700001"
    return checked


def page(scm: ScmIntegration) -> str:
    return f"/integrations/scm/{scm.pk}"


def test_the_new_name_is_told_and_taken_over(
    web: Client, scm: ScmIntegration, sandbox: Any
) -> None:
    assert OFFER not in web.get(page(scm)).content.decode()
    sandbox.state.github.rename(NAME, "dream11/mobile")
    renamed = verify(scm)
    assert renamed.failures[0]["message"] == "dream11/app is dream11/mobile now."
    assert OFFER in web.get(page(scm)).content.decode()
    assert web.post(f"{page(scm)}/move").status_code == 302
    moved = fresh(scm)
    assert (moved.repository_url, moved.verification_status) == (
        "https://github.com/dream11/mobile",
        "VALID",
    )
    assert moved.access_token.reveal() == accounts.GITHUB_PUSH_TOKEN
    assert AuditEvent.objects.filter(action="integration.edited", subject_id=scm.pk).exists()


def test_another_repository_under_the_old_name_is_not_taken_for_it(
    scm: ScmIntegration, sandbox: Any
) -> None:
    sandbox.state.github.rename(NAME, "dream11/mobile")
    sandbox.state.github.rename("dream11/backend", NAME)
    assert verify(scm).failures[0]["message"] == "dream11/app is dream11/mobile now."
    scm.options |= {"repository_id": "999"}  # the token does not see it any more
    scm.save()
    assert verify(scm).failures[0]["code"] == "repository_replaced"
    assert fresh(scm).options["repository_id"] == "999"


def test_without_an_earlier_verification_the_new_name_is_not_known(
    web: Client, tenant: Tenant, sandbox: Any
) -> None:
    sandbox.state.github.rename(NAME, "dream11/mobile")
    scm = verify(factories.ScmFactory(tenant=tenant, access_token=accounts.GITHUB_PUSH_TOKEN))
    assert scm.failures[0]["message"] == "dream11/app was renamed or moved."
    web.post(f"{page(scm)}/move")
    assert fresh(scm).repository_url == "https://github.com/dream11/app"


def test_another_address_forgets_the_id(scm: ScmIntegration) -> None:
    edited = edit(scm, actor=None, values={"repository_url": "https://github.com/dream11/backend"})
    assert "repository_id" not in edited.options
    assert verify(edited).options["repository_id"] == "700003"


def test_what_was_not_renamed_is_not_moved(web: Client, scm: ScmIntegration, web_as: Any) -> None:
    assert web.post(f"{page(scm)}/move").status_code == 302
    assert fresh(scm).revision == scm.revision
    assert web_as(Role.MEMBER).post(f"{page(scm)}/move").status_code == 403
