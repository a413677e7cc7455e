from django.urls import path

from builds import api, webhooks

urlpatterns = [
    path("releases/<str:release_id>/builds", api.ReleaseBuilds.as_view(), name="api_builds"),
    path("webhook-deliveries", api.DeliveryList.as_view(), name="api_deliveries"),
    path("webhooks/jenkins", webhooks.jenkins, name="webhook_jenkins_named"),
    path("webhooks/jenkins/<str:pipeline_id>", webhooks.jenkins, name="webhook_jenkins"),
]
