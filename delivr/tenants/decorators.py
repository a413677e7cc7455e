"""Who may open a page."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, cast

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect

from delivr.signin.second_factor import lacks_for_tenant
from delivr.tenants.middleware import TenantRequest
from delivr.tenants.models import Role

View = Callable[..., HttpResponseBase]


def tenant_required(role: Role = Role.VIEWER, write: Role | None = None) -> Callable[[View], View]:
    """The page requires a member with at least `role` (else 403); `write` is for methods other than
    GET.

    Redirects anonymous users to the sign-in page, users without a workspace to the page that
    creates one, and users who lack a required second factor to the page that says so.
    """

    def decorate(view: View) -> View:
        @login_required
        @functools.wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            own: Role | None = cast(TenantRequest, request).role
            if own is None:
                return redirect("new_workspace")
            if lacks_for_tenant(request):
                return redirect("second_factor_needed")
            safe = request.method in ("GET", "HEAD", "OPTIONS")
            if not own.covers(role if safe or write is None else write):
                raise PermissionDenied
            return view(request, *args, **kwargs)

        guarded.delivr_role = role  # type: ignore[attr-defined]
        guarded.delivr_write_role = write or role  # type: ignore[attr-defined]
        return guarded

    return decorate
