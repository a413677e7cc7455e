"""Pages that belong to no app: the front page, health, errors."""

from __future__ import annotations

import logging
import time
from urllib.parse import quote

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import resolve
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from delivr.api.problems import Problem, problem_response
from delivr.encryption.key_usage import lost_keys

log = logging.getLogger(__name__)


@require_safe
def livez(request: HttpRequest) -> JsonResponse:
    """The process responds."""
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """200 if the database responds and no key is missing. One small query: it may be called often.

    The reason for a 503 is written to the log, for the operator.
    """
    try:
        reason = _LOST_KEY if lost_keys() else ""
    except Exception as error:  # any failure means not ready
        reason = f"The database does not respond ({type(error).__name__})."
    if not reason:
        return JsonResponse({"status": "ok"})
    _log_reason(reason)
    return JsonResponse({"status": "unavailable"}, status=503)


_LOST_KEY = (
    "FERNET_KEYS lacks a key that stored secrets need. Put it back; `manage.py rotate_secrets "
    "--check` names the secrets."
)
_LOG_AGAIN = 60.0  # seconds, so that frequent probes do not flood the log
_logged_at: dict[str, float] = {}


def _log_reason(reason: str) -> None:
    now = time.monotonic()
    if now >= _logged_at.get(reason, -_LOG_AGAIN) + _LOG_AGAIN:
        _logged_at[reason] = now
        log.error("Not ready: %s", reason)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """The form is too old or comes from another site: explained as a page or as a problem."""
    detail = _("This form is out of date. Reload the page and send it again.")
    if request.path.startswith("/api/"):
        return problem_response(request, Problem(403, "csrf", detail))
    return render(request, "403.html", {"detail": detail}, status=403)


@require_safe
def with_slash(request: HttpRequest) -> HttpResponse:
    return redirect("settings_members")


@require_safe
def without_slash(request: HttpRequest, path: str) -> HttpResponse:
    """Lead `/releases/` to `/releases`. Raises Http404 if there is no such page either."""
    target = "/" + path.strip("/")  # two slashes at its beginning would lead to another host
    if resolve(target).func is without_slash:
        raise Http404
    query = request.META.get("QUERY_STRING", "")
    return redirect(f"{quote(target)}{'?' if query else ''}{query}", permanent=True)


def api_not_found(request: HttpRequest, path: str = "") -> JsonResponse:
    return problem_response(request, Problem(404, "not_found", _("Not found.")))
