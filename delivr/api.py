"""The ground of the HTTP API: who asks, in which workspace, how lists and retries work."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework import exceptions, pagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from delivr.problems import Problem, invalid
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

    def get_page_size(self, request: Request) -> int:
        text = request.query_params.get("limit")
        if text is None:
            return self.page_size
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= self.max_page_size):
            raise invalid({"limit": [_("Choose a number from 1 to 100.")]})
        return int(text)

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


class StrictSerializer(Serializer[Any]):
    """Refuses fields that it does not know: a typo is an error, not silence."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict) and (unknown := sorted(set(data) - set(self.fields))):
            known = {name: [_("There is no such field.")] for name in unknown}
            try:
                super().to_internal_value(data)
            except exceptions.ValidationError as error:
                known = {**error.detail, **known}  # type: ignore[dict-item]
            raise exceptions.ValidationError(known)  # type: ignore[arg-type]
        return super().to_internal_value(data)


class TenantView(APIView):
    """A view of one workspace. `self.tenant` and `self.actor` are those of the request."""

    read_role, write_role = Role.VIEWER, Role.MEMBER

    @property
    def tenant(self) -> Tenant:
        tenant: Tenant = self.request.tenant  # type: ignore[attr-defined]
        return tenant

    @property
    def actor(self) -> User:
        user: User = self.request.user  # type: ignore[assignment]
        return user

    def parse(self, serializer: type[Serializer[Any]], **kwargs: Any) -> dict[str, Any]:
        """The request's body in shape, or a 400 with all that is wrong with it."""
        parsed = serializer(data=self.request.data, **kwargs)
        parsed.is_valid(raise_exception=True)
        return dict(parsed.validated_data)

    def page(self, rows: Any, serializer: type[Serializer[Any]], ordering: Any = None) -> Response:
        paginator = CursorPagination()
        if ordering:
            paginator.ordering = ordering
        found = paginator.paginate_queryset(rows, self.request, view=self)
        data = serializer(found, many=True, context={"request": self.request}).data
        return paginator.get_paginated_response(data)

    def once(self, work: Callable[[], Response]) -> Response:
        """Do `work`, or replay its first answer where the request carries an Idempotency-Key."""
        return Idempotency(self.request, self.tenant).run(work)


class Idempotency:
    """One key, one answer: https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/"""

    def __init__(self, request: Request, tenant: Tenant) -> None:
        self.key = request.headers.get(IDEMPOTENCY_HEADER, "")
        self.tenant = tenant
        text = json.dumps(request.data, sort_keys=True, default=str)
        scope = f"{request.method} {request.get_full_path()} {request.user.pk} {text}"
        self.fingerprint = hashlib.sha256(scope.encode()).hexdigest()

    def run(self, work: Callable[[], Response]) -> Response:
        if not self.key:
            return work()
        if len(self.key) > 255:
            raise invalid({IDEMPOTENCY_HEADER: [_("At most 255 characters.")]})
        row, is_first = self._begin()
        if not is_first:
            return self._replay(row)
        try:
            answer = work()
        except Exception:
            row.delete()  # nothing happened: the same key may try again
            raise
        row.status = answer.status_code
        row.answer = json.dumps(answer.data, default=str)
        row.save()
        return answer

    @transaction.atomic
    def _begin(self) -> tuple[IdempotentRequest, bool]:
        now = timezone.now()
        mine = IdempotentRequest.objects.for_tenant(self.tenant).filter(key=self.key)
        mine.filter(created_at__lt=now - IDEMPOTENCY_LIFE).delete()
        mine.filter(status=None, created_at__lt=now - IDEMPOTENCY_STUCK).delete()
        return IdempotentRequest.objects.get_or_create(
            tenant=self.tenant, key=self.key, defaults={"fingerprint": self.fingerprint}
        )

    def _replay(self, row: IdempotentRequest) -> Response:
        if row.fingerprint != self.fingerprint:
            raise Problem(
                422, "idempotency_key_reused", _("This Idempotency-Key belongs to another request.")
            )
        if row.status is None or row.answer is None:
            raise Problem(
                409, "still_running", _("The first request with this Idempotency-Key still runs.")
            )
        answer = Response(json.loads(row.answer.reveal()), status=row.status)
        answer["Idempotent-Replayed"] = "true"
        return answer
