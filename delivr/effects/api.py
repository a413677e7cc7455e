"""The API of the ledger: everything that was or will be sent outside."""

from __future__ import annotations

from django.http import Http404
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from delivr.api import TenantView
from delivr.conflict import Conflict
from delivr.effects.models import Effect, EffectState
from delivr.effects.operations import cancel_effect, retry_effect
from delivr.problems import invalid
from delivr.tenants.models import Role


class EffectSerializer(serializers.ModelSerializer[Effect]):
    state = serializers.ChoiceField(EffectState.choices)
    integrationId = serializers.CharField(source="integration_id")
    releaseId = serializers.CharField(source="release_id")
    buildId = serializers.CharField(source="build_id")
    nextAt = serializers.DateTimeField(source="next_at")
    expiresAt = serializers.DateTimeField(source="expires_at")
    lastErrorCode = serializers.CharField(source="last_error_code")
    lastError = serializers.CharField(source="last_error")
    hint = serializers.CharField(source="last_error_hint")
    createdAt = serializers.DateTimeField(source="created_at")
    doneAt = serializers.DateTimeField(source="done_at", allow_null=True)

    class Meta:
        model = Effect
        fields = [
            "id",
            "kind",
            "state",
            "integrationId",
            "releaseId",
            "buildId",
            "attempts",
            "nextAt",
            "expiresAt",
            "lastErrorCode",
            "lastError",
            "hint",
            "result",
            "createdAt",
            "doneAt",
        ]


class EffectList(TenantView):
    @extend_schema(
        parameters=[
            OpenApiParameter("state", str, enum=EffectState.values),
            OpenApiParameter("releaseId", str),
            OpenApiParameter("kind", str),
        ],
        responses=EffectSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        rows = Effect.objects.for_tenant(self.tenant)
        state = request.query_params.get("state")
        if state and state not in EffectState.values:
            known = ", ".join(EffectState.values)
            raise invalid({"state": [_("Choose one of: %(known)s.") % {"known": known}]})
        wanted = {
            "state": state,
            "release_id": request.query_params.get("releaseId"),
            "kind": request.query_params.get("kind"),
        }
        rows = rows.filter(**{name: value for name, value in wanted.items() if value})
        return self.page(rows, EffectSerializer)


class RetryEffect(TenantView):
    write_role = Role.ADMIN

    @extend_schema(request=None, responses={202: EffectSerializer})
    def post(self, request: Request, effect_id: str) -> Response:
        effect = Effect.objects.for_tenant(self.tenant).filter(pk=effect_id).first()
        if effect is None:
            raise Http404
        if not effect.may_retry:
            raise Conflict("not_dead", _("Only an effect that gave up can be retried."))
        effect = retry_effect(effect=effect, actor=self.actor)
        return Response(EffectSerializer(effect).data, status=202)


class CancelEffect(TenantView):
    write_role = Role.ADMIN

    @extend_schema(request=None, responses={202: EffectSerializer})
    def post(self, request: Request, effect_id: str) -> Response:
        effect = Effect.objects.for_tenant(self.tenant).filter(pk=effect_id).first()
        if effect is None:
            raise Http404
        if not effect.may_cancel:
            raise Conflict("on_its_way", _("This effect is on its way or already settled."))
        effect = cancel_effect(effect=effect, actor=self.actor)
        return Response(EffectSerializer(effect).data, status=202)
