"""The rows of the activity pages as plain values: sent effects and received deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from builds.models import Build, DeliveryState, WebhookDelivery
from builds.webhooks.deliveries import read
from delivr.effects.models import Effect
from delivr.tenants.models import Tenant
from integrations.providers.ci import BuildReport
from releases.models import Release
from releases.wording import KINDS, describe_effect, web_address

_OF_BUILDS = {
    "build.trigger": gettext_lazy("Trigger %(build)s"),
    "build.cancel": gettext_lazy("Stop %(build)s"),
    "build.force_cancel": gettext_lazy("Force-cancel %(build)s"),
}


@dataclass(frozen=True)
class SentLine:
    """One effect."""

    id: str
    kind: str
    text: str
    release_id: str
    version: str
    state: str
    state_label: str
    attempts: int
    error: str
    hint: str
    next_at: datetime | None
    at: datetime
    url: str
    may_retry: bool
    may_cancel: bool
    is_open: bool


def sent_lines(tenant: Tenant | str, effects: Sequence[Effect]) -> list[SentLine]:
    """The effects with the names of their releases and builds, in two queries."""
    rows = Release.objects.for_tenant(tenant).select_related("ticket")
    releases = rows.in_bulk({e.release_id for e in effects})
    builds = (
        Build.objects.for_tenant(tenant)
        .select_related("release_pipeline")
        .in_bulk({e.build_id for e in effects if e.kind in _OF_BUILDS})
    )
    return [_sent(e, releases.get(e.release_id), builds.get(e.build_id)) for e in effects]


def _sent(effect: Effect, release: Release | None, build: Build | None) -> SentLine:
    text = describe_effect(effect)
    if build is not None and effect.kind in _OF_BUILDS:
        text = str(_OF_BUILDS[effect.kind]) % {"build": build_name(build)}
    return SentLine(
        id=effect.pk,
        kind=str(KINDS.get(effect.kind, effect.kind)),
        text=text,
        release_id=release.pk if release else "",
        version=release.version if release else "",
        state=effect.state,
        state_label=effect.get_state_display(),
        attempts=effect.attempts,
        error=effect.last_error,
        hint=effect.last_error_hint,
        next_at=effect.next_at if effect.is_open and effect.next_at > timezone.now() else None,
        at=effect.done_at or effect.created_at,
        url=_page(effect, release),
        may_retry=effect.may_retry,
        may_cancel=effect.may_cancel,
        is_open=effect.is_open,
    )


def _page(effect: Effect, release: Release | None) -> str:
    url = effect.result.get("url")
    ticket = release.ticket if release and effect.kind.startswith("ticket.") else None
    return web_address(ticket.page_of(str(url or "")) if ticket else url)


@dataclass(frozen=True)
class ReceivedLine:
    """One webhook delivery."""

    id: str
    pipeline: str
    provider: str
    state: str
    state_label: str
    reason: str
    trust: str
    build: str
    release_id: str
    version: str
    received_at: datetime
    is_open: bool


def received_lines(deliveries: Sequence[WebhookDelivery]) -> list[ReceivedLine]:
    return [_received(delivery) for delivery in deliveries]


def _received(delivery: WebhookDelivery) -> ReceivedLine:
    release = delivery.build.release_pipeline.release if delivery.build else None
    return ReceivedLine(
        id=delivery.pk,
        pipeline=str(delivery.pipeline),
        provider=delivery.pipeline.slug,
        state=delivery.state,
        state_label=delivery.get_state_display(),
        reason=delivery.reason,
        trust=delivery.get_trust_display(),
        build=build_name(delivery.build) if delivery.build else "",
        release_id=release.pk if release else "",
        version=release.version if release else "",
        received_at=delivery.received_at,
        is_open=delivery.state in (DeliveryState.NEW, DeliveryState.UNMATCHED),
    )


def claims_of(delivery: WebhookDelivery) -> BuildReport | None:
    """The parsed body of a delivery; None if the body was deleted or cannot be parsed."""
    try:
        return read(delivery) if delivery.body else None
    except ValueError:
        return None


def build_name(build: Build) -> str:
    platform = build.release_pipeline.get_platform_display()
    words = _("%(platform)s build") % {"platform": platform}
    return f"{words} #{build.number}" if build.number else words
