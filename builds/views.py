"""The buttons that trigger, cancel and adopt builds, and the activity pages."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.text import get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from builds.activity.filters import ReceivedFilter, SentFilter
from builds.activity.lists import claims_of, received_lines, sent_lines
from builds.activity.tracing import causes_of_delivery, consequences_of_delivery
from builds.adopting import adopt_build, adopt_offer
from builds.artifacts import OpenArtifact, attachment, open_artifact
from builds.cancelling import cancel_build, cancel_release, force_cancel
from builds.forms import BuildNumberForm
from builds.models import Build, WebhookDelivery
from builds.triggering import NoSuchPipeline, trigger_builds
from builds.trying import try_now
from builds.webhooks.deliveries import replay
from delivr.api.problems import Problem
from delivr.effects.models import Effect
from delivr.failures import Conflict
from delivr.pages.live import fingerprint, fragment, refresh
from delivr.pages.paging import Page, paged
from delivr.pages.redirects import next_address
from delivr.tenants.decorators import tenant_required
from delivr.tenants.middleware import TenantRequest
from delivr.tenants.models import Role
from integrations.throttle import throttled_call
from releases.models import Release

log = logging.getLogger(__name__)


@require_POST
@tenant_required(Role.MEMBER)
def release_builds(request: TenantRequest, release_id: str) -> HttpResponse:
    """Trigger the posted `pipeline`, or all pipelines that still need a build. `again` also builds
    what succeeded, if its newest builds are still those that the page showed (`after`)."""
    release = get_object_or_404(Release.objects.for_tenant(request.tenant), pk=release_id)
    pipeline_id = request.POST.get("pipeline", "")
    if "\0" in pipeline_id:
        raise Http404
    is_again = request.POST.get("again") == "1"
    with refusals_as_messages(request):
        try:
            builds = trigger_builds(
                release=release,
                actor=request.user,
                pipeline_id=pipeline_id or None,
                again=is_again,
                after=request.POST.getlist("after") if is_again else None,
            )
        except NoSuchPipeline:
            raise Http404 from None
        messages.success(request, _on_their_way(builds))
    return redirect("release", release.pk)


def _on_their_way(builds: list[Build]) -> str:
    """True right after the trigger: no CI server has been called yet."""
    servers = dict.fromkeys(build.pipeline.kind_label for build in builds)
    words = ngettext(
        "%(count)d build is on its way to %(servers)s.",
        "%(count)d builds are on their way to %(servers)s.",
        len(builds),
    )
    return words % {"count": len(builds), "servers": get_text_list(list(servers), _("and"))}


@require_POST
@tenant_required(Role.MEMBER)
def release_cancel(request: TenantRequest, release_id: str) -> HttpResponse:
    release = get_object_or_404(Release.objects.for_tenant(request.tenant), pk=release_id)
    with refusals_as_messages(request):
        cancel_release(release=release, actor=request.user)
    return redirect("release", release.pk)


@require_POST
@tenant_required(Role.MEMBER)
def release_try_now(request: TenantRequest, release_id: str) -> HttpResponse:
    release = get_object_or_404(Release.objects.for_tenant(request.tenant), pk=release_id)
    with refusals_as_messages(request):
        try_now(release=release, actor=request.user)
    return redirect("release", release.pk)


@require_POST
@tenant_required(Role.MEMBER)
def build_cancel(request: TenantRequest, build_id: str) -> HttpResponse:
    builds = Build.objects.for_tenant(request.tenant).select_related("release_pipeline")
    build = get_object_or_404(builds, pk=build_id)
    with refusals_as_messages(request):
        cancel_build(build=build, actor=request.user)
    return redirect("release", build.release_pipeline.release_id)


@require_POST
@tenant_required(Role.MEMBER)
def build_force_cancel(request: TenantRequest, build_id: str) -> HttpResponse:
    builds = Build.objects.for_tenant(request.tenant).select_related("release_pipeline")
    build = get_object_or_404(builds, pk=build_id)
    with refusals_as_messages(request):
        force_cancel(build=build, actor=request.user)
    return redirect("release", build.release_pipeline.release_id)


@require_GET
@tenant_required(Role.MEMBER)
@never_cache
def build_artifact(request: TenantRequest, build_id: str, artifact_key: str) -> HttpResponseBase:
    """The file, or a redirect to a fresh address of it."""
    rows = Build.objects.for_tenant(request.tenant).select_related(
        "tenant", "release_pipeline__release", "release_pipeline__pipeline"
    )
    build = get_object_or_404(rows, pk=build_id)
    address = reverse("release", args=[build.release_pipeline.release_id])
    with refusals_as_messages(request):
        opened = open_artifact(build=build, key=artifact_key, actor=request.user)
        if isinstance(opened, OpenArtifact):
            return attachment(opened, reader=request.META.get("gunicorn.socket"))
        address = opened
    return redirect(address)


@require_POST
@tenant_required(Role.ADMIN)
def effect_adopt(request: TenantRequest, effect_id: str) -> HttpResponse:
    """Adopt the build of the posted `number` (see `builds.adopting`)."""
    effect = get_object_or_404(Effect.objects.for_tenant(request.tenant), pk=effect_id)
    form = BuildNumberForm(request.POST)
    with refusals_as_messages(request):
        if not form.is_valid():
            raise ValidationError(_("Enter the build number."))
        number = form.cleaned_data["number"]
        with throttled_call("adopt", user=request.user):
            adopt_build(effect=effect, number=number, actor=request.user)
        messages.success(request, _("Build #%(number)d is adopted.") % {"number": number})
    return redirect(next_address(request, default="activity"))


@require_POST
@tenant_required(Role.ADMIN)
def release_adopt(request: TenantRequest, release_id: str) -> HttpResponse:
    """Adopt the posted `offer` for the posted `pipeline` (see `builds.adopting`)."""
    release = get_object_or_404(Release.objects.for_tenant(request.tenant), pk=release_id)
    pipeline_id, offer_id = (request.POST.get(name, "") for name in ("pipeline", "offer"))
    if "\0" in pipeline_id:
        raise Http404
    with refusals_as_messages(request), throttled_call("adopt", user=request.user):
        build = adopt_offer(
            release=release, pipeline_id=pipeline_id, offer_id=offer_id, actor=request.user
        )
        messages.success(request, _("%(build)s is adopted.") % {"build": build})
    return redirect("release", release.pk)


@contextlib.contextmanager
def refusals_as_messages(request: HttpRequest) -> Iterator[None]:
    """Turn a refusal into a message on the page."""
    try:
        yield
    except Conflict as conflict:
        messages.warning(request, conflict.message)
    except ValidationError as error:
        messages.warning(request, " ".join(error.messages))
    except Problem as problem:
        messages.warning(request, problem.detail)


# --- Sent ---------------------------------------------------------------------------------------


@require_GET
@tenant_required()
def activity(request: TenantRequest) -> HttpResponse:
    return render(request, "activity/sent.html", _sent(request))


@fragment
@require_GET
@tenant_required()
def activity_live(request: TenantRequest) -> HttpResponse:
    context = _sent(request)
    return refresh(
        request,
        "activity/_sent.html",
        context,
        seen=context["seen"],
        is_moving=context["is_moving"],
    )


def _sent(request: TenantRequest) -> dict[str, Any]:
    effects = Effect.objects.for_tenant(request.tenant)
    filters = SentFilter(request)
    page = paged(request, filters.apply(effects), path=reverse("activity"))
    lines = sent_lines(request.tenant, page.items)
    return {
        **_list_context(request, page, lines, live=reverse("activity_live")),
        "filter": filters,
        "tab": "sent",
    }


# --- Received -----------------------------------------------------------------------------------


@require_GET
@tenant_required()
def activity_received(request: TenantRequest) -> HttpResponse:
    return render(request, "activity/received.html", _received(request))


@fragment
@require_GET
@tenant_required()
def activity_received_live(request: TenantRequest) -> HttpResponse:
    context = _received(request)
    return refresh(
        request,
        "activity/_received.html",
        context,
        seen=context["seen"],
        is_moving=context["is_moving"],
    )


def _received(request: TenantRequest) -> dict[str, Any]:
    filters = ReceivedFilter(request)
    deliveries = filters.apply(_deliveries(request).defer("body"))
    page = paged(request, deliveries, path=reverse("activity_received"))
    lines = received_lines(page.items)
    return {
        **_list_context(request, page, lines, live=reverse("activity_received_live")),
        "filter": filters,
        "tab": "received",
    }


@require_GET
@tenant_required()
def delivery_detail(request: TenantRequest, delivery_id: str) -> HttpResponse:
    """One delivery: its content, what it changed, and for members its raw body."""
    deliveries = _deliveries(request).prefetch_related("events")
    delivery = get_object_or_404(deliveries, pk=delivery_id)
    [line] = received_lines([delivery])
    context = {
        "delivery": delivery,
        "line": line,
        "claims": claims_of(delivery),
        "events": delivery.events.all(),
        "causes": causes_of_delivery(delivery),
        "consequences": consequences_of_delivery(delivery),
    }
    return render(request, "activity/delivery.html", context)


@require_POST
@tenant_required(Role.ADMIN)
def replay_delivery(request: TenantRequest, delivery_id: str) -> HttpResponse:
    """Apply a delivery again."""
    delivery = get_object_or_404(_deliveries(request), pk=delivery_id)
    with refusals_as_messages(request):
        replay(delivery, actor=request.user)
        messages.success(request, _("The delivery is applied again."))
    return redirect("delivery", delivery.pk)


def _deliveries(request: TenantRequest) -> Any:
    return WebhookDelivery.objects.for_tenant(request.tenant).select_related(
        "pipeline", "build__release_pipeline__release"
    )


# --- Both ---------------------------------------------------------------------------------------


def _list_context(
    request: HttpRequest, page: Page, lines: list[Any], *, live: str
) -> dict[str, Any]:
    query = request.GET.copy()
    query["seen"] = fingerprint(lines)
    return {
        "page": page,
        "lines": lines,
        "seen": query["seen"],
        "is_moving": any(line.is_open for line in lines),
        "live_url": f"{live}?{query.urlencode()}",
    }
