"""The API of builds, their effects and the webhook deliveries about them."""

from __future__ import annotations

import re
from typing import Any

from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from builds.activity.tracing import causes_of, consequences_of, subject_of
from builds.adopting import adopt_build, adopt_offer
from builds.artifacts import OpenArtifact, attachment, open_artifact
from builds.cancelling import cancel_build, cancel_release, force_cancel
from builds.models import Build, DeliveryQuerySet, DeliveryState, WebhookDelivery
from builds.serializers import (
    AdoptOfferSerializer,
    AdoptSerializer,
    ArtifactLinkSerializer,
    DeliverySerializer,
    EffectDetailSerializer,
    TriggeredSerializer,
    TriggerSerializer,
    show_deliveries,
)
from builds.triggering import NoSuchPipeline, trigger_builds
from builds.trying import try_now
from builds.webhooks.deliveries import replay
from delivr.api.base import Shape, TenantView
from delivr.api.problems import invalid
from delivr.effects.api import EffectSerializer
from delivr.effects.models import Effect
from delivr.tenants.models import Role, Tenant
from integrations.throttle import throttled_call
from releases.api import present_release
from releases.models import Release
from releases.serializers import BuildSerializer, ReleaseSerializer

_PIPELINE_ID = re.compile(r"pipeline_[0-9A-Za-z_]{1,31}")


class ReleaseBuilds(TenantView):
    @extend_schema(request=TriggerSerializer, responses={202: TriggeredSerializer})
    def post(self, request: Request, release_id: str) -> Response:
        return self.once(lambda: self._trigger(release_id))

    def _trigger(self, release_id: str) -> Response:
        release = self.get_or_404(Release.objects, pk=release_id)
        wanted = Shape(TriggerSerializer, self.request.data).done()
        try:
            builds = trigger_builds(release=release, actor=self.actor, **wanted)
        except NoSuchPipeline:
            field = "pipelineId" if "pipeline_id" in wanted else "platform"
            raise invalid({field: [_("This release has no such pipeline.")]}) from None
        rows = Build.objects.select_related("release_pipeline").filter(
            pk__in=[build.pk for build in builds]
        )
        data = TriggeredSerializer({"builds": rows.order_by("created_at", "release_pipeline")}).data
        return Response(data, status=202)


class DeliveryList(TenantView):
    @extend_schema(
        parameters=[
            OpenApiParameter("pipelineId", str),
            OpenApiParameter("state", str, enum=DeliveryState.values),
        ],
        responses=DeliverySerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        rows = deliveries(self.tenant)
        if pipeline_id := request.query_params.get("pipelineId"):
            if not _PIPELINE_ID.fullmatch(pipeline_id):
                raise invalid({"pipelineId": [_("Enter the id of a pipeline: pipeline_…")]})
            rows = rows.filter(pipeline=pipeline_id)
        if state := request.query_params.get("state"):
            if state not in DeliveryState.values:
                known = ", ".join(DeliveryState.values)
                raise invalid({"state": [_("Choose one of: %(known)s.") % {"known": known}]})
            rows = rows.in_state(state)
        return self.page(rows, show_deliveries, ordering=("-received_at", "-pk"))


def deliveries(tenant: Tenant) -> DeliveryQuerySet:
    """The tenant's deliveries with everything that a response needs."""
    rows: DeliveryQuerySet = WebhookDelivery.objects.for_tenant(tenant)
    return rows.defer("body").select_related("build__release_pipeline").prefetch_related("events")


class DeliveryDetail(TenantView):
    @extend_schema(responses=DeliverySerializer)
    def get(self, request: Request, delivery_id: str) -> Response:
        return Response(show_delivery(self, delivery_id))


def show_delivery(view: TenantView, delivery_id: str) -> Any:
    row = view.get_or_404(deliveries(view.tenant), pk=delivery_id)
    return show_deliveries(row, many=False, context={}).data


class EffectDetail(TenantView):
    @extend_schema(responses=EffectDetailSerializer)
    def get(self, request: Request, effect_id: str) -> Response:
        effect = self.get_or_404(Effect.objects, pk=effect_id)
        release, build = subject_of(effect)
        context = {
            "causes": causes_of(effect, release, build),
            "consequences": consequences_of(effect, build),
        }
        return Response(EffectDetailSerializer(effect, context=context).data)


class CancelBuild(TenantView):
    @extend_schema(request=None, responses={202: BuildSerializer})
    def post(self, request: Request, build_id: str) -> Response:
        build = self.get_or_404(Build.objects, pk=build_id)
        return Response(BuildSerializer(cancel_build(build=build, actor=self.actor)).data, 202)


class ForceCancelBuild(TenantView):
    @extend_schema(request=None, responses={202: BuildSerializer})
    def post(self, request: Request, build_id: str) -> Response:
        build = self.get_or_404(Build.objects, pk=build_id)
        return Response(BuildSerializer(force_cancel(build=build, actor=self.actor)).data, 202)


class ArtifactLink(TenantView):
    read_role = Role.MEMBER

    @extend_schema(
        responses={
            (200, "application/json"): ArtifactLinkSerializer,
            (200, "application/octet-stream"): OpenApiTypes.BINARY,
        }
    )
    def get(self, request: Request, build_id: str, artifact_key: str) -> HttpResponseBase:
        builds = Build.objects.select_related("tenant", "release_pipeline__pipeline")
        build = self.get_or_404(builds, pk=build_id)
        opened = open_artifact(build=build, key=artifact_key, actor=self.actor)
        if isinstance(opened, OpenArtifact):
            return attachment(opened, reader=request.META.get("gunicorn.socket"))
        return Response({"url": opened}, headers={"Cache-Control": "no-store"})


class CancelRelease(TenantView):
    @extend_schema(request=None, responses={202: ReleaseSerializer})
    def post(self, request: Request, release_id: str) -> Response:
        release = self.get_or_404(Release.objects, pk=release_id)
        cancel_release(release=release, actor=self.actor)
        return Response(present_release(self.tenant.pk, release.pk), status=202)


class TryNow(TenantView):
    @extend_schema(request=None, responses={202: ReleaseSerializer})
    def post(self, request: Request, release_id: str) -> Response:
        release = self.get_or_404(Release.objects, pk=release_id)
        try_now(release=release, actor=self.actor)
        return Response(present_release(self.tenant.pk, release.pk), status=202)


class AdoptEffect(TenantView):
    write_role = Role.ADMIN

    @extend_schema(request=AdoptSerializer, responses={200: EffectSerializer})
    def post(self, request: Request, effect_id: str) -> Response:
        effect = self.get_or_404(Effect.objects, pk=effect_id)
        shape = Shape(AdoptSerializer, request.data)
        if "number" not in shape.values:
            shape.errors.setdefault("number", [_("Enter the build number.")])
        number = shape.done()["number"]
        with shape.complaints(), throttled_call("adopt", user=self.actor):
            effect = adopt_build(effect=effect, number=number, actor=self.actor)
        return Response(EffectSerializer(effect).data)


class AdoptOffer(TenantView):
    write_role = Role.ADMIN

    @extend_schema(request=AdoptOfferSerializer, responses={200: BuildSerializer})
    def post(self, request: Request, release_id: str) -> Response:
        release = self.get_or_404(Release.objects, pk=release_id)
        shape = Shape(AdoptOfferSerializer, request.data)
        for name in ("pipeline_id", "offer_id"):
            if name not in shape.values:
                shape.errors.setdefault(name, [_("This field is required.")])
        wanted = shape.done()
        with shape.complaints(), throttled_call("adopt", user=self.actor):
            build = adopt_offer(release=release, actor=self.actor, **wanted)
        return Response(BuildSerializer(build).data)


class ReplayDelivery(TenantView):
    write_role = Role.ADMIN

    @extend_schema(request=None, responses={202: DeliverySerializer})
    def post(self, request: Request, delivery_id: str) -> Response:
        delivery = self.get_or_404(WebhookDelivery.objects, pk=delivery_id)
        replay(delivery, actor=self.actor)
        return Response(show_delivery(self, delivery_id), status=202)
