"""The admin site, which needs our own sign-in and a second factor."""

from __future__ import annotations

import functools
from typing import Any

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _

from delivr.admin_site.panels import panels
from delivr.signin.second_factor import lacks_for_admin


class AdminSite(admin.AdminSite):
    """Staff without a second factor are sent to set one up (SECOND_FACTOR_FOR_STAFF)."""

    site_header = site_title = _("delivr: administration")
    index_title = _("Status")

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        inner = super().admin_view(view, cacheable)

        @functools.wraps(inner)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            user: Any = request.user
            if user.is_authenticated and self.has_permission(request) and lacks_for_admin(user):
                return redirect("second_factor_needed")
            response: HttpResponse = inner(request, *args, **kwargs)
            return response

        return guarded

    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Use our own sign-in: Django's form has neither rate limits nor second factors."""
        page = secure_admin_login(super().login)
        response: HttpResponse = page(request, extra_context)
        return response

    def index(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """The start page, with an overview of the work of all workspaces at the top."""
        shown = panels() if request.user.is_superuser else []
        return super().index(request, {"panels": shown, **(extra_context or {})})
