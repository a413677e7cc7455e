"""The base of all API views: request bodies, pagination, idempotency."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from rest_framework import exceptions, pagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Field, Serializer
from rest_framework.views import APIView

from delivr.api.problems import Problem, camel, flatten, invalid
from delivr.date_bounds import read_datetime
from delivr.effects import clock
from delivr.tenants.models import IdempotentRequest, Role, Tenant, User

IDEMPOTENCY_HEADER = "Idempotency-Key"
IDEMPOTENCY_LIFE = timedelta(hours=24)
IDEMPOTENCY_STUCK = timedelta(minutes=2)


class CursorPagination(pagination.CursorPagination):
    """`{"results": […], "next": url|null}`, `?limit=` up to 100."""

    page_size = 25
    page_size_query_param = "limit"
    max_page_size = 100
    ordering: Any = ("-created_at", "-pk")
    is_by_number = False  # the first column of `ordering` holds numbers, not times

    def get_page_size(self, request: Request) -> int:
        text = request.query_params.get("limit")
        if text is None:
            return self.page_size
        is_number = text.isascii() and text.isdigit() and len(text) <= 6
        if not (is_number and 1 <= int(text) <= self.max_page_size):
            raise invalid({"limit": [_("Choose a number from 1 to 100.")]})
        return int(text)

    def decode_cursor(self, request: Request) -> Any:
        """The start of the page. Raises Problem 400 for a cursor that is not ours."""
        try:
            cursor = super().decode_cursor(request)
            if cursor is None or cursor.position is None or self._is_position(cursor.position):
                return cursor
        except exceptions.NotFound:
            pass
        raise invalid({"cursor": [_("Use the address in `next` unchanged.")]})

    def _is_position(self, position: Any) -> bool:
        text = str(position)
        if self.is_by_number:
            return text.isascii() and text.isdigit() and len(text) <= 18
        return read_datetime(text) is not None

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"results": data, "next": self.get_next_link()})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "object",
            "required": ["results", "next"],
            "properties": {
                "results": schema,
                "next": {"type": "string", "format": "uri", "nullable": True},
            },
        }


UNKNOWN = "unknown"


class Shape:
    """A parsed request body: the valid values, and the errors of the others.

    Operations get both, so that the response names every problem of a request at once.
    """

    def __init__(self, serializer: type[Serializer[Any]], data: Any) -> None:
        self.values: dict[str, Any] = {}
        self.errors: dict[str, list[str]] = {}
        self.fields = serializer().fields
        if not isinstance(data, Mapping):
            raise invalid({"request": [_("Send a JSON object.")]})
        self.unknown = sorted(str(name) for name in set(data) - set(self.fields))
        self.given = [name for name, _field in self.fields.items() if name in data]
        for name in self.given:
            self._validate(self.fields[name], data[name])
        if self.unknown:
            self.errors[UNKNOWN] = [_("There are unknown fields.")]

    def _validate(self, field: Field[Any, Any, Any, Any], value: Any) -> None:
        try:
            self.values[str(field.source)] = field.run_validation(value)
        except exceptions.ValidationError as error:
            found = flatten(error.detail).values()
            self.errors[str(field.source)] = [words for several in found for words in several]

    def done(self) -> dict[str, Any]:
        """The values. Raises Problem 400 if anything is wrong."""
        if self.errors:
            raise self.problem({})
        return self.values

    def problem(self, errors: Mapping[str, list[str]]) -> Problem:
        """A 400 with the request's own field names: `errors` of an operation together with ours."""
        names = {field.source: name for name, field in self.fields.items()}
        names |= {self.fields[name].source: name for name in self.given}
        found = {**self.errors, **errors}
        found.pop(UNKNOWN, None)
        named = {names.get(key, camel(key)): list(words) for key, words in found.items()}
        return invalid({**named, **{n: [_("There is no such field.")] for n in self.unknown}})

    @contextlib.contextmanager
    def complaints(self) -> Iterator[None]:
        """Around an operation: turns its ValidationError into the problem of this request."""
        try:
            yield
        except ValidationError as error:
            raise self.problem(error.message_dict) from None


class TenantView(APIView):
    """A view of one workspace; `self.tenant` and `self.actor` are those of the request."""

    read_role, write_role = Role.VIEWER, Role.MEMBER
    pagination_class = CursorPagination  # only for the OpenAPI document; `page` does the work
    # No OPTIONS: the framework would respond without checking that the object exists.
    http_method_names = ["get", "head", "post", "patch", "delete"]

    @property
    def tenant(self) -> Tenant:
        tenant: Tenant = self.request.tenant  # type: ignore[attr-defined]
        return tenant

    @property
    def actor(self) -> User:
        user: User = self.request.user  # type: ignore[assignment]
        return user

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if any("\x00" in str(value) for value in kwargs.values()):
            raise Http404  # PostgreSQL cannot store or compare NUL
        if bad := [name for name, value in request.query_params.items() if "\x00" in value]:
            raise invalid({name: [_("NUL characters are not allowed.")] for name in bad})

    def shape(self, serializer: type[Serializer[Any]]) -> Shape:
        return Shape(serializer, self.request.data)

    def get_or_404(self, rows: Any, **lookup: Any) -> Any:
        """The one of the tenant's rows that the lookup finds."""
        return get_object_or_404(rows.for_tenant(self.tenant), **lookup)

    def page(
        self, rows: Any, serializer: Any, ordering: Any = None, *, is_by_number: bool = False
    ) -> Response:
        """One page of rows, each serialized by `serializer(rows, many=True, context=…).data`."""
        paginator = CursorPagination()
        paginator.is_by_number = is_by_number
        if ordering:
            paginator.ordering = ordering
        found: Any = paginator.paginate_queryset(rows, self.request, view=self)
        data = serializer(found, many=True, context={"request": self.request}).data
        return paginator.get_paginated_response(data)

    def once(self, work: Callable[[], Response]) -> Response:
        """Do `work`, or replay its first response if the request carries an Idempotency-Key."""
        return Idempotency(self.request, self.tenant).run(work)


class Idempotency:
    """One response per key: https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/"""

    def __init__(self, request: Request, tenant: Tenant) -> None:
        self.key = request.headers.get(IDEMPOTENCY_HEADER, "")
        self.tenant = tenant
        text = json.dumps(request.data, sort_keys=True, default=str)
        scope = f"{request.method} {request.get_full_path()} {request.user.pk} {text}"
        self.fingerprint = hashlib.sha256(scope.encode()).hexdigest()

    def run(self, work: Callable[[], Response]) -> Response:
        if not self.key:
            return work()
        if len(self.key) > 255 or not self.key.isprintable():
            raise invalid({IDEMPOTENCY_HEADER: [_("At most 255 printable characters.")]})
        row, is_first = self._begin()
        if not is_first:
            return self._replay(row)
        try:
            return self._first(row, work)
        except Exception:
            row.delete()  # nothing was changed: the same key may be used again
            raise

    @transaction.atomic
    def _first(self, row: IdempotentRequest, work: Callable[[], Response]) -> Response:
        """Do the work and store the response in one transaction: a crash leaves both or neither."""
        answer = work()
        row.status = answer.status_code
        row.answer = json.dumps(answer.data, default=str)
        row.save()
        return answer

    @transaction.atomic
    def _begin(self) -> tuple[IdempotentRequest, bool]:
        now = clock.now()
        mine = IdempotentRequest.objects.for_tenant(self.tenant).filter(key=self.key)
        mine.filter(created_at__lt=now - IDEMPOTENCY_LIFE).delete()
        mine.filter(status=None, created_at__lt=now - IDEMPOTENCY_STUCK).delete()
        return IdempotentRequest.objects.get_or_create(
            tenant=self.tenant, key=self.key, defaults={"fingerprint": self.fingerprint}
        )

    def _replay(self, row: IdempotentRequest) -> Response:
        if row.fingerprint != self.fingerprint:
            raise Problem(
                422,
                "idempotency_key_reused",
                _("This Idempotency-Key was used with another request."),
            )
        if row.status is None or row.answer is None:
            raise Problem(
                409,
                "still_running",
                _("The first request with this Idempotency-Key is still running."),
            )
        answer = Response(json.loads(row.answer.reveal()), status=row.status)
        answer["Idempotent-Replayed"] = "true"
        answer["Cache-Control"] = "no-store"  # it may contain a secret that is shown once
        return answer
