"""Pages for someone who opens the link of an invitation.

The link's secret is only in the URL of one response, a redirect: the session remembers which
invitation it opened, so that no later page, log or Referer contains it. Opening the link does not
use it up, since mail scanners open links, too.
"""

from __future__ import annotations

from allauth.account.utils import perform_login
from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from delivr.failures import Conflict
from delivr.tenants import inviting
from delivr.tenants.forms import NewPasswordForm
from delivr.tenants.middleware import SESSION_KEY
from delivr.tenants.models import Invitation, Membership, User

OPENED = "invitation"  # [id, digest] of what the link opened


@never_cache
@require_safe
def link(request: HttpRequest, secret: str) -> HttpResponse:
    """The link in the mail. The response is the same redirect whether or not the secret is
    valid."""
    found = Invitation.objects.find(secret)
    request.session[OPENED] = [found.pk, found.digest] if found else []
    response = redirect("invitation")
    response["Referrer-Policy"] = "no-referrer"
    return response


def _opened(request: HttpRequest) -> Invitation | None:
    """The opened invitation, if it still may be accepted."""
    noted = request.session.get(OPENED) or ["", ""]
    rows = Invitation.objects.select_related("tenant", "inviter").exclude(digest="")
    found: Invitation | None = rows.filter(pk=noted[0], digest=noted[1]).first()
    return found if found and inviting.may_be_accepted(found) else None


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def invitation(request: HttpRequest) -> HttpResponse:
    """Confirm (if signed in with the invited address), sign in, sign out first, or sign up."""
    found = _opened(request)
    if found is None:
        return _dead(request)
    if request.user.is_authenticated:
        return _for_user(request, found)
    if User.objects.filter(email=found.email).exists():
        return render(request, "invitations/sign_in.html", {"invitation": found})
    return _for_new_user(request, found)


def _dead(request: HttpRequest) -> HttpResponse:
    return render(request, "invitations/dead.html", status=404)


def _for_user(request: HttpRequest, found: Invitation) -> HttpResponse:
    user: User = request.user  # type: ignore[assignment]
    if user.email != found.email:
        return render(request, "invitations/other_address.html", {"invitation": found})
    if Membership.objects.for_tenant(found.tenant).filter(user=user).exists():
        return _enter(request, found)
    if request.method != "POST":
        return render(request, "invitations/confirm.html", {"invitation": found})
    try:
        inviting.accept(invitation=found, user=user)
    except Conflict:
        return _dead(request)
    messages.success(request, _welcome(found))
    return _enter(request, found)


def _enter(request: HttpRequest, found: Invitation) -> HttpResponse:
    request.session.pop(OPENED, None)
    request.session[SESSION_KEY] = found.tenant_id
    return redirect("home")


def _welcome(found: Invitation) -> str:
    return _("Welcome to %(name)s.") % {"name": found.tenant.name}


def _for_new_user(request: HttpRequest, found: Invitation) -> HttpResponse:
    posted = request.POST if request.method == "POST" else None
    form = NewPasswordForm(User(email=found.email), posted)
    if not form.is_valid():
        return render(request, "invitations/sign_up.html", {"invitation": found, "form": form})
    try:
        user = inviting.accept_as_new_user(
            invitation=found, password=form.cleaned_data["new_password1"]
        )
    except Conflict as conflict:
        messages.error(request, conflict.message)
        return redirect("invitation")
    _enter(request, found)
    messages.success(request, _welcome(found))
    return perform_login(request, user, redirect_url="/")  # type: ignore[no-any-return]


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """Sign out and stay with the invitation."""
    opened = request.session.get(OPENED)
    logout(request)
    request.session[OPENED] = opened
    return redirect("invitation")
