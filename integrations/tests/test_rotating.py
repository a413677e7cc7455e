"""A new credential is verified first, and replaces the old one only if it works."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from delivr.audit.models import AuditEvent
from delivr.failures import Conflict
from delivr.tests.wired import fresh, wired_to
from integrations import operations
from integrations.expiry import expiry_words
from integrations.models import Connection, ScmIntegration
from integrations.rotating import CredentialRefused, change
from integrations.verification import next_verification_at, run_checks, verify
from sandbox import accounts

pytestmark = pytest.mark.django_db
OLD = accounts.GITHUB_PUSH_TOKEN


@pytest.fixture
def scm(tenant: Any, sandbox: Any) -> ScmIntegration:
    return verify(wired_to(tenant, sandbox).scm)


def state(connection: Connection) -> dict[str, Any]:
    row = type(connection).objects.filter(pk=connection.pk).values().get()
    return {name: getattr(value, "ciphertext", value) for name, value in row.items()}


def test_a_valid_credential_replaces_the_old_one(scm: ScmIntegration, owner: Any) -> None:
    changed = change(scm, actor=owner, values={"access_token": accounts.GITHUB_FINE_GRAINED_TOKEN})
    assert fresh(scm).access_token.reveal() == accounts.GITHUB_FINE_GRAINED_TOKEN
    assert changed.verification_status == "VALID"
    assert changed.last_verified_at > scm.last_verified_at
    event = AuditEvent.objects.get(action="credential.rotated")
    assert event.changes == {"access_token": "changed"}
    assert event.actor_label == owner.email


@pytest.mark.parametrize(
    ("token", "code"),
    [("ghp_unknown", "bad_credentials"), (accounts.GITHUB_READ_TOKEN, "no_push")],
)
def test_a_credential_that_fails_a_check_changes_nothing(
    scm: ScmIntegration, owner: Any, token: str, code: str
) -> None:
    before, events = state(scm), AuditEvent.objects.count()
    with pytest.raises(CredentialRefused) as refused:
        change(scm, actor=owner, values={"access_token": token, "display_name": "New"})
    assert [c.code for c in refused.value.checks if not c.ok] == [code]
    assert "still in use" in refused.value.messages[0]
    assert state(scm) == before
    assert AuditEvent.objects.count() == events
    assert token not in str(refused.value)


def test_a_credential_that_cannot_be_checked_now_is_not_stored(
    scm: ScmIntegration, sandbox: Any
) -> None:
    before = state(scm)
    sandbox.state.faults.add(kind="status", status=503, provider="github")
    with pytest.raises(CredentialRefused):
        change(scm, actor=None, values={"access_token": OLD})
    assert state(scm) == before


@pytest.mark.parametrize("status", ["PENDING", "INVALID", "EXPIRED"])
def test_a_failing_connection_stores_what_is_entered(scm: ScmIntegration, status: str) -> None:
    ScmIntegration.objects.update(verification_status=status)
    changed = change(fresh(scm), actor=None, values={"access_token": "ghp_unknown"})
    assert changed.verification_status == "PENDING"
    assert fresh(scm).access_token.reveal() == "ghp_unknown"


def test_an_edit_meanwhile_wins(scm: ScmIntegration, monkeypatch: Any) -> None:
    """Somebody saves during the verification."""
    asked = run_checks

    def meanwhile(connection: Connection) -> Any:
        operations.edit(fresh(scm), actor=None, values={"display_name": "Theirs"})
        return asked(connection)

    monkeypatch.setattr("integrations.rotating.run_checks", meanwhile)
    with pytest.raises(Conflict):
        change(scm, actor=None, values={"access_token": OLD, "display_name": "Mine"})
    assert fresh(scm).display_name == "Theirs"


def test_a_token_of_another_slack_team_is_refused(tenant: Any, sandbox: Any) -> None:
    chat = verify(wired_to(tenant, sandbox).slack)
    assert chat.account
    type(chat).objects.update(account="T0THEOTHERS")
    with pytest.raises(CredentialRefused) as refused:
        change(fresh(chat), actor=None, values={"slack_bot_token": accounts.SLACK_BOT_TOKEN})
    assert [c.code for c in refused.value.checks if not c.ok] == ["other_account"]


def test_the_expiry_from_github_is_stored_and_updated(scm: ScmIntegration) -> None:
    assert scm.credential_expires_at is not None
    left = scm.credential_expires_at - timezone.now()
    assert timedelta(days=59) < left < timedelta(days=61)
    token = accounts.GITHUB_FINE_GRAINED_TOKEN
    changed = change(scm, actor=None, values={"access_token": token})
    assert changed.credential_expires_at - timezone.now() < timedelta(days=15)
    assert timezone.now() - changed.credential_changed_at < timedelta(minutes=1)


def test_an_expired_credential_is_called_expired_and_not_invalid(
    scm: ScmIntegration, sandbox: Any
) -> None:
    past = timezone.now() - timedelta(minutes=1)
    scm.access_token = "ghp_unknown"
    scm.save()
    ScmIntegration.objects.update(credential_expires_at=past)
    assert verify(fresh(scm)).verification_status == "EXPIRED"


def test_the_next_verification_is_when_the_credential_expires(scm: ScmIntegration) -> None:
    soon: datetime = timezone.now() + timedelta(hours=3)
    assert next_verification_at(timezone.now(), soon, []) == soon


def test_the_api_answers_with_the_checks(scm: ScmIntegration, api_for: Any, tenant: Any) -> None:
    api, path = api_for(tenant), f"/api/v1/integrations/scm/{scm.pk}"
    answer = api.patch(path, {"accessToken": "ghp_unknown"})
    body = answer.json()
    assert (answer.status_code, body["code"]) == (400, "credential_refused")
    assert list(body["errors"]) == ["accessToken"]
    assert [c["code"] for c in body["checks"] if not c["ok"]] == ["bad_credentials"]
    assert "ghp_unknown" not in answer.content.decode()
    good = api.patch(path, {"accessToken": accounts.GITHUB_FINE_GRAINED_TOKEN}).json()
    assert good["verificationStatus"] == "VALID"
    assert good["credentialExpiresAt"]


def test_the_page_says_what_failed_and_keeps_the_old_one(
    scm: ScmIntegration, client_for: Any, owner: Any
) -> None:
    web: Client = client_for(owner)
    page = f"/integrations/scm/{scm.pk}"
    answer = web.post(page, {"access_token": "ghp_unknown", "repository_url": scm.repository_url})
    html = answer.content.decode()
    assert answer.status_code == 200
    assert "GitHub refused the access token." in html
    assert "still in use" in html
    assert "ghp_unknown" not in html
    assert answer["Cache-Control"].count("no-store") == 1
    assert fresh(scm).access_token.reveal() == OLD


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (timedelta(days=15), ""),
        (timedelta(days=6, hours=1), "expires in 6 days"),
        (timedelta(days=1, hours=1), "expires in 1 day:"),
        (timedelta(hours=3), "within a day"),
        (timedelta(hours=-3), "has expired"),
    ],
)
def test_the_expiry_is_shown_from_two_weeks_before(
    scm: ScmIntegration, client_for: Any, owner: Any, left: timedelta, words: str
) -> None:
    ScmIntegration.objects.update(credential_expires_at=timezone.now() + left)
    web = client_for(owner)
    for page in ("/integrations", f"/integrations/scm/{scm.pk}"):
        html = web.get(page).content.decode()
        assert words in html
        assert ("The credential" in html) == bool(words)


@pytest.mark.parametrize(("age", "is_told"), [(340, False), (352, True)])
def test_the_age_of_a_jira_token_is_shown(
    tenant: Any, sandbox: Any, age: int, is_told: bool
) -> None:
    tickets = wired_to(tenant, sandbox).jira
    tickets.credential_changed_at = timezone.now() - timedelta(days=age)
    assert bool(expiry_words(tickets)) == is_told


def test_the_page_shows_until_when_the_old_webhook_secret_works(
    tenant: Any, sandbox: Any, client_for: Any, owner: Any
) -> None:
    pipeline = wired_to(tenant, sandbox).pipelines["ios"]
    page, web = f"/integrations/pipelines/{pipeline.pk}", client_for(owner)
    assert "The previous secret" not in web.get(page).content.decode()
    operations.rotate_webhook_secret(pipeline, actor=owner)
    assert "The previous secret works until" in web.get(page).content.decode()
