"""A webhook secret is shown once, in the answer to the POST that created it, and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from delivr.signin.sessions import SessionStore
from delivr.tenants.models import IdempotentRequest, Role, Tenant
from delivr.tests import factories as make
from integrations import webhook_secrets
from integrations.models import PipelineIntegration
from integrations.views.webhook_secret import credential_name

pytestmark = pytest.mark.on_sqlite

Typed = Callable[..., dict[str, Any]]
Web = Callable[[Role], Client]


@pytest.fixture
def filled(tenant: Tenant, typed: Typed, web: Client) -> dict[str, Any]:
    """What is posted to connect the first pipeline."""
    scm, target = make.ScmFactory(tenant=tenant), make.AppStoreFactory(tenant=tenant)
    token = web.get("/setup/pipelines").context["form"].token
    return typed("JENKINS", scm=scm.pk, target=target.pk, form_token=token)


def rotate(pipeline: PipelineIntegration) -> str:
    return f"/integrations/pipelines/{pipeline.pk}/rotate-secret"


def secret_of(pipeline: PipelineIntegration) -> str:
    pipeline.refresh_from_db()
    return str(pipeline.webhook_secret.reveal())


@pytest.mark.parametrize("address", ["/setup/pipelines", "/integrations/pipelines/new"])
def test_a_new_pipeline_shows_its_secret(web: Client, filled: dict[str, Any], address: str) -> None:
    answer = web.post(address, filled)
    pipeline = PipelineIntegration.objects.get()
    html = answer.content.decode()
    assert answer.status_code == 200
    assert secret_of(pipeline) in html
    assert f"/api/v1/webhooks/jenkins/{pipeline.pk}" in html
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.parametrize("address", ["/setup/pipelines", "/integrations/pipelines/new"])
def test_after_a_failed_check_the_form_comes_first_with_its_field_marked(
    web: Client, filled: dict[str, Any], address: str
) -> None:
    answer = web.post(address, {**filled, "jenkins_job_path": "/job/nope"}, follow=True)
    pipeline, html = PipelineIntegration.objects.get(), answer.content.decode()
    assert secret_of(pipeline) not in html
    assert f"{pipeline} is saved, but a check failed" in html
    assert "is saved" not in " ".join(map(str, answer.context["messages"]))
    form = answer.context["form"]
    assert list(form.errors) == ["jenkins_job_path"]
    assert pipeline.verification_error in form.errors["jenkins_job_path"][0]
    control = re.search(r'<input[^>]*name="jenkins_job_path"[^>]*>', html)
    assert control
    assert 'aria-invalid="true"' in control[0]
    assert "autofocus" in control[0]
    assert html.index(control[0]) < html.index("checks__body")


@pytest.mark.parametrize("address", ["/setup/pipelines", None])
def test_the_secret_is_shown_after_the_first_success(
    web: Client, filled: dict[str, Any], address: str | None
) -> None:
    web.post("/setup/pipelines", {**filled, "jenkins_job_path": "/job/nope"})
    pipeline = PipelineIntegration.objects.get()
    before = secret_of(pipeline)
    page = address or f"/integrations/pipelines/{pipeline.pk}"
    mended = {**filled, "connection": pipeline.pk, "form_token": ""}
    answer = web.post(page, mended)
    assert before in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    assert answer.context["continue_url"] == page
    assert web.post(page, mended).status_code == 302  # shown once
    assert secret_of(pipeline) == before


def test_a_secret_that_was_not_shown_is_shown_by_a_button(
    web: Client, filled: dict[str, Any]
) -> None:
    """The CI server was mended, not the form."""
    web.post("/setup/pipelines", {**filled, "jenkins_job_path": "/job/nope"})
    pipeline = PipelineIntegration.objects.get()
    before, page = secret_of(pipeline), f"/integrations/pipelines/{pipeline.pk}"
    assert "Set up the webhook" not in web.get(page).content.decode()
    PipelineIntegration.objects.update(job="/job/ios-prod")
    web.post(f"{page}/verify")
    assert "Set up the webhook" in web.get(page).content.decode()
    answer = web.post(rotate(pipeline), {"next": "/setup/pipelines"})
    assert before in answer.content.decode()
    assert answer.context["continue_url"] == "/setup/pipelines"
    assert secret_of(pipeline) == before
    assert "Set up the webhook" not in web.get(page).content.decode()


def test_what_came_in_before_a_reload_is_heard(web: Client, filled: dict[str, Any]) -> None:
    assert "Listening…" in web.post("/setup/pipelines", filled).content.decode()
    make.DeliveryFactory(pipeline=PipelineIntegration.objects.get())
    html = web.post("/setup/pipelines", filled).content.decode()
    assert "Received: the webhook works." in html
    assert "Listening…" not in html


@pytest.mark.parametrize("way", ["the button", "a form that was mended"])
def test_only_one_of_two_admins_sees_it(
    web: Client, web_as: Web, filled: dict[str, Any], monkeypatch: Any, way: str
) -> None:
    """Another admin comes between reading the row and showing the secret."""
    web.post("/setup/pipelines", {**filled, "jenkins_job_path": "/job/nope"})
    pipeline, other = PipelineIntegration.objects.get(), web_as(Role.ADMIN)
    address, seen = f"{rotate(pipeline)}?unseen=1", []
    claim = webhook_secrets.claim_unseen

    def late(row: PipelineIntegration) -> bool:
        monkeypatch.setattr(webhook_secrets, "claim_unseen", claim)
        seen.append(other.post(address).content.decode())
        return claim(row)

    monkeypatch.setattr(webhook_secrets, "claim_unseen", late)
    mended = {**filled, "connection": pipeline.pk, "form_token": ""}
    sent = (address, {}) if way == "the button" else ("/setup/pipelines", mended)
    mine = web.post(*sent, follow=True).content.decode()
    secret = secret_of(pipeline)
    assert secret in seen[0]
    assert secret not in mine
    assert ("was shown once already" in mine) == (way == "the button")
    assert not pipeline.previous_webhook_secret  # nobody's secret was replaced


def test_a_secret_that_the_api_returned_is_not_shown_by_the_button(
    web: Client, filled: dict[str, Any], api_for: Any, tenant: Tenant
) -> None:
    web.post("/setup/pipelines", {**filled, "jenkins_job_path": "/job/nope"})
    pipeline = PipelineIntegration.objects.get()
    path = f"/api/v1/integrations/pipelines/{pipeline.pk}/rotate-webhook-secret"
    returned = api_for(tenant, Role.ADMIN).post(path).json()["webhookSecret"]
    answer = web.post(rotate(pipeline)).content.decode()
    assert returned not in answer
    assert secret_of(pipeline) in answer


def test_the_secret_is_on_no_later_page_and_in_no_session(
    web: Client, filled: dict[str, Any]
) -> None:
    answer = web.post("/setup/pipelines", filled)
    pipeline = PipelineIntegration.objects.get()
    for address in (answer.context["continue_url"], f"/integrations/pipelines/{pipeline.pk}"):
        assert secret_of(pipeline) not in web.get(address).content.decode()
    for session in Session.objects.all():
        assert secret_of(pipeline) not in str(SessionStore(session.pk).load())


def test_a_reload_shows_it_again_and_connects_nothing_new(
    web: Client, filled: dict[str, Any]
) -> None:
    web.post("/setup/pipelines", filled)
    again = web.post("/setup/pipelines", filled)
    assert secret_of(PipelineIntegration.objects.get()) in again.content.decode()


def test_a_late_reload_redirects_without_the_secret(web: Client, filled: dict[str, Any]) -> None:
    web.post("/setup/pipelines", filled)
    IdempotentRequest.objects.update(created_at=timezone.now() - timedelta(minutes=11))
    again = web.post("/setup/pipelines", filled)
    assert again["Location"] == "/setup/pipelines"
    assert PipelineIntegration.objects.count() == 1


def test_another_persons_form_is_another_form(
    web: Client, web_as: Web, filled: dict[str, Any]
) -> None:
    """Another person who knows a form's token does not get the secret."""
    web.post("/setup/pipelines", filled)
    first = PipelineIntegration.objects.get()
    html = web_as(Role.ADMIN).post("/setup/pipelines", filled).content.decode()
    assert secret_of(first) not in html


def test_editing_a_pipeline_shows_no_secret(web: Client, filled: dict[str, Any]) -> None:
    web.post("/setup/pipelines", filled)
    pipeline = PipelineIntegration.objects.get()
    edited = {**filled, "connection": pipeline.pk, "form_token": "", "display_name": "iOS"}
    assert web.post("/setup/pipelines", edited).status_code == 302


# --- Rotate --------------------------------------------------------------------------------------


def test_rotating_shows_the_new_secret_and_keeps_the_old_one_for_a_day(
    web: Client, tenant: Tenant
) -> None:
    pipeline = make.PipelineFactory(tenant=tenant)
    before = secret_of(pipeline)
    html = web.post(rotate(pipeline)).content.decode()
    assert secret_of(pipeline) in html
    assert secret_of(pipeline) != before
    assert pipeline.previous_webhook_secret.reveal() == before
    assert "works for another 24 hours" in html


def test_a_reload_does_not_rotate_again(web: Client, tenant: Tenant) -> None:
    """A second rotation would shift out the secret that Jenkins still uses."""
    pipeline = make.PipelineFactory(tenant=tenant)
    before = secret_of(pipeline)
    token = web.get(f"/integrations/pipelines/{pipeline.pk}").context["rotate_token"]
    web.post(rotate(pipeline), {"form_token": token})
    rotated = secret_of(pipeline)
    again = web.post(rotate(pipeline), {"form_token": token})
    assert rotated in again.content.decode()
    assert secret_of(pipeline) == rotated
    assert pipeline.previous_webhook_secret.reveal() == before


def test_strangers_and_lower_roles_cannot_rotate(web: Client, web_as: Web, tenant: Tenant) -> None:
    mine, foreign = make.PipelineFactory(tenant=tenant), make.PipelineFactory()
    secrets = secret_of(mine), secret_of(foreign)
    assert web.post(rotate(foreign)).status_code == 404
    assert web_as(Role.MEMBER).post(rotate(mine)).status_code == 403
    assert web.get(rotate(mine)).status_code == 405
    assert (secret_of(mine), secret_of(foreign)) == secrets


# --- What to do with it --------------------------------------------------------------------------


def test_what_is_copied_into_jenkins_is_accepted(
    web: Client, client: Client, tenant: Tenant, settings: Any
) -> None:
    """The Notification plugin sends the URL's credentials unchanged."""
    pipeline = make.PipelineFactory(tenant=tenant)
    answer = web.post(rotate(pipeline))
    parts = urlsplit(answer.context["url_with_secret"])
    user, _colon, password = parts.netloc.rpartition("@")[0].partition(":")
    assert (user, password) == ("delivr", secret_of(pipeline))
    body = {"buildNumber": 245, "status": "SUCCESS"}
    for secret, status in ((password, 202), ("whsec_wrong", 401)):
        sent = client.post(
            parts.path,
            body,
            content_type="application/json",
            headers={"Authorization": basic(secret)},
        )
        assert sent.status_code == status


def basic(secret: str) -> str:
    import base64

    return "Basic " + base64.b64encode(f"delivr:{secret}".encode()).decode()


def test_the_jenkinsfile_posts_to_the_pipelines_own_address(web: Client, tenant: Tenant) -> None:
    pipeline = make.PipelineFactory(tenant=tenant)
    text = web.post(rotate(pipeline)).context["snippet"]
    assert f"/api/v1/webhooks/jenkins/{pipeline.pk} || true" in text
    assert secret_of(pipeline) not in text
    assert "credentialsId: 'delivr-webhook-ios-prod'" in text
    assert re.findall(r'\\\\"(\w+)\\\\":', text) == ["buildNumber", "status", "buildUrl", "buildId"]


@pytest.mark.parametrize(
    ("job", "name"),
    [
        ("/job/mobile/job/ios prod", "delivr-webhook-mobile-ios-prod"),
        ("/job/リリース", "delivr-webhook-pipeline_jenkins_1"),
    ],
)
def test_each_job_has_a_credential_of_its_own(job: str, name: str) -> None:
    pipeline = PipelineIntegration(pk="pipeline_jenkins_1", pipeline_type="JENKINS", job=job)
    assert credential_name(pipeline) == name


def test_the_page_links_to_a_test_build_once_the_checks_pass(web: Client, tenant: Tenant) -> None:
    pipeline = make.PipelineFactory(tenant=tenant)
    way = f'href="/integrations/pipelines/{pipeline.pk}#test-build-{pipeline.pk}"'
    assert way in web.post(rotate(pipeline)).content.decode()
    pipeline.verification_status = "INVALID"
    pipeline.save()
    assert way not in web.post(rotate(pipeline)).content.decode()


def test_the_demo_offers_the_webhook_to_the_sandbox(
    web: Client, tenant: Tenant, settings: Any
) -> None:
    pipeline = make.PipelineFactory(tenant=tenant)
    assert "In the demo" not in web.post(rotate(pipeline)).content.decode()
    settings.SANDBOX_URL = "http://127.0.0.1:8091"
    action = f'action="/integrations/pipelines/{pipeline.pk}/give-to-sandbox"'
    assert action in web.post(rotate(pipeline)).content.decode()


def test_a_form_whose_first_request_was_killed_can_be_sent_again(
    web: Client, filled: dict[str, Any], tenant: Tenant
) -> None:
    web.post("/setup/pipelines", filled)
    PipelineIntegration.objects.all().delete()
    claims = IdempotentRequest.objects.for_tenant(tenant)
    claims.update(status=None, fingerprint="")  # as a process leaves it that is killed at work
    web.post("/setup/pipelines", filled)
    assert not PipelineIntegration.objects.exists()  # it may still be at work
    claims.update(created_at=timezone.now() - timedelta(minutes=3))
    web.post("/setup/pipelines", filled)
    assert PipelineIntegration.objects.count() == 1


def test_a_command_to_try_it_is_shown_where_nothing_has_to_be_signed(
    tenant: Tenant, web: Client
) -> None:
    scm, target = make.ScmFactory(tenant=tenant), make.AppStoreFactory(tenant=tenant)
    shown = {}
    for kind in ("JENKINS", "GITHUB_ACTIONS"):
        row = make.PipelineFactory(tenant=tenant, scm=scm, target=target, pipeline_type=kind)
        shown[kind] = "curl -u" in web.post(rotate(row)).content.decode()
    assert shown == {"JENKINS": True, "GITHUB_ACTIONS": False}
