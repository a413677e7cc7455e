from django.urls import path

from builds import api
from builds.insights.api import InsightsView
from builds.testbuilds import api as testing_api
from builds.webhooks import views as webhooks
from integrations.providers.registry import WEBHOOKS

urlpatterns = [
    path("insights", InsightsView.as_view(), name="api_insights"),
    path("releases/<str:release_id>/builds", api.ReleaseBuilds.as_view(), name="api_builds"),
    path("releases/<str:release_id>/cancel", api.CancelRelease.as_view(), name="api_cancel"),
    path("releases/<str:release_id>/adopt", api.AdoptOffer.as_view(), name="api_adopt"),
    path("releases/<str:release_id>/try-now", api.TryNow.as_view(), name="api_try_now"),
    path("builds/<str:build_id>/cancel", api.CancelBuild.as_view(), name="api_build_cancel"),
    path(
        "builds/<str:build_id>/force-cancel",
        api.ForceCancelBuild.as_view(),
        name="api_build_force_cancel",
    ),
    path(
        "builds/<str:build_id>/artifacts/<str:artifact_key>",
        api.ArtifactLink.as_view(),
        name="api_build_artifact",
    ),
    path(
        "integrations/pipelines/<str:connection_id>/test-builds",
        testing_api.TestBuilds.as_view(),
        name="api_test_builds",
    ),
    path(
        "test-builds/<str:test_build_id>",
        testing_api.TestBuildDetail.as_view(),
        name="api_test_build",
    ),
    path(
        "test-builds/<str:test_build_id>/cancel",
        testing_api.CancelTestBuild.as_view(),
        name="api_test_build_cancel",
    ),
    path("effects/<str:effect_id>/adopt", api.AdoptEffect.as_view(), name="api_effect_adopt"),
    path(
        "webhook-deliveries/<str:delivery_id>/replay",
        api.ReplayDelivery.as_view(),
        name="api_delivery_replay",
    ),
    path("webhook-deliveries/<str:delivery_id>", api.DeliveryDetail.as_view(), name="api_delivery"),
    path("effects/<str:effect_id>", api.EffectDetail.as_view(), name="api_effect"),
    path("webhook-deliveries", api.DeliveryList.as_view(), name="api_deliveries"),
    path("webhooks/jenkins", webhooks.receive, {"sender": "jenkins"}, name="webhook_jenkins_named"),
    *[
        path(
            f"webhooks/{sender}/<str:pipeline_id>",
            webhooks.receive,
            {"sender": sender},
            name=f"webhook_{sender}",
        )
        for sender in WEBHOOKS
    ],
]
