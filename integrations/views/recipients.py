"""Recipients of emails who get none any more: their own link, and the button that tries again."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST

from delivr import unsubscribe
from delivr.failures import Conflict
from delivr.tenants.decorators import tenant_required
from delivr.tenants.middleware import TenantRequest
from delivr.tenants.models import Role
from integrations import recipients
from integrations.views import shared
from integrations.views.connections import page_of

VIEW = "mail_unsubscribe"


@csrf_exempt  # mail programs POST without a cookie; the link is signed, and ends only emails to it
@require_http_methods(["GET", "HEAD", "POST"])
def mail_unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    tenant_id, connection_id, hashed = unsubscribe.parts_of(VIEW, token)
    return unsubscribe.answer(
        request,
        what=_("Emails about releases that a workspace sends to your address."),
        end=lambda: recipients.unsubscribe(
            tenant_id=tenant_id, connection_id=connection_id, hashed=hashed
        ),
        begin_again=lambda: recipients.subscribe_again(
            tenant_id=tenant_id, connection_id=connection_id, hashed=hashed
        ),
    )


@require_POST
@tenant_required(Role.ADMIN)
def recipient_again(request: TenantRequest, connection_id: str) -> HttpResponse:
    connection = shared.find(request, "communication", connection_id)
    recipient = request.POST.get("recipient", "")
    try:
        recipients.send_again(connection=connection, recipient=recipient, actor=request.user)  # type: ignore[arg-type]
    except Conflict as conflict:
        messages.error(request, conflict.message)
    else:
        messages.success(
            request, _("The next email goes to %(address)s, too.") % {"address": recipient}
        )
    return redirect(page_of(connection))
