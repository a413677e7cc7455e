"""What a Pipeline asks a person in its `input` step.

https://www.jenkins.io/doc/pipeline/steps/pipeline-input-step/
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..http import dicts
from .client import JenkinsClient
from .reading import one_line


def questions_of(client: JenkinsClient, path: str, document: Mapping[str, Any]) -> list[str]:
    """The open questions of a running build at `path`, in words."""
    if not str(document.get("_class")).endswith("WorkflowRun"):
        return []
    exported = [action for action in dicts(document.get("actions")) if _is_input(action)]
    if exported:
        return [_exported(e) for a in exported for e in dicts(a["executions"]) if _is_open(e)]
    # Older versions of the step's plugin export nothing: then the Pipeline REST API tells.
    # https://plugins.jenkins.io/pipeline-rest-api/
    return [_quoted(one.get("message")) for one in _pending(client, path)]


def _is_input(action: Mapping[str, Any]) -> bool:
    return str(action.get("_class")).endswith("InputAction") and "executions" in action


def _is_open(execution: Mapping[str, Any]) -> bool:
    return execution.get("settled") is not True


def _exported(execution: Mapping[str, Any]) -> str:
    asked = execution.get("input")
    asked = asked if isinstance(asked, dict) else {}
    who = asked.get("submitter")
    may = f" It may be answered by {one_line(who)}." if isinstance(who, str) and who else ""
    return f"{_quoted(asked.get('message'))}{may}"


def _quoted(message: object) -> str:
    words = one_line(message) if isinstance(message, str) else ""
    return f"It asks: “{words}”" if words else "It asks a question."


def _pending(client: JenkinsClient, path: str) -> list[dict[str, Any]]:
    answer = client.ask("GET", f"{path}/wfapi/pendingInputActions")
    if answer.status_code != 200:
        return []  # the plugin is missing
    try:
        return dicts(json.loads(answer.content))
    except (ValueError, RecursionError):
        return []
