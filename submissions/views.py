"""The pages on which a release is taken through the stores."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import BadRequest
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from delivr.failures import Conflict
from delivr.tenants.decorators import tenant_required
from delivr.tenants.middleware import TenantRequest
from delivr.tenants.models import Role
from integrations.providers.stores import Act
from integrations.throttle import throttle
from releases.models import Release
from submissions import preflight
from submissions.card import check_line
from submissions.forms import SubmissionForm
from submissions.models import Submission, store_of
from submissions.operations import act_on
from submissions.plans import can_be_submitted, preflight_of


@require_POST
@tenant_required(Role.MEMBER)
def preflight_ask(request: TenantRequest, release_id: str) -> HttpResponse:
    """Look up once more what stands in the way."""
    release = get_object_or_404(Release.objects.for_tenant(request.tenant), pk=release_id)
    throttle("pre-flight", user=request.user)
    preflight.ask(release)
    return redirect("release", release.pk)


@require_http_methods(["GET", "HEAD", "POST"])
@tenant_required(write=Role.MEMBER)
def submission_new(request: TenantRequest, release_id: str, target_id: str) -> HttpResponse:
    releases = Release.objects.for_tenant(request.tenant).prefetch_related("pipelines__pipeline")
    release = get_object_or_404(releases, pk=release_id)
    rows = release.targets.select_related("target", "preflight")
    part = get_object_or_404(rows, target=target_id)
    part.release = release
    form = SubmissionForm(part, request.POST if request.method == "POST" else None)
    is_trial = "try" in request.POST
    if request.method == "POST" and not is_trial and form.submit(request.user):
        return redirect("release", release.pk)
    found = preflight_of(part)
    checks = map(check_line, found.checks) if found else ()
    context = {
        "trials": form.trials() if is_trial else [],
        "form": form,
        "release": release,
        "target": part.target,
        "store": store_of(part.target).label,
        "console": store_of(part.target).console,
        "preflight": found,
        "blocking": [check for check in checks if check.state == "FAILED"],
        "is_possible": can_be_submitted(release, part),
    }
    return render(request, "submissions/submit.html", context)


@require_POST
@tenant_required(Role.MEMBER)
def submission_act(request: TenantRequest, submission_id: str) -> HttpResponse:
    row = get_object_or_404(Submission.objects.for_tenant(request.tenant), pk=submission_id)
    try:
        act = Act(request.POST.get("act", ""))
        seen = int(request.POST["seen"]) if "seen" in request.POST else None
    except ValueError:
        raise BadRequest(_("This act is not known.")) from None
    try:
        act_on(submission=row, act=act, actor=request.user, seen=seen)
    except Conflict as conflict:
        messages.error(request, conflict.message)
    return redirect("release", row.release_id)
