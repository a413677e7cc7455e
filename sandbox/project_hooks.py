"""Webhooks of the GitLab stand-in's projects, and what they tell.

https://docs.gitlab.com/user/project/integrations/webhooks/
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

TEMPORARILY, FOR_GOOD = 4, 40  # refusals in a row, after which a hook is switched off
FIRST_PAUSE, LONGEST_PAUSE = 60, 86_400  # seconds


@dataclass
class ProjectHook:
    id: int
    project: int
    url: str
    token: str = ""
    signing_token: str = ""
    pipeline_events: bool = True
    failures: int = 0  # in a row
    disabled_until: float = 0.0

    def alert_status(self, now: float) -> str:
        if self.failures >= FOR_GOOD:
            return "disabled"
        return "temporarily_disabled" if now < self.disabled_until else "executable"

    def is_on(self, now: float) -> bool:
        return self.alert_status(now) == "executable"

    def answered(self, answer: int | str, now: float) -> None:
        if isinstance(answer, int) and answer < 400:
            self.failures, self.disabled_until = 0, 0.0
            return
        self.failures += 1
        if self.failures >= TEMPORARILY:
            doubled = FIRST_PAUSE * 2 ** min(self.failures - TEMPORARILY, 20)
            self.disabled_until = now + min(doubled, LONGEST_PAUSE)


def event_headers(hook: ProjectHook, instance: str) -> dict[str, str]:
    """But for the signature."""
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "GitLab/18.6.1-ee",
        "Idempotency-Key": str(uuid.uuid4()),
        "X-Gitlab-Event": "Pipeline Hook",
        "X-Gitlab-Webhook-UUID": str(uuid.UUID(int=hook.id)),
        "X-Gitlab-Event-UUID": str(uuid.uuid4()),
        "X-Gitlab-Instance": instance,
    }
    return headers | ({"X-Gitlab-Token": hook.token} if hook.token else {})


def told_from(pipeline: Any, project: Any, base_url: str) -> dict[str, Any]:
    """https://docs.gitlab.com/user/project/integrations/webhook_events/#pipeline-events"""
    page = f"{base_url}/gitlab/{project.path}"
    user = {
        "id": 1,
        "name": pipeline.user.title(),
        "username": pipeline.user,
        "email": "[REDACTED]",
    }
    return {
        "object_kind": "pipeline",
        "object_attributes": {
            "id": pipeline.id,
            "iid": pipeline.iid,
            "name": pipeline.name or None,
            "ref": pipeline.ref,
            "tag": False,
            "sha": pipeline.sha,
            "source": pipeline.source,
            "status": pipeline.status,
            "detailed_status": pipeline.status,
            "stages": pipeline.stages,
            "created_at": _stamp(pipeline.created_at),
            "finished_at": _stamp(pipeline.ended_at),
            "duration": None,
            "queued_duration": None,
            "variables": [{"key": n, "value": v} for n, v in pipeline.variables.items()],
            "url": f"{page}/-/pipelines/{pipeline.id}",
        },
        "merge_request": None,
        "user": user,
        "project": {"id": project.id, "web_url": page, "path_with_namespace": project.path},
        "commit": {"id": pipeline.sha, "message": "", "url": f"{page}/-/commit/{pipeline.sha}"},
        "builds": [
            {
                "id": job.id,
                "stage": job.stage,
                "name": job.name,
                "status": job.status,
                "created_at": _stamp(job.created_at),
                "started_at": _stamp(job.started_at),
                "finished_at": _stamp(job.ended_at),
                "failure_reason": job.reason or None,
                "when": job.about.get("when", "on_success"),
                "manual": job.about.get("when") == "manual",
                "allow_failure": job.may_fail,
                "user": user,
                "runner": None,
            }
            for job in pipeline.now
        ],
    }


def _stamp(moment: float) -> str | None:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S} UTC" if moment else None
