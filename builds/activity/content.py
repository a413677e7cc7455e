"""What an effect sends, in words for a person: the text of a message, the parameters of a job."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.translation import gettext as _

from builds.models import Build, TestBuild
from delivr.effects.models import Effect
from delivr.encryption.fields import SecretUnreadable
from integrations.models import CommunicationIntegration, Connection, TargetIntegration
from integrations.redaction import redact, secrets_in
from releases.messages.events import Notice
from releases.messages.in_place import EDIT, POST
from releases.messages.notices import PlainText, render
from releases.messages.standing import BUILDING, template_of
from releases.messages.testing import message_of_test
from releases.models import Release
from releases.tickets.acts import COMMENT, CREATE_EPIC, PLAN
from releases.tickets.texts import epic_for
from releases.wording import channel_of, event_name, web_address


@dataclass(frozen=True)
class Content:
    """`text` as paragraphs, `facts` as names and values; `url` leads to it at the provider."""

    text: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    parameters: tuple[tuple[str, str], ...] = ()
    url: str = ""
    provider: str = ""


def content_of(
    effect: Effect, release: Release | None, build: Build | None, url: str
) -> Content | None:
    """What was or will be sent, without secrets; None for kinds of which nothing can be shown.

    `url` is that of the result. The text is rendered as it is when it is sent: nothing that it
    depends on changes after the release was created.
    """
    if effect.kind in (POST, EDIT) and release is not None:
        return _message(effect, release, url)
    if effect.kind == "event.send" and release is not None:
        return _event(effect, release)
    if effect.kind == "message.test":
        made = message_of_test(chat=PlainText)
        facts = ((_("Channel"), channel_of(effect)),)
        return Content(f"{made.text}\n\n{made.detail}", facts, url=url)
    if effect.kind == CREATE_EPIC and release is not None:
        return _epic(effect, release, url)
    if effect.kind in (COMMENT, PLAN):
        keys = effect.payload.get("keys", ())
        text = effect.payload.get("text") or ", ".join(keys)
        return Content(text, url=url, provider=_label(release.ticket if release else None))
    job = _job_of(effect, build)
    return _trigger(job) if job is not None else None


def _message(effect: Effect, release: Release, url: str) -> Content | None:
    notice = template_of(effect.payload)
    if notice not in (*Notice, BUILDING):
        return None
    words = effect.payload.get("words") or {}
    made = render(release, notice, words, chat=PlainText)
    facts: tuple[tuple[str, str], ...] = ((_("Channel"), channel_of(effect)),)
    if note := str(effect.result.get("note", "")):
        facts = (*facts, (_("Result"), note))
    rows = CommunicationIntegration.objects.filter(tenant=release.tenant_id)
    provider = _label(rows.filter(pk=effect.integration_id).first())
    return Content(f"{made.text}\n\n{made.detail}", facts, url=url, provider=provider)


def _event(effect: Effect, release: Release) -> Content:
    """Its body is in the endpoint's delivery log, as it was sent."""
    facts = ((_("Event"), event_name(effect)), (_("Endpoint"), channel_of(effect)))
    rows = CommunicationIntegration.objects.filter(tenant=release.tenant_id)
    return Content(facts=facts, provider=_label(rows.filter(pk=effect.integration_id).first()))


def _epic(effect: Effect, release: Release, url: str) -> Content | None:
    target_id = effect.payload.get("target")
    part = release.targets.filter(target_id=target_id).select_related("target").first()
    if part is None:
        return None
    target: TargetIntegration = part.target
    made = epic_for(release, target, app=part.app_identifier)
    text = f"{made.summary}\n\n{made.description}"
    return Content(text, url=url, provider=_label(release.ticket))


def _label(connection: Connection | None) -> str:
    return str(connection.provider_class.label) if connection else ""


def _job_of(effect: Effect, build: Build | None) -> Build | TestBuild | None:
    if effect.kind == "build.trigger":
        return build
    if effect.kind == "build.test":
        rows = TestBuild.objects.for_tenant(effect.tenant_id).select_related("pipeline")
        found: TestBuild | None = rows.filter(pk=effect.payload.get("testBuildId")).first()
        return found
    return None


def _trigger(job: Build | TestBuild) -> Content:
    try:
        secrets = secrets_in(job.pipeline)
    except SecretUnreadable:  # a key is missing: secrets cannot be recognized
        return Content(text=_("The parameters cannot be shown: an encryption key is missing."))
    return Content(
        facts=((_("Pipeline"), str(job.pipeline)), *_named_job(job.job_path)),
        parameters=tuple((n, _shown(n, v, secrets)) for n, v in job.parameters.items()),
        url=web_address(job.url),
        provider=_label(job.pipeline),
    )


def _named_job(job_path: str) -> tuple[tuple[str, str], ...]:
    """Not every CI server has jobs."""
    return ((_("Job"), job_path),) if job_path else ()


def _shown(name: str, value: object, secrets: Iterable[str]) -> str:
    """The value with secrets masked. With the name before it, `TOKEN` is known as one."""
    return redact(f"{name}={value}", secrets).removeprefix(f"{name}=")
