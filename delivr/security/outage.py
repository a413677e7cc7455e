"""Error responses: 503 "later, please" while the database is away, else 500."""

from __future__ import annotations

import sys

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.views import defaults

from delivr.api.problems import Problem, problem_response

RETRY_AFTER = "5"  # seconds


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's `handler500`. If the database is away, restarts or keeps a lock for too long, the
    request is not at fault: 503 with Retry-After (RFC 9110, 15.6.4). Nothing was committed."""
    is_away = isinstance(sys.exc_info()[1], OperationalError | InterfaceError)
    if request.path.startswith("/api/"):
        broken = Problem(
            500, "internal_error", _("Something went wrong on our side. The log has the details.")
        )
        return problem_response(request, _unavailable() if is_away else broken)
    if not is_away:
        return defaults.server_error(request)
    headers = {"Retry-After": RETRY_AFTER}
    return HttpResponse(render_to_string("503.html"), status=503, headers=headers)


def _unavailable() -> Problem:
    words = _("The database is not available. Nothing was changed; try again in a few seconds.")
    return Problem(503, "unavailable", words, headers={"Retry-After": RETRY_AFTER})
