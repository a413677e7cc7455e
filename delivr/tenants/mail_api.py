"""The API of a member's own emails."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from delivr.api.base import TenantView
from delivr.tenants.mail_choices import MailClass, Pace, choices_of, choose
from delivr.tenants.models import Membership, Role


class NotificationsSerializer(serializers.Serializer[Any]):
    needsMe = serializers.ChoiceField(Pace.choices)
    failures = serializers.ChoiceField(Pace.choices)
    milestones = serializers.ChoiceField(Pace.choices)
    everything = serializers.ChoiceField(Pace.choices)


class MyNotifications(TenantView):
    write_role = Role.VIEWER  # they are the reader's own

    @property
    def _member(self) -> Membership:
        rows = Membership.objects.select_related("user")
        found: Membership = self.get_or_404(rows, user=self.actor)
        return found

    @extend_schema(responses=NotificationsSerializer)
    def get(self, request: Request) -> Response:
        return Response(_shown(self._member))

    @extend_schema(request=NotificationsSerializer, responses=NotificationsSerializer)
    def patch(self, request: Request) -> Response:
        given = self.shape(NotificationsSerializer).done()
        changes = {MailClass(name): Pace(pace) for name, pace in given.items()}
        choose(member=self._member, changes=changes, actor=self.actor)
        return Response(_shown(self._member))


def _shown(member: Membership) -> dict[str, str]:
    return {one.value: pace.value for one, pace in choices_of(member).items()}
