"""Why a pipeline does not go on, and why a job failed, in words."""

from __future__ import annotations

from collections.abc import Sequence

from .reading import Job, Pipeline

_SHOWN = 3  # names, the rest as a number

# https://docs.gitlab.com/api/jobs/ and GitLab's own list of reasons
FAILURES = {
    "script_failure": "one of its commands failed",
    "api_failure": "GitLab's own API failed",
    "archived_failure": "the project's jobs of this age are archived",
    "bridge_pipeline_is_child_pipeline": "child pipelines are nested too deeply",
    "builds_disabled": "CI/CD is disabled in the project",
    "ci_quota_exceeded": "the compute minutes of the project's group are used up",
    "data_integrity_failure": "GitLab found its data inconsistent",
    "deployment_rejected": "somebody rejected its deployment",
    "downstream_bridge_project_not_found": "GitLab cannot find the project to start a pipeline in",
    "downstream_pipeline_creation_failed": "the downstream pipeline could not be created",
    "environment_creation_failure": "its environment could not be created",
    "failed_outdated_deployment_job": "a newer deployment had been made",
    "forward_deployment_failure": "a newer deployment had been made",
    "insufficient_bridge_permissions": "the token's user may not start the downstream pipeline",
    "invalid_bridge_trigger": "its trigger is invalid",
    "ip_restriction_failure": "the group allows other IP addresses only",
    "job_execution_server_timeout": "it took longer than GitLab allows",
    "job_execution_timeout": "it took longer than its time limit",
    "missing_dependency_failure": "the artifacts of an earlier job that it needs are gone",
    "no_matching_runner": "no runner has its tags",
    "protected_environment_failure": "the token's user may not deploy to its environment",
    "runner_configuration_error": "its runner is not set up for it",
    "runner_system_failure": "its runner failed",
    "runner_unsupported": "its runner is too old for it",
    "scheduler_failure": "GitLab could not hand it to a runner",
    "secrets_provider_not_found": "the provider of its secrets was not found",
    "stale_schedule": "its delayed start was missed",
    "stuck_or_timeout_failure": "no runner took it, or it stopped reporting",
    "trace_size_exceeded": "its log became too large",
    "unmet_prerequisites": "what it needs could not be prepared",
    "unknown_failure": "GitLab does not know why",
    "upstream_bridge_project_not_found": "GitLab cannot find the project of the upstream pipeline",
    "user_blocked": "the user who started it is blocked",
}


def why_failed(job: Job) -> str:
    words = FAILURES.get(job.reason) or job.reason.replace("_", " ")
    return f": {words}" if words else ""


def why_waiting(pipeline: Pipeline, jobs: Sequence[Job]) -> str:
    """`jobs` are those of the pipeline now, and its bridges."""
    if pipeline.status == "manual":
        return _manual([job for job in jobs if job.status == "manual"])
    named = [f"“{job.name}”" for job in jobs if job.status == pipeline.status]
    words = _WAITS.get(pipeline.status, "")
    return words.format(names=_joined(named, "and") or "its next job")


def _manual(jobs: Sequence[Job]) -> str:
    """Of its manual jobs, those that hold the others up."""
    blocking = [job for job in jobs if not job.is_optional] or list(jobs)
    if not blocking:
        return "Waits until somebody starts its manual job in GitLab."
    names = _joined([f"“{job.name}”" for job in blocking], "or")
    return f"Waits until somebody starts {names} in GitLab (stage {blocking[0].stage})."


_WAITS = {
    "pending": "No runner has taken {names} yet.",
    "preparing": "GitLab prepares {names}.",
    "waiting_for_callback": "GitLab waits for an answer about {names}.",
    "waiting_for_resource": "Another job of the resource group has to end before {names}.",
    "scheduled": "Waits for the delayed start of {names}.",
}


def _joined(names: list[str], word: str) -> str:
    more = len(names) - _SHOWN
    if more > 0:
        return f"{', '.join(names[:_SHOWN])} {word} {more} more"
    return f" {word} ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
