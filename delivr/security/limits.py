"""Limits the size of requests."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


class BodyLimit:
    """413 for forms larger than DATA_UPLOAD_MAX_MEMORY_SIZE, which Django does not apply to files.

    Checked before anything is read: otherwise anybody could have whole files written to the disk. A
    body without a length is read as empty. The API and the webhooks have limits of their own.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        length = request.META.get("CONTENT_LENGTH") or "0"
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if not request.path.startswith("/api/") and not (length.isdigit() and int(length) <= most):
            return render(request, "400.html", status=413)
        return self.get_response(request)
