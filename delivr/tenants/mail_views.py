"""The page on which a member chooses emails, and the links in them that end them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from delivr import mail, unsubscribe
from delivr.pages.timezones import zone_of
from delivr.tenants.decorators import tenant_required
from delivr.tenants.mail_choices import ABOUT, MailClass, Pace, choices_of, choose, end_pace
from delivr.tenants.middleware import TenantRequest

UNSUBSCRIBE = "member_unsubscribe"


class MailForm(forms.Form):
    """One field for each class, by its name in the API."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for one in MailClass:
            self.fields[one.value] = forms.ChoiceField(
                label=one.label, help_text=ABOUT[one], choices=Pace.choices
            )

    @property
    def chosen(self) -> dict[MailClass, Pace]:
        return {one: Pace(self.cleaned_data[one.value]) for one in MailClass}


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_required()
def notifications(request: TenantRequest) -> HttpResponse:
    member = request.membership
    initial = {one.value: pace.value for one, pace in choices_of(member).items()}
    form = MailForm(request.POST if request.method == "POST" else None, initial=initial)
    if form.is_valid():
        choose(member=member, changes=form.chosen, actor=request.user)
        messages.success(request, _("Saved. It applies to everything from now on."))
        return redirect("settings_notifications")
    context = {
        "form": form,
        "zone": zone_of(request.user),
        "is_set_up": mail.is_set_up(),
        "is_refused": bool(member.mail_refused) and member.mail_refused == request.user.email,
    }
    return render(request, "settings/notifications.html", context)


@csrf_exempt  # mail programs POST without a cookie; the link is signed, and ends only emails to it
@require_http_methods(["GET", "HEAD", "POST"])
def member_unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    tenant_id, member_id, which = unsubscribe.parts_of(UNSUBSCRIBE, token)
    return unsubscribe.answer(
        request,
        what=_("Emails of this kind about releases of one workspace."),
        end=lambda: end_pace(tenant_id=tenant_id, member_id=member_id, which=which),
    )
