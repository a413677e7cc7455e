"""Pages of no app: the front door, health, errors."""

from __future__ import annotations

from allauth.mfa.models import Authenticator
from django.apps import apps
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from delivr.problems import Problem, problem_response
from delivr.secrets import secret_fields
from delivr.signin.sealing import unseal


@require_safe
def livez(request: HttpRequest) -> JsonResponse:
    """The process answers."""
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """The database answers and the keys open what is stored."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        open_one_secret()
    except Exception:  # whatever it is, the balancer only needs to know that we are not ready
        return JsonResponse({"status": "unavailable"}, status=503)
    return JsonResponse({"status": "ok"})


def open_one_secret() -> None:
    """Raises SecretUnreadable if a stored secret (the first of each kind) cannot be opened."""
    for model in apps.get_models():
        for field in secret_fields(model):
            row = model._default_manager.exclude(**{f"{field.name}__isnull": True}).first()
            if row is not None:
                getattr(row, field.name).reveal()
    factor = Authenticator.objects.filter(type=Authenticator.Type.TOTP).first()
    if factor is not None:
        unseal(factor.data["secret"])


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """The form is too old or comes from elsewhere: in words, as page or as problem."""
    detail = _("This form is out of date. Reload the page and send it again.")
    if request.path.startswith("/api/"):
        return problem_response(request, Problem(403, "csrf", detail))
    return render(request, "403.html", {"detail": detail}, status=403)


def api_not_found(request: HttpRequest, path: str = "") -> JsonResponse:
    return problem_response(request, Problem(404, "not_found", _("There is no such thing here.")))
