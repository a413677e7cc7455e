"""Values that connect the demo's provider sandbox, to fill in forms."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from delivr import outbound
from delivr.api.problems import camel
from delivr.failures import Outcome, ProviderError
from delivr.tenants.models import User
from integrations import store_webhooks
from integrations.models import FAMILIES, PipelineIntegration, TargetIntegration
from integrations.providers.registry import ProviderKey, fields_of
from sandbox import accounts

PATIENCE = 5.0  # seconds that the sandbox has for an answer


def is_offered() -> bool:
    return bool(settings.SANDBOX_URL)


def has_values(key: ProviderKey) -> bool:
    """True if there is something to fill in: a CI that belongs to the repository may need no more
    than the repository's connection."""
    return any(sandbox_values(key).values())


def sandbox_values(key: ProviderKey, *, platform: str = "") -> dict[str, Any]:
    """The form's initial values for a kind, including the sandbox's fake secrets.

    If there are several entries of one kind (jobs), the one that names the platform is used;
    without any there is nothing to fill in.
    """
    entries = _entries(key)
    if not entries:
        return {}
    entry = next((e for e in entries if _names(e, platform)), entries[0])
    return {field.name: _text(entry.get(camel(field.name), "")) for field in fields_of(key)}


def _entries(key: ProviderKey) -> list[dict[str, Any]]:
    state = accounts.load(settings.DELIVR_DATA_DIR / "sandbox")
    groups = state.as_dict(settings.SANDBOX_URL).values()
    entries = (e for found in groups for e in (found if isinstance(found, list) else [found]))
    family, kind = key
    name = camel(FAMILIES[family].type_field)
    return [entry for entry in entries if entry.get(name) == kind]


def sandbox_job(pipeline: PipelineIntegration, job: str) -> str:
    """The URL of one of the jobs on the sandbox's CI server."""
    name = job.removeprefix("/job/").replace("/job/", "/")
    return f"{settings.SANDBOX_URL}/sandbox/api/{pipeline.kind.lower()}/jobs/{name}"


def report_here(pipeline: PipelineIntegration) -> None:
    """Give the webhook's address and secret to the pipeline's job in the sandbox, as a person does
    on the sandbox's page. Raises ProviderError if it has no such job or does not answer."""
    secret = pipeline.webhook_secret.reveal()
    webhook = {"url": pipeline.webhook_url, "secret": secret, "style": "signed"}
    ci: Any = pipeline.provider_class
    job = pipeline.job or ci.job_name(pipeline.field_values)
    try:
        with outbound.session(deadline=PATIENCE) as session:
            found = session.post(sandbox_job(pipeline, job), json={"webhook": webhook}).ok
    except outbound.OutboundError:
        found = False
    if not found:
        words = _("The sandbox has no job %(job)s, or it does not answer.") % {"job": job}
        raise ProviderError("no_sandbox_job", words, outcome=Outcome.REFUSED)


def notify_here(target: TargetIntegration, *, actor: User | None) -> None:
    """Give the target a new secret and enter it in the sandbox's store, as a person does on the
    sandbox's page; then try it. Raises Conflict, and ProviderError if it does not answer."""
    if not is_offered():
        words = _("There is no sandbox beside this server.")
        raise ProviderError("no_sandbox", words, outcome=Outcome.REFUSED)
    url, secret = target.webhook_url, store_webhooks.replace(target, actor=actor)
    acts = f"{settings.SANDBOX_URL}/sandbox/api/{target.kind.replace('_', '').lower()}/acts"
    try:
        with outbound.session(deadline=PATIENCE) as session:
            added = session.post(f"{acts}/webhook", json={"url": url, "secret": secret}).ok
            found = added and session.post(f"{acts}/ping", json={}).ok
    except outbound.OutboundError:
        found = False
    if not found:
        words = _("The sandbox's store does not answer.")
        raise ProviderError("no_sandbox_store", words, outcome=Outcome.REFUSED)


def _names(entry: Mapping[str, Any], platform: str) -> bool:
    return platform.lower() in " ".join(str(value) for value in entry.values()).lower()


def _text(value: Any) -> Any:
    return json.dumps(value, indent=2) if isinstance(value, dict) else value
