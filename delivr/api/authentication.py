"""Determines who calls the API, in which workspace and with which role."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import authentication, exceptions, permissions
from rest_framework.request import Request

from delivr.api.problems import Problem
from delivr.api.throttles import count_failure
from delivr.audit.accounts import note_address
from delivr.monitoring.logs import add_ids
from delivr.signin.second_factor import lacks_for_tenant
from delivr.tenants.models import ApiToken, Membership, Role, User


class TokenAuthentication(authentication.BaseAuthentication):
    """`Authorization: Bearer dlv_…`: the token determines the workspace and the role."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        header = request.META.get("HTTP_AUTHORIZATION", "")
        scheme, _space, text = header.partition(" ")
        if scheme.lower() != "bearer":
            return None
        token = ApiToken.objects.find(text.strip())
        membership = (
            token and Membership.objects.filter(tenant=token.tenant_id, user=token.user_id).first()
        )
        if token is None or membership is None or not token.user.is_active:
            if seconds := count_failure(request):
                raise exceptions.Throttled(wait=seconds)
            raise exceptions.AuthenticationFailed(_("This token is unknown, expired or revoked."))
        own = Role(membership.role)
        role = Role(token.role) if own.covers(Role(token.role)) else own
        plain = request._request
        plain.tenant, plain.role, plain.membership = token.tenant, role, membership  # type: ignore[attr-defined]
        add_ids(tenant=token.tenant_id)
        if token.touch():
            note_address(token=token, request=plain)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="delivr"'


class SessionAuthentication(authentication.SessionAuthentication):
    """The browser's session, with CSRF; responds with 401 (not 403) without one."""

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="delivr"'


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "delivr.api.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "dlv_…"}


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "delivr.api.authentication.SessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "apiKey", "in": "cookie", "name": "sessionid"}


class RolePermission(permissions.BasePermission):
    """A member whose role covers what the view requires (`read_role`, `write_role`)."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if not request.user.is_authenticated:
            return False
        role: Role | None = getattr(request, "role", None)
        if role is None:
            return False
        if not isinstance(request.auth, ApiToken) and lacks_for_tenant(request._request):
            raise Problem(
                403,
                "second_factor_required",
                _("Set up a second factor first: open any page of delivr in the browser."),
            )
        safe = request.method in permissions.SAFE_METHODS
        needed = getattr(view, "read_role" if safe else "write_role", None)
        return role.covers(needed or (Role.VIEWER if safe else Role.MEMBER))
