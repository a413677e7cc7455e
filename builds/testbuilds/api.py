"""The API of test builds: start, read, cancel."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from builds.models import TestBuild
from builds.serializers import TestBuildSerializer, TestSerializer
from builds.testbuilds.operations import MAX_PER_MINUTE, cancel_test, start_test
from delivr.api.base import TenantView
from delivr.tenants.models import Role
from integrations.models import PipelineIntegration
from integrations.throttle import throttle


class TestBuilds(TenantView):
    __test__ = False  # not a test class: tell pytest not to collect it
    write_role = Role.ADMIN

    @extend_schema(operation_id="test_builds_list", responses=TestBuildSerializer(many=True))
    def get(self, request: Request, connection_id: str) -> Response:
        rows = self.get_or_404(PipelineIntegration.objects, pk=connection_id).test_builds.all()
        return self.page(rows, TestBuildSerializer, ordering=("-created_at", "-pk"))

    @extend_schema(request=TestSerializer, responses={202: TestBuildSerializer})
    def post(self, request: Request, connection_id: str) -> Response:
        return self.once(lambda: self._start(connection_id))

    def _start(self, connection_id: str) -> Response:
        pipeline = self.get_or_404(PipelineIntegration.objects, pk=connection_id)
        shape = self.shape(TestSerializer)
        wanted = {"version": "0.0.1", "branch": "main", **shape.done()}
        throttle("test build", user=self.actor, limit=MAX_PER_MINUTE)
        with shape.complaints():
            test = start_test(pipeline=pipeline, actor=self.actor, **wanted)
        return Response(TestBuildSerializer(test).data, status=202)


class TestBuildDetail(TenantView):
    __test__ = False  # not a test class: tell pytest not to collect it

    @extend_schema(operation_id="test_builds_retrieve", responses=TestBuildSerializer)
    def get(self, request: Request, test_build_id: str) -> Response:
        return Response(TestBuildSerializer(_find(self, test_build_id)).data)


class CancelTestBuild(TenantView):
    write_role = Role.ADMIN

    @extend_schema(request=None, responses={202: TestBuildSerializer})
    def post(self, request: Request, test_build_id: str) -> Response:
        test = cancel_test(test=_find(self, test_build_id), actor=self.actor)
        return Response(TestBuildSerializer(test).data, status=202)


def _find(view: TenantView, test_build_id: str) -> TestBuild:
    rows = TestBuild.objects.filter(pipeline__disconnected_at=None)
    found: TestBuild = view.get_or_404(rows, pk=test_build_id)
    return found
