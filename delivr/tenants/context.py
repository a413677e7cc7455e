"""Template variables about the workspace, for all pages."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from delivr.tenants.models import Role


def workspace(request: HttpRequest) -> dict[str, Any]:
    role = getattr(request, "role", None)
    return {
        "tenant": getattr(request, "tenant", None),
        "memberships": getattr(request, "memberships", []),
        "role": role,
        "may_write": bool(role and role.covers(Role.MEMBER)),
        "may_manage": bool(role and role.covers(Role.ADMIN)),
        "sandbox_url": settings.SANDBOX_URL,
        "has_events": settings.LIVE_EVENTS,
    }
