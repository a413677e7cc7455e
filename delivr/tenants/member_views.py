"""The members of a workspace and its invitations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from delivr.failures import Conflict
from delivr.pages.paging import paged
from delivr.tenants import inviting, membership
from delivr.tenants.decorators import tenant_required
from delivr.tenants.forms import InviteForm
from delivr.tenants.middleware import SESSION_KEY, TenantRequest
from delivr.tenants.models import Invitation, Membership, Role
from delivr.tenants.people import invitation_lines, member_lines


@require_GET
@tenant_required()
def members(request: TenantRequest) -> HttpResponse:
    return _page(request, InviteForm())


def _page(request: TenantRequest, form: InviteForm) -> HttpResponse:
    rows = Membership.objects.for_tenant(request.tenant).select_related("user").order_by("pk")
    page = paged(request, rows, path="/settings/")
    context = {
        "page": page,
        "members": member_lines(request.tenant, page.items, viewer=request.membership),
        "invitations": invitation_lines(request.tenant),
        "form": form,
        "roles": Role.choices,
        "is_owner": request.role == Role.OWNER,
    }
    return render(request, "settings/members.html", context)


@require_POST
@tenant_required(Role.OWNER)
def role_change(request: TenantRequest, member_id: str) -> HttpResponse:
    member = _member(request, member_id)
    changed = _("The role of %(email)s was changed.") % {"email": member.user.email}
    role = request.POST.get("role", "")
    return _do(
        request, changed, membership.change_role, membership=member, role=role, actor=request.user
    )


@require_POST
@tenant_required(Role.OWNER)
def member_remove(request: TenantRequest, member_id: str) -> HttpResponse:
    member = _member(request, member_id)
    removed = _("%(email)s is no longer a member.") % {"email": member.user.email}
    return _do(request, removed, membership.remove_member, membership=member, actor=request.user)


@require_POST
@tenant_required()
def leave(request: TenantRequest) -> HttpResponse:
    try:
        membership.leave(membership=request.membership)
    except Conflict as conflict:
        messages.error(request, conflict.message)
        return redirect("settings_members")
    request.session.pop(SESSION_KEY, None)
    messages.success(request, _("You left %(name)s.") % {"name": request.tenant.name})
    return redirect("home")


def _member(request: TenantRequest, member_id: str) -> Membership:
    rows = Membership.objects.for_tenant(request.tenant).select_related("user", "tenant")
    found: Membership = get_object_or_404(rows, public_id=member_id)
    return found


# --- Invitations ----------------------------------------------------------------------------------


@require_POST
@tenant_required(Role.OWNER)
def invite(request: TenantRequest) -> HttpResponse:
    form = InviteForm(request.POST)
    if not (form.is_valid() and form.invite(tenant=request.tenant, actor=request.user)):
        return _page(request, form)
    messages.success(request, _("The invitation is being sent."))
    return redirect("settings_members")


@require_POST
@tenant_required(Role.OWNER)
def invitation_send(request: TenantRequest, invitation_id: str) -> HttpResponse:
    return _change_invitation(
        request, invitation_id, inviting.send_again, _("The invitation is being sent again.")
    )


@require_POST
@tenant_required(Role.OWNER)
def invitation_revoke(request: TenantRequest, invitation_id: str) -> HttpResponse:
    return _change_invitation(
        request, invitation_id, inviting.revoke, _("The invitation is revoked.")
    )


def _change_invitation(
    request: TenantRequest, invitation_id: str, operation: Callable[..., Any], done: str
) -> HttpResponse:
    rows = Invitation.objects.for_tenant(request.tenant).select_related("tenant")
    invitation = get_object_or_404(rows, pk=invitation_id)
    return _do(request, done, operation, invitation=invitation, actor=request.user)


def _do(
    request: TenantRequest, done: str, operation: Callable[..., Any], **values: Any
) -> HttpResponse:
    """Run the operation, show a message with the result, and return to the list."""
    try:
        operation(**values)
        messages.success(request, done)
    except Conflict as conflict:
        messages.error(request, conflict.message)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return redirect("settings_members")
