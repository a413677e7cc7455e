"""The API of releases."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from delivr.api.base import Shape, TenantView
from delivr.api.problems import invalid
from delivr.effects.models import Effect
from integrations.choices import Platform
from integrations.providers.ci import BuildStatus
from releases import marks
from releases.blockers import failing_integrations, sweeper_heartbeat, with_surroundings
from releases.messages.muting import mute, unmute
from releases.models import Mark, Release, ReleaseQuerySet, ReleaseStatus
from releases.operations import ReleasePlan, create_release
from releases.preview import preview
from releases.repository.card import newest_changes, with_changes
from releases.repository.steps import Wishes
from releases.serializers import (
    NewReleaseSerializer,
    PreviewSerializer,
    ReleaseLine,
    ReleaseSerializer,
)

CHANGES_SHOWN = 50  # within a release; the rest has an address of its own


def present_release(tenant_id: str, release_id: str) -> dict[str, object]:
    """The release with everything about it, in a constant number of queries. Raises Http404."""
    rows: ReleaseQuerySet = Release.objects.for_tenant(tenant_id).with_everything()
    rows = with_changes(with_surroundings(rows), CHANGES_SHOWN)
    release = rows.filter(pk=release_id).first()
    if release is None:
        raise Http404
    effects = Effect.objects.for_tenant(tenant_id).filter(release_id=release_id)
    context = {
        "effects": list(effects.order_by("created_at", "id")),
        "failing": failing_integrations(release),
        "heartbeat": sweeper_heartbeat(release),
        "marks": marks.mark_changes(release),
        "changes": newest_changes(release),
    }
    return dict(ReleaseSerializer(release, context=context).data)


FILTERS = [
    OpenApiParameter("version", str, description="Part of the version."),
    OpenApiParameter("status", str, enum=ReleaseStatus.values),
    OpenApiParameter(
        "platform", str, enum=Platform.values, description=("The platform of one of its pipelines.")
    ),
    OpenApiParameter(
        "buildStatus",
        str,
        enum=[status.value for status in BuildStatus],
        description=(
            "The status of the newest build of one of its pipelines; with `platform`, "
            "of a pipeline for that platform."
        ),
    ),
    OpenApiParameter("createdBy", str, description="An email address."),
]


def filters_of(request: Request) -> dict[str, Any]:
    """Arguments for `ReleaseQuerySet.matching`. Raises Problem 400 for unknown choices."""
    given = {p.name: request.query_params.get(p.name, "") for p in FILTERS}
    wrong = {
        p.name: [_("Choose one of: %(known)s.") % {"known": ", ".join(p.enum)}]
        for p in FILTERS
        if p.enum and given[p.name] and given[p.name] not in p.enum
    }
    if wrong:
        raise invalid(wrong)
    return {
        "version": given["version"],
        "status": given["status"],
        "platform": given["platform"],
        "build_statuses": [given["buildStatus"]] if given["buildStatus"] else [],
        "created_by": given["createdBy"],
    }


_MARK = OpenApiParameter("mark", str, OpenApiParameter.PATH, enum=Mark.values)


class ReleaseList(TenantView):
    @extend_schema(parameters=FILTERS, responses=ReleaseLine(many=True))
    def get(self, request: Request) -> Response:
        rows = Release.objects.for_tenant(self.tenant).matching(**filters_of(request))
        return self.page(rows.with_pipelines().prefetch_related("communication_rows"), ReleaseLine)

    @extend_schema(
        request=NewReleaseSerializer,
        parameters=[OpenApiParameter("dryRun", bool, description="Only return what would happen.")],
        responses={201: ReleaseSerializer, 200: PreviewSerializer},
    )
    def post(self, request: Request) -> Response:
        if is_dry_run(request):
            return self._preview()
        return self.once(self._create)

    def _preview(self) -> Response:
        shape = Shape(NewReleaseSerializer, self.request.data)
        with shape.complaints():
            plan = ReleasePlan(tenant=self.tenant, **_plan_values(shape, self.request.data))
            found = preview(plan, user=self.actor)
        return Response(PreviewSerializer(found).data)

    def _create(self) -> Response:
        shape = Shape(NewReleaseSerializer, self.request.data)
        with shape.complaints():
            values = _plan_values(shape, self.request.data)
            release = create_release(tenant=self.tenant, actor=self.actor, **values)
        return Response(present_release(self.tenant.pk, release.pk), status=201)


def is_dry_run(request: Request) -> bool:
    """The value of `?dryRun=`. Raises Problem 400 if it is neither true nor false."""
    word = request.query_params.get("dryRun", "false").lower()
    if word not in ("true", "false"):
        raise invalid({"dryRun": [_("Choose true or false.")]})
    return word == "true"


def _plan_values(shape: Shape, data: Any) -> dict[str, Any]:
    values = shape.values | _both_communications(shape, data)
    return {
        "version": values.get("version", ""),
        "branch": values.get("branch") or "",
        "scm_id": values.get("scm", ""),
        "target_ids": values.get("targets", []),
        "pipeline_ids": values.get("pipelines", []),
        "communication_ids": values.get("communications", []),
        "ticket_id": values.get("ticket"),
        "wishes": Wishes(
            values.get("base_branch") or "",
            values.get("repository") or {},
            values.get("ticket_steps") or {},
        ),
        "known_errors": shape.errors,
    }


def _both_communications(shape: Shape, data: Any) -> dict[str, Any]:
    """The list, if `communicationId` was given beside it; another one than its first is an error
    of that field."""
    one, several = "communicationId", "communicationIds"
    if not {one, several} <= set(shape.given) or "communications" in shape.errors:
        return {}
    chosen = shape.fields[several].run_validation(data[several])
    if shape.values["communications"] != chosen[:1]:
        words = _("This is not the first of communicationIds. Leave it out, or send the same.")
        shape.errors[one] = [words]
    return {"communications": chosen}


class ReleaseDetail(TenantView):
    @extend_schema(responses=ReleaseSerializer)
    def get(self, request: Request, release_id: str) -> Response:
        return Response(present_release(self.tenant.pk, release_id))


class ReleaseMark(TenantView):
    """What people say about a release that is ready: that it was submitted, or is released."""

    @extend_schema(parameters=[_MARK], request=None, responses=ReleaseSerializer)
    def post(self, request: Request, release_id: str, mark: str) -> Response:
        release = self._find(release_id, mark)
        marks.set_mark(release=release, mark=Mark(mark), actor=self.actor)
        return Response(present_release(self.tenant.pk, release_id))

    @extend_schema(parameters=[_MARK], responses={200: ReleaseSerializer})
    def delete(self, request: Request, release_id: str, mark: str) -> Response:
        release = self._find(release_id, mark)
        marks.remove_mark(release=release, mark=Mark(mark), actor=self.actor)
        return Response(present_release(self.tenant.pk, release_id))

    def _find(self, release_id: str, mark: str) -> Release:
        release = Release.objects.for_tenant(self.tenant).filter(pk=release_id).first()
        if release is None or mark not in Mark.values:
            raise Http404
        found: Release = release
        return found


class ReleaseMute(TenantView):
    """No messages about a release while it is muted."""

    @extend_schema(request=None, responses=ReleaseSerializer)
    def post(self, request: Request, release_id: str) -> Response:
        mute(release=self.get_or_404(Release.objects, pk=release_id), actor=self.actor)
        return Response(present_release(self.tenant.pk, release_id))

    @extend_schema(responses={200: ReleaseSerializer})
    def delete(self, request: Request, release_id: str) -> Response:
        unmute(release=self.get_or_404(Release.objects, pk=release_id), actor=self.actor)
        return Response(present_release(self.tenant.pk, release_id))
