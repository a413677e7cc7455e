"""Determines the workspace of every request."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from delivr.tenants.models import Membership, Role, Tenant, User

SESSION_KEY = "tenant"


class TenantRequest(HttpRequest):
    """A request of a signed-in member. `role` is that of the session or of the API token."""

    tenant: Tenant
    membership: Membership
    memberships: list[Membership]
    role: Role
    user: User


class TenantMiddleware:
    """Sets `request.tenant`, `.membership`, `.memberships` and `.role` (None without a membership).

    A request without a session (a webhook, a script with a token) costs no query here.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        memberships = memberships_of(request)
        wanted = request.session.get(SESSION_KEY) if memberships else None
        chosen = [m for m in memberships if m.tenant_id == wanted] or memberships
        enter(request, chosen[0] if chosen else None)
        request.memberships = memberships  # type: ignore[attr-defined]
        return self.get_response(request)


def memberships_of(request: HttpRequest) -> list[Membership]:
    """They were read with the user (`delivr.signin.backends`); this makes no query."""
    return getattr(request.user, "known_memberships", [])


def enter(request: HttpRequest, membership: Membership | None) -> None:
    """Let the request act in the membership's workspace, with its role."""
    request.membership = membership  # type: ignore[attr-defined]
    request.tenant = membership.tenant if membership else None  # type: ignore[attr-defined]
    request.role = Role(membership.role) if membership else None  # type: ignore[attr-defined]
