from django.urls import path

from integrations.providers.registry import TARGETS, provider_class
from submissions import api, notifications

urlpatterns = [
    *[
        path(f"webhooks/{sender}/<str:target_id>", notifications.receive, {"kind": kind})
        for kind in TARGETS
        if (sender := getattr(provider_class(("targets", kind)), "notifies_as", ""))
    ],
    path(
        "releases/<str:release_id>/preflight",
        api.ReleasePreflight.as_view(),
        name="api_preflight",
    ),
    path(
        "releases/<str:release_id>/submissions",
        api.ReleaseSubmissions.as_view(),
        name="api_release_submissions",
    ),
    path("submissions", api.SubmissionList.as_view(), name="api_submissions"),
    path("submissions/<str:submission_id>", api.SubmissionDetail.as_view(), name="api_submission"),
    path(
        "submissions/<str:submission_id>/<str:act>",
        api.SubmissionAct.as_view(),
        name="api_submission_act",
    ),
]
