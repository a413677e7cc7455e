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
from integrations.models import PipelineIntegration
from integrations.providers.registry import fields_of, provider_class
from sandbox import accounts

PATIENCE = 5.0  # seconds that the sandbox has for an answer


def is_offered() -> bool:
    return bool(settings.SANDBOX_URL)


def is_imitated(kind: str) -> bool:
    """True if the sandbox has a stand-in for this kind."""
    return bool(_entries(kind))


def sandbox_values(kind: str, *, platform: str = "") -> dict[str, Any]:
    """The form's initial values for a kind, including the sandbox's fake secrets.

    If there are several entries of one kind (jobs), the one that names the platform is used.
    """
    entries = _entries(kind)
    entry = next((e for e in entries if _names(e, platform)), entries[0])
    return {field.name: _text(entry.get(camel(field.name), "")) for field in fields_of(kind)}


def _entries(kind: str) -> list[dict[str, Any]]:
    state = accounts.load(settings.DELIVR_DATA_DIR / "sandbox")
    families = state.as_dict(settings.SANDBOX_URL).values()
    entries = (e for found in families for e in (found if isinstance(found, list) else [found]))
    return [entry for entry in entries if kind in entry.values()]


def sandbox_job(pipeline: PipelineIntegration, job: str) -> str:
    """The URL of one of the jobs on the sandbox's CI server."""
    name = job.removeprefix("/job/").replace("/job/", "/")
    return f"{settings.SANDBOX_URL}/sandbox/api/{pipeline.kind.lower()}/jobs/{name}"


def report_here(pipeline: PipelineIntegration) -> None:
    """Give the webhook's address and secret to the pipeline's job in the sandbox, as a person does
    on the sandbox's page. Raises ProviderError if it has no such job or does not answer."""
    secret = pipeline.webhook_secret.reveal()
    webhook = {"url": pipeline.webhook_url, "secret": secret, "style": "signed"}
    ci: Any = provider_class(pipeline.kind)
    job = pipeline.job or ci.job_name(pipeline.field_values)
    try:
        with outbound.session(deadline=PATIENCE) as session:
            found = session.post(sandbox_job(pipeline, job), json={"webhook": webhook}).ok
    except outbound.OutboundError:
        found = False
    if not found:
        words = _("The sandbox has no job %(job)s, or it does not answer.") % {"job": job}
        raise ProviderError("no_sandbox_job", words, outcome=Outcome.REFUSED)


def _names(entry: Mapping[str, Any], platform: str) -> bool:
    return platform.lower() in " ".join(str(value) for value in entry.values()).lower()


def _text(value: Any) -> Any:
    return json.dumps(value, indent=2) if isinstance(value, dict) else value
