"""Account pages that allauth lacks, and the workspace's rule for second factors."""

from __future__ import annotations

from allauth.account.decorators import reauthentication_required
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from delivr.pages import timezones
from delivr.signin.forms import ProfileForm, TimeZoneForm
from delivr.signin.second_factor import (
    has_second_factor,
    lacks_for_admin,
    lacks_for_tenant,
    require_second_factor,
)
from delivr.tenants.closing import delete_account
from delivr.tenants.decorators import tenant_required
from delivr.tenants.middleware import TenantRequest
from delivr.tenants.models import Role
from delivr.tenants.roles import solely_owned


@require_GET
@login_required
def needed(request: HttpRequest) -> HttpResponse:
    """Explains why no other page opens yet, and what to do."""
    context = {
        "for_tenant": lacks_for_tenant(request),
        "for_admin": lacks_for_admin(request.user),  # type: ignore[arg-type]
    }
    return render(request, "account/second_factor_needed.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_required(Role.OWNER)
def security(request: TenantRequest) -> HttpResponse:
    if request.method == "POST":
        required = request.POST.get("required") == "1"
        try:
            require_second_factor(tenant=request.tenant, actor=request.user, required=required)
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
        else:
            messages.success(request, _("Saved."))
        return redirect("settings_security")
    context = {"has_second_factor": has_second_factor(request.user)}
    return render(request, "settings/security.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def profile(request: HttpRequest) -> HttpResponse:
    form = ProfileForm(request.POST or None, instance=request.user)
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, _("Saved."))
        return redirect("account_profile")
    return render(request, "account/profile.html", {"form": form})


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def time_zone(request: HttpRequest) -> HttpResponse:
    form = TimeZoneForm(request.POST or None, instance=request.user)
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, _("Saved."))
        return redirect("account_time_zone")
    context = {
        "form": form,
        "zones": timezones.names(),
        "browsers": timezones.browser_zone(request),
        "now": timezone.now(),
    }
    return render(request, "account/time_zone.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@reauthentication_required(app="delivr.signin")  # type: ignore[untyped-decorator]
def delete(request: HttpRequest) -> HttpResponse:
    user = request.user
    if request.method == "POST":
        try:
            delete_account(user=user)  # type: ignore[arg-type]
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
            return redirect("account_delete")
        logout(request)
        messages.success(request, _("Your account is deleted."))
        return redirect("account_login")
    return render(request, "account/delete.html", {"held": solely_owned(user)})  # type: ignore[arg-type]
