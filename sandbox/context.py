"""Access to the running sandbox from its views."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Response, current_app, redirect, request, url_for

from sandbox.accounts import Accounts
from sandbox.state import SandboxState

KEY = "sandbox"


def state() -> SandboxState:
    found: SandboxState = current_app.extensions[KEY]["state"]
    return found


def accounts() -> Accounts:
    found: Accounts = current_app.extensions[KEY]["accounts"]
    return found


def own_url(prefix: str) -> str:
    """The URL by which this request reached the stand-in, such as http://127.0.0.1:8091/jira."""
    return f"{request.host_url.rstrip('/')}/{prefix}"


def to_page(endpoint: str, **query: Any) -> Response:
    """Leads to a page after a form was sent."""
    answer = redirect(url_for(endpoint, **query), 303)
    assert isinstance(answer, Response)  # noqa: S101 -- Flask's own class, for the type checker
    return answer


def clock_time(moment: float) -> str:
    """The time of day, for people."""
    return datetime.fromtimestamp(moment).strftime("%H:%M:%S")
