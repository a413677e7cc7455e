"""What a page does for the sandbox beside it, and only there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.mail import EmailMessage, get_connection
from django.test import Client

from delivr.api.problems import camel
from delivr.tenants.models import Tenant
from delivr.tests import factories as make
from integrations.providers.registry import PROVIDERS, fields_of
from sandbox.outbox import mails_in
from sandbox.page import LABELS

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]


def give(pipeline: Any) -> str:
    return f"/integrations/pipelines/{pipeline.pk}/give-to-sandbox"


def test_the_webhook_is_handed_to_the_sandbox(
    web: Client, tenant: Tenant, sandbox: Any, settings: Any
) -> None:
    settings.SANDBOX_URL = sandbox.url
    pipeline = make.PipelineFactory(tenant=tenant)
    secret = pipeline.webhook_secret.reveal()
    answer = web.post(give(pipeline), {"next": "/setup/pipelines"})
    assert answer["Location"] == "/setup/pipelines"
    assert secret not in answer.content.decode()
    webhook = sandbox.state.jenkins.job("ios-prod").webhook
    assert (webhook.secret, webhook.style) == (secret, "signed")
    assert webhook.url.endswith(f"/api/v1/webhooks/jenkins/{pipeline.pk}")


def test_a_job_that_the_sandbox_lacks_is_named(
    web: Client, tenant: Tenant, sandbox: Any, settings: Any
) -> None:
    settings.SANDBOX_URL = sandbox.url
    pipeline = make.PipelineFactory(tenant=tenant, job="/job/nope")
    answer = web.post(give(pipeline), follow=True)
    assert "The sandbox has no job /job/nope" in answer.content.decode()


def test_without_a_sandbox_nothing_is_handed_over(
    web: Client, tenant: Tenant, sandbox: Any, settings: Any
) -> None:
    settings.SANDBOX_URL = ""
    pipeline = make.PipelineFactory(tenant=tenant)
    before = sandbox.state.jenkins.job("ios-prod").webhook
    shown = web.post(f"/integrations/pipelines/{pipeline.pk}/rotate-secret").content.decode()
    assert "Give it to the sandbox" not in shown
    assert "There is no sandbox" in web.post(give(pipeline), follow=True).content.decode()
    assert sandbox.state.jenkins.job("ios-prod").webhook == before


def test_a_strangers_pipeline_is_not_handed_over(web: Client, sandbox: Any, settings: Any) -> None:
    settings.SANDBOX_URL = sandbox.url
    before = sandbox.state.jenkins.job("ios-prod").webhook
    assert web.post(give(make.PipelineFactory())).status_code == 404
    assert sandbox.state.jenkins.job("ios-prod").webhook == before


def test_the_sandbox_names_the_fields_as_the_forms_do() -> None:
    for key in PROVIDERS:
        for field in fields_of(key):
            is_entered = field.required and not field.along_with and not field.generated
            if is_entered and field.name != "app_identifier":
                assert LABELS[camel(field.name)] == str(field.label)


def test_the_outbox_keeps_the_newest_mails(
    data_dir: Path, settings: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr("delivr.outbox.KEPT", 2)
    settings.EMAIL_BACKEND = "delivr.outbox.Outbox"
    for subject in ("One", "Two", "Three"):
        mail = EmailMessage(subject, "https://127.0.0.1/x", "a@example.com", ["b@example.com"])
        get_connection().send_messages([mail])
    found = mails_in(data_dir / "sandbox")
    assert [mail["subject"] for mail in found] == ["Three", "Two"]
    assert (found[0]["to"], found[0]["text"]) == ("b@example.com", "https://127.0.0.1/x")
    assert "Subject: Three" in capsys.readouterr().out  # in the log too
