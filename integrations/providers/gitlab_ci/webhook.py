"""Events of pipelines: each only says which pipeline to ask about. They come in any order, and
their status may be that of a later attempt.

https://docs.gitlab.com/user/project/integrations/webhook_events/#pipeline-events
https://docs.gitlab.com/user/project/integrations/webhooks/#validate-payloads
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..ci import BuildReport, BuildStatus
from ..incoming import json_object, number, object_in
from ..json_values import build_id_in, line
from ..webhooks import BASIC, STANDARD_WEBHOOKS, Scheme, Way, Webhooks
from .reading import FROM_OUTSIDE, end_of, external_id


def parse(body: bytes, event: str) -> BuildReport:
    """Raises ValueError with a sentence for a person where the body is unreadable."""
    document = json_object(body)
    kind = document.get("object_kind")
    if kind == "pipeline":
        return _of_pipeline(object_in(document, "object_attributes"))
    if not isinstance(kind, str):
        return _nothing("GitLab did not say which event it is.")
    return _nothing(f"The event {kind[:60]} says nothing about a pipeline.")


def _of_pipeline(about: Mapping[str, Any]) -> BuildReport:
    if about.get("source") not in (None, *FROM_OUTSIDE):
        return _nothing("This pipeline came with a change in GitLab, so it is none of ours.")
    return BuildReport(
        status=_end(about),
        asks=True,
        is_of_run=True,
        external_id=_external_id(number(about, "id")),
        build_id=_build_id(about),
        branch=line(about.get("ref")),
    )


def _end(about: Mapping[str, Any]) -> BuildStatus | None:
    """How it claims to have ended, so that it is asked again soon until GitLab shows the end."""
    status = end_of(str(about.get("status")))
    return None if status is BuildStatus.RUNNING else status


def _build_id(about: Mapping[str, Any]) -> str:
    """From its variables, or its name."""
    listed = about.get("variables")
    variables = [v for v in listed or [] if isinstance(v, dict)] if isinstance(listed, list) else []
    ours = [v.get("value") for v in variables if v.get("key") == "DELIVR_BUILD_ID"]
    return next(filter(None, map(build_id_in, [*ours, about.get("name")])), "")


def _external_id(pipeline: int | None) -> str:
    if pipeline is None:
        raise ValueError("The event names no pipeline.")
    return external_id(pipeline, 1)


def _nothing(note: str) -> BuildReport:
    return BuildReport(status=None, note=note)


_TOKEN = Way(scheme=Scheme.HEADER, header="x-gitlab-token", id_header="idempotency-key")
WEBHOOKS = Webhooks(ways=(STANDARD_WEBHOOKS, _TOKEN, BASIC), parse=parse, is_never_refused=True)
