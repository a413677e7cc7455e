"""The API of the audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from delivr.api.base import TenantView
from delivr.api.problems import invalid
from delivr.audit.models import AuditEvent
from delivr.audit.wording import sentence
from delivr.date_bounds import read_datetime


class AuditEventSerializer(serializers.ModelSerializer[AuditEvent]):
    actorId = serializers.IntegerField(source="actor_id", allow_null=True)
    actor = serializers.CharField(source="actor_label")
    words = serializers.SerializerMethodField(help_text="What was done, after the actor's name.")
    subjectId = serializers.CharField(source="subject_id")
    subject = serializers.CharField(source="subject_label")
    changes = serializers.DictField(
        help_text='`{"field": [before, after]}`; of a secret only "changed" or "removed".'
    )

    class Meta:
        model = AuditEvent
        fields = [
            "id",
            "at",
            "actorId",
            "actor",
            "action",
            "words",
            "subjectId",
            "subject",
            "changes",
        ]

    def get_words(self, event: AuditEvent) -> str:
        return sentence(event)


class AuditEventList(TenantView):
    @extend_schema(
        parameters=[
            OpenApiParameter("action", str),
            OpenApiParameter("actor", str, description="The email address."),
            OpenApiParameter("subjectId", str),
            OpenApiParameter("since", OpenApiTypes.DATETIME),
        ],
        responses=AuditEventSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        asked = request.query_params
        tests: dict[str, Any] = {
            "action": asked.get("action"),
            "actor_label__iexact": asked.get("actor"),
            "subject_id": asked.get("subjectId"),
            "at__gte": _parse_datetime(asked["since"]) if "since" in asked else None,
        }
        rows = AuditEvent.objects.for_tenant(self.tenant)
        rows = rows.filter(**{name: value for name, value in tests.items() if value})
        return self.page(rows, AuditEventSerializer, ordering=("-at", "-pk"))


def _parse_datetime(text: str) -> datetime:
    """Raises Problem 400 unless it is a date and time with a UTC offset."""
    parsed = read_datetime(text)
    if parsed is None:
        raise invalid({"since": [_("Write it like 2026-01-31T12:00:00Z.")]})
    return parsed
