"""Errors of the API as problem+json (RFC 9457): all problems of a request at once."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, JsonResponse
from django.utils.translation import gettext as _
from rest_framework import exceptions
from rest_framework.response import Response

from delivr.failures import Conflict

MEDIA_TYPE = "application/problem+json"
_CODES = {
    400: "invalid",
    401: "not_authenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    409: "conflict",
    413: "too_large",
    415: "unsupported_media_type",
    429: "throttled",
}


class Problem(Exception):
    """An error response, raised as an exception."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        errors: Mapping[str, list[str]] | None = None,
        headers: Mapping[str, str] | None = None,
        extensions: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail
        self.errors = dict(errors or {})
        self.headers = dict(headers or {})
        self.extensions = dict(extensions or {})

    def body(self) -> dict[str, Any]:
        usual = problem_body(self.status, self.code, self.detail, self.errors)
        return {**self.extensions, **usual}


def problem_body(
    status: int, code: str, detail: str, errors: Mapping[str, list[str]] | None = None
) -> dict[str, Any]:
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "errors": dict(errors or {}),
    }


def exception_handler(exc: Exception, context: Mapping[str, Any]) -> Response | None:
    """DRF's hook: turns errors with a response into problems; None leaves the others a 500."""
    from rest_framework.views import set_rollback  # loads settings that name our modules

    problem = as_problem(exc)
    if problem is None:
        return None
    set_rollback()
    return Response(
        problem.body(), status=problem.status, headers=problem.headers, content_type=MEDIA_TYPE
    )


def as_problem(exc: Exception) -> Problem | None:
    if isinstance(exc, Problem):
        return exc
    if isinstance(exc, Conflict):
        return Problem(409, exc.code, exc.message)
    if isinstance(exc, ValidationError):
        return invalid(from_django(exc))
    if isinstance(exc, exceptions.ValidationError):
        return invalid(flatten(exc.detail))
    if isinstance(exc, Http404 | exceptions.NotFound):
        return Problem(404, "not_found", _("Not found."))
    if isinstance(exc, PermissionDenied):
        return Problem(403, "forbidden", _("Your role does not allow this."))
    if isinstance(exc, exceptions.APIException):
        return _from_api_exception(exc)
    return None


def _from_api_exception(exc: exceptions.APIException) -> Problem:
    headers = {}
    if authenticate := getattr(exc, "auth_header", None):
        headers["WWW-Authenticate"] = authenticate
    if wait := getattr(exc, "wait", None):
        headers["Retry-After"] = str(int(wait))
    code = _CODES.get(exc.status_code, "error")
    return Problem(exc.status_code, code, str(exc.detail), headers=headers)


def invalid(errors: Mapping[str, list[str]]) -> Problem:
    return Problem(400, "invalid", _("Some fields need attention."), errors)


def throttled(detail: str, seconds: int) -> Problem:
    return Problem(429, "throttled", detail, headers={"Retry-After": str(seconds)})


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def from_django(error: ValidationError) -> dict[str, list[str]]:
    if not hasattr(error, "error_dict"):
        return {"request": list(error.messages)}
    return {
        "request" if name == "__all__" else camel(name): list(messages)
        for name, messages in error.message_dict.items()
    }


def flatten(detail: Any, path: str = "") -> dict[str, list[str]]:
    """DRF's nested errors as `{field: [message, …]}`; list items as `targets.0`."""
    if isinstance(detail, Mapping):
        found: dict[str, list[str]] = {}
        for key, value in detail.items():
            name = "request" if key == "non_field_errors" else str(key)
            found.update(flatten(value, f"{path}.{name}" if path else name))
        return found
    if isinstance(detail, list):
        return {path or "request": [str(item) for item in detail]}
    return {path or "request": [str(detail)]}


def problem_response(request: HttpRequest, problem: Problem) -> JsonResponse:
    """The same for plain Django views (webhooks, unknown API paths)."""
    return JsonResponse(
        problem.body(), status=problem.status, content_type=MEDIA_TYPE, headers=problem.headers
    )
