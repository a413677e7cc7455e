"""The page that shows a pipeline's new webhook secret once, with instructions."""

from __future__ import annotations

import re
from functools import partial
from typing import Any, cast
from urllib.parse import urlsplit

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from delivr.api.problems import Problem
from delivr.failures import Conflict, ProviderError
from delivr.pages.redirects import next_address
from delivr.tenants.decorators import tenant_required
from delivr.tenants.middleware import TenantRequest
from delivr.tenants.models import Role
from integrations import demo, operations, webhook_secrets
from integrations.choices import Verification
from integrations.models import (
    CommunicationIntegration,
    PipelineIntegration,
    find_connection,
)
from integrations.providers.ci import CiProvider
from integrations.providers.registry import webhooks_of
from integrations.providers.webhooks import BASIC
from integrations.throttle import throttled_call
from integrations.views.endpoint_secret import show_signing_secret
from integrations.views.listening import listening_context
from integrations.views.once import Repeated, once
from integrations.views.shared import add_result_message, find, has_failed

_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_.-]+")


def show_secret(
    request: TenantRequest, pipeline: PipelineIntegration, *, continue_url: str, is_new: bool
) -> HttpResponse:
    """The answer to the POST that created the secret, so that it is in no URL, session or cache."""
    url, secret = pipeline.webhook_url, pipeline.webhook_secret.reveal()
    how, none = f"integrations/help/{pipeline.slug}_webhook", "integrations/help/none.html"
    words = {"webhook_url": url, "credential": credential_name(pipeline)}
    snippet = render_to_string([f"{how}.txt", none], words)
    context = {
        "pipeline": pipeline,
        **words,
        "secret": secret,
        "url_with_secret": with_credentials(url, secret),
        "how": [f"{how}.html", none],
        "snippet": snippet,
        "try_command": try_command(url, secret) if _takes_password(pipeline) else "",
        "continue_url": continue_url,
        "is_new": is_new,
        **listening_context(pipeline, heard_since=webhook_secrets.since(pipeline)),
    }
    return render(request, "integrations/webhook_secret.html", context)


def credential_name(pipeline: PipelineIntegration) -> str:
    """What the secret is called among the credentials of the CI server, where those of several
    pipelines lie beside each other: `delivr-webhook-mobile-ios-prod`."""
    provider: Any = pipeline.provider_class
    job = _NOT_IN_A_NAME.sub("-", provider.job_name(pipeline.field_values)).strip("-")
    return f"delivr-webhook-{job or pipeline.pk}"


def _takes_password(pipeline: PipelineIntegration) -> bool:
    """Its sender need not sign, so a person can send a delivery by a command."""
    ci = cast("type[CiProvider]", pipeline.provider_class)
    return BASIC in webhooks_of(ci.sender).ways


def try_command(url: str, secret: str) -> str:
    """A shell command that sends a delivery with an unknown status, which is stored and ignored."""
    body = '{"buildNumber": 1, "status": "TEST"}'
    return (
        f"curl -u 'delivr:{secret}' -H 'Content-Type: application/json' \\\n  -d '{body}' '{url}'"
    )


def with_credentials(url: str, secret: str) -> str:
    """The URL with Basic credentials in it, for senders that only accept a URL.

    Not percent-encoded, since senders may use the part before the @ unchanged.
    """
    parts = urlsplit(url)
    return parts._replace(netloc=f"delivr:{secret}@{parts.netloc}").geturl()


def answer_again(request: TenantRequest, repeated: Repeated, *, default: str) -> HttpResponse:
    """Answer a form that was sent before: show its secret again if the page was reloaded soon, or
    else redirect."""
    tenant, made = request.tenant, repeated.connection_id
    found = find_connection(tenant=tenant, connection_id=made) if repeated.is_fresh else None
    if found is None or found.verification_status == Verification.PENDING:
        messages.info(request, _("This was already done, and was not repeated."))
    else:
        add_result_message(request, found)
    if isinstance(found, PipelineIntegration) and not has_failed(found):
        webhook_secrets.claim_unseen(found)
        return show_secret(request, found, continue_url=default, is_new=True)
    if isinstance(found, CommunicationIntegration) and found.is_endpoint:
        return show_signing_secret(request, found, continue_url=default, is_new=True)
    return redirect(default)


@tenant_required(role=Role.ADMIN)
@never_cache
@require_POST
def rotate_secret(request: TenantRequest, connection_id: str) -> HttpResponse:
    """Create a new secret and show it; the old one works for one more day. One that was never shown
    is shown instead; with `?unseen` only such a one."""
    pipeline = cast(PipelineIntegration, find(request, "pipelines", connection_id))
    page = next_address(request, default=reverse("integration", args=["pipelines", pipeline.pk]))
    try:
        shown = once(request, partial(_secret_to_show, request, pipeline))
    except Repeated as repeated:
        return answer_again(request, repeated, default=page)
    except Conflict as conflict:
        messages.error(request, conflict.message)
        return redirect(page)
    pipeline.refresh_from_db()
    return show_secret(request, pipeline, continue_url=page, is_new=shown is pipeline)


@tenant_required(role=Role.ADMIN)
@require_POST
def give_to_sandbox(request: TenantRequest, connection_id: str) -> HttpResponse:
    """In the demo: let the pipeline's job in the sandbox send its webhooks here. htmx gets what
    came of it, and the page with the secret stays."""
    pipeline = cast(PipelineIntegration, find(request, "pipelines", connection_id))
    page = next_address(request, default=reverse("integration", args=["pipelines", pipeline.pk]))
    trouble = _give(request, pipeline)
    words = {"name": pipeline, "ci": pipeline.kind_label}
    text = trouble or _("The sandbox's %(ci)s sends the webhook of %(name)s now.") % words
    if "HX-Request" in request.headers:
        said = {"tone": "danger" if trouble else "success", "text": text}
        return render(request, "components/alert.html", said)
    messages.add_message(request, messages.ERROR if trouble else messages.SUCCESS, text)
    return redirect(page)


def _give(request: TenantRequest, pipeline: PipelineIntegration) -> str:
    """Why it was not given; "" if it was."""
    if not demo.is_offered():
        return _("There is no sandbox beside this server.")
    try:
        with throttled_call("sandbox", user=request.user):
            demo.report_here(pipeline)
    except ProviderError as error:
        return error.message
    except Problem as problem:
        return problem.detail
    return ""


def _secret_to_show(request: TenantRequest, pipeline: PipelineIntegration) -> PipelineIntegration:
    if webhook_secrets.claim_unseen(pipeline):
        return pipeline
    if "unseen" in request.GET:
        words = _("This secret was shown once already. Rotate it to get a new one.")
        raise Conflict("already_shown", words)
    return operations.rotate_webhook_secret(pipeline, actor=request.user)
