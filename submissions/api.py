"""The API of pre-flight checks and submissions."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from delivr.api.base import TenantView
from integrations.providers.stores import Act
from integrations.throttle import throttle
from releases.models import Release
from submissions import preflight
from submissions.health.shown import HEALTH
from submissions.health.wishes import RuleWish
from submissions.models import Submission
from submissions.operations import act_on, submit
from submissions.plans import Wishes
from submissions.serializers import (
    ACTS,
    NewSubmissionSerializer,
    PreflightSerializer,
    SubmissionSerializer,
)


class ReleasePreflight(TenantView):
    @extend_schema(responses=PreflightSerializer)
    def get(self, request: Request, release_id: str) -> Response:
        return self._shown(self.get_or_404(Release.objects, pk=release_id), status=200)

    @extend_schema(request=None, responses={202: PreflightSerializer})
    def post(self, request: Request, release_id: str) -> Response:
        release = self.get_or_404(Release.objects, pk=release_id)
        throttle("pre-flight", user=self.actor)
        preflight.ask(release)
        return self._shown(release, status=202)

    def _shown(self, release: Release, *, status: int) -> Response:
        data = PreflightSerializer({"targets": preflight.parts_of(release)}).data
        return Response(data, status=status)


class ReleaseSubmissions(TenantView):
    @extend_schema(request=NewSubmissionSerializer, responses={202: SubmissionSerializer})
    def post(self, request: Request, release_id: str) -> Response:
        return self.once(lambda: self._submit(release_id))

    def _submit(self, release_id: str) -> Response:
        release = self.get_or_404(Release.objects, pk=release_id)
        shape = self.shape(NewSubmissionSerializer)
        values = dict(shape.values)
        target_id = values.pop("target_id", "")
        if (build := values.pop("store_build", None)) is not None:
            values["store_build"] = build.get("buildNumber") or build.get("versionCode") or ""
        rules = values.pop("rollout_rules", [])
        values["rollout_rules"] = [RuleWish(**rule) for rule in rules]
        with shape.complaints():
            row = submit(
                release=release,
                actor=self.actor,
                target_id=target_id,
                wishes=Wishes(**values),
                known_errors=shape.errors,
            )
        return Response(SubmissionSerializer(row).data, status=202)


FILTERS = [OpenApiParameter("releaseId", str, description="Those of one release.")]


class SubmissionList(TenantView):
    @extend_schema(parameters=FILTERS, responses=SubmissionSerializer(many=True))
    def get(self, request: Request) -> Response:
        rows = Submission.objects.for_tenant(self.tenant).prefetch_related("events", *HEALTH)
        if release_id := request.query_params.get("releaseId"):
            rows = rows.filter(release=release_id)
        return self.page(rows, SubmissionSerializer)


class SubmissionDetail(TenantView):
    @extend_schema(responses=SubmissionSerializer)
    def get(self, request: Request, submission_id: str) -> Response:
        return Response(SubmissionSerializer(_find(self, submission_id)).data)


_ACT = OpenApiParameter("act", str, OpenApiParameter.PATH, enum=ACTS)


class SubmissionAct(TenantView):
    @extend_schema(parameters=[_ACT], request=None, responses={202: SubmissionSerializer})
    def post(self, request: Request, submission_id: str, act: str) -> Response:
        row = _find(self, submission_id)
        if act not in ACTS:
            raise Http404
        return self.once(lambda: self._act(row, Act(act)))

    def _act(self, row: Submission, act: Act) -> Response:
        done = act_on(submission=row, act=act, actor=self.actor)
        return Response(SubmissionSerializer(done).data, status=202)


def _find(view: TenantView, submission_id: str) -> Submission:
    rows: Any = Submission.objects.prefetch_related("events", *HEALTH)
    found: Submission = view.get_or_404(rows, pk=submission_id)
    return found
