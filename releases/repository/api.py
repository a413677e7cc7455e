"""The API of changes, and of the workspace's release settings."""

from __future__ import annotations

import re
from typing import Any

from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from delivr.api.base import TenantView
from delivr.api.problems import invalid
from delivr.tenants.models import Role
from releases.models import Change, Release
from releases.repository.serializers import (
    ChangeSerializer,
    FoundChangeSerializer,
    StepsSerializer,
)
from releases.repository.steps import change_settings, settings_of
from releases.tickets.serializers import TicketStepsSerializer

_SHA = re.compile(r"[0-9a-f]{7,64}")
LONGEST_KEY = 60


class ReleaseSettingsSerializer(serializers.Serializer[Any]):
    """The defaults for new releases."""

    repository = StepsSerializer(required=False)
    ticketSteps = TicketStepsSerializer(required=False)


class ReleaseSettingsView(TenantView):
    write_role = Role.ADMIN

    @extend_schema(responses=ReleaseSettingsSerializer)
    def get(self, request: Request) -> Response:
        return self._shown(settings_of(self.tenant))

    @extend_schema(request=ReleaseSettingsSerializer, responses=ReleaseSettingsSerializer)
    def patch(self, request: Request) -> Response:
        given = self.shape(ReleaseSettingsSerializer).done()
        steps = given.get("repository", {}) | given.get("ticketSteps", {})
        return self._shown(change_settings(tenant=self.tenant, actor=self.actor, steps=steps))

    def _shown(self, row: Any) -> Response:
        return Response(
            {
                "repository": StepsSerializer(row).data,
                "ticketSteps": TicketStepsSerializer(row).data,
            }
        )


class ReleaseChanges(TenantView):
    """The changes of one release, newest first."""

    @extend_schema(responses=ChangeSerializer(many=True))
    def get(self, request: Request, release_id: str) -> Response:
        release = get_object_or_404(Release.objects.for_tenant(self.tenant), pk=release_id)
        return self.page(
            release.changes.all(), ChangeSerializer, ordering=("position",), is_by_number=True
        )


FILTERS = [
    OpenApiParameter("ticket", str, description="A ticket's key: APP-123."),
    OpenApiParameter("sha", str, description="A commit's id, or its first 7 characters or more."),
]


class ChangeList(TenantView):
    """Finds the releases that contain a ticket or a commit."""

    @extend_schema(parameters=FILTERS, responses=FoundChangeSerializer(many=True))
    def get(self, request: Request) -> Response:
        rows = Change.objects.for_tenant(self.tenant).select_related("release")
        wanted = {p.name: request.query_params.get(p.name, "").strip() for p in FILTERS}
        if bool(wanted["ticket"]) == bool(wanted["sha"]):
            words = [_("Send either a ticket or a commit.")]
            raise invalid({"ticket": words, "sha": words})
        if wanted["sha"]:
            rows = rows.with_sha(_sha(wanted["sha"]))
        else:
            rows = rows.with_ticket(_key(wanted["ticket"]))
        return self.page(rows, FoundChangeSerializer, ordering=("-pk",), is_by_number=True)


def _sha(text: str) -> str:
    if not _SHA.fullmatch(text.lower()):
        raise invalid({"sha": [_("Enter at least 7 characters of the commit's id.")]})
    return text.lower()


def _key(text: str) -> str:
    if len(text) > LONGEST_KEY:
        raise invalid({"ticket": [_("This is not a ticket key.")]})
    return text.upper()
