"""Access to the running sandbox from its views."""

from __future__ import annotations

from flask import current_app, request

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
