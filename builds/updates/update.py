"""What is said about a build, by whatever says it: `builds.updates.apply` applies it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.utils.translation import gettext as _

from builds.models import Source, Trust, WebhookDelivery
from delivr.pages.statuses import look_of
from integrations.models import PipelineIntegration
from integrations.providers.ci import Artifact, BuildHandle, BuildReport, BuildState, BuildStatus
from releases.models import MOVING


@dataclass(frozen=True, kw_only=True)
class BuildUpdate(BuildHandle):
    """One update about a build: from the response to its trigger, a poll, or a webhook."""

    status: BuildStatus
    source: Source
    url: str = ""
    artifact_url: str = ""
    artifacts: Sequence[Artifact] = ()
    commit: str = ""
    queue_reason: str = ""
    started_at: Any = None
    estimated_ms: int | None = None
    duration_ms: int | None = None
    delivery: WebhookDelivery | None = None
    detail: str = ""
    reported: str = ""  # the CI server's own status, where the pipeline counts it as another
    is_hint: bool = False  # not trusted: it only causes a poll
    is_number_only: bool = False  # it identifies the build by its number alone

    @property
    def is_authoritative(self) -> bool:
        return self.source != Source.WEBHOOK

    @property
    def is_end(self) -> bool:
        return self.status not in MOVING

    @classmethod
    def from_state(cls, state: BuildState, source: Source, *, detail: str = "") -> BuildUpdate:
        return cls(
            status=state.status,
            source=source,
            detail=detail,
            external_id=state.external_id,
            queue_id=state.queue_id,
            number=state.number,
            url=state.url,
            artifact_url=state.artifact_url,
            artifacts=state.artifacts,
            commit=state.commit,
            queue_reason=state.queue_reason,
            started_at=state.started_at,
            estimated_ms=state.estimated_ms,
            duration_ms=state.duration_ms,
        )

    @classmethod
    def from_report(cls, report: BuildReport, delivery: WebhookDelivery) -> BuildUpdate:
        return cls(
            status=report.status or BuildStatus.RUNNING,  # a report without one claims no end
            source=Source.WEBHOOK,
            external_id=report.external_id,
            queue_id=report.queue_id,
            number=report.number,
            url=report.url,
            artifact_url=report.artifact_url,
            delivery=delivery,
            is_hint=report.asks
            or (delivery.trust != Trust.SIGNED and delivery.pipeline.silence is None),
            is_number_only=not (report.build_id or report.external_id or report.queue_id),
        )


def counted(pipeline: PipelineIntegration, update: BuildUpdate) -> BuildUpdate:
    """The update with the status that the pipeline counts it as."""
    status = counted_status(pipeline, update.status)
    if status == update.status:
        return update
    words = _("The CI server reports “%(there)s”, which this pipeline counts as “%(here)s”.") % {
        "there": look_of(update.status, "build").label,
        "here": look_of(status, "build").label,
    }
    detail = " ".join(filter(None, [update.detail, words]))
    return replace(update, status=status, reported=update.status, detail=detail)


def counted_status(pipeline: PipelineIntegration, status: BuildStatus) -> BuildStatus:
    """See `CiProvider.counts_as`."""
    ci: Any = pipeline.provider_class
    found: BuildStatus = ci.counts_as(pipeline, status)
    return found
