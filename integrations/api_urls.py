from django.urls import URLPattern, path

from integrations import endpoints_api
from integrations.api import RotateStoreSecret, RotateWebhookSecret, SetupView, views_of
from integrations.models import FAMILIES


def _routes(family: str) -> list[URLPattern]:
    rows, row, verify = views_of(family)
    base = f"integrations/{family}"
    return [
        path(base, rows.as_view(), name=f"api_{family}"),
        path(f"{base}/<str:connection_id>", row.as_view(), name=f"api_{family}_detail"),
        path(f"{base}/<str:connection_id>/verify", verify.as_view(), name=f"api_{family}_verify"),
    ]


_ENDPOINT = "integrations/communication/<str:endpoint_id>"
urlpatterns = [
    path("setup", SetupView.as_view(), name="api_setup"),
    path(
        "integrations/pipelines/<str:connection_id>/rotate-webhook-secret",
        RotateWebhookSecret.as_view(),
        name="api_rotate_webhook_secret",
    ),
    path(
        "integrations/targets/<str:connection_id>/rotate-webhook-secret",
        RotateStoreSecret.as_view(),
        name="api_rotate_store_secret",
    ),
    path(f"{_ENDPOINT}/attempts", endpoints_api.AttemptList.as_view(), name="api_attempts"),
    path(
        f"{_ENDPOINT}/attempts/<str:attempt_id>/resend",
        endpoints_api.ResendAttempt.as_view(),
        name="api_attempt_resend",
    ),
    path(f"{_ENDPOINT}/test-event", endpoints_api.TestEvent.as_view(), name="api_test_event"),
    path(
        f"{_ENDPOINT}/rotate-signing-secret",
        endpoints_api.RotateSigningSecret.as_view(),
        name="api_rotate_signing_secret",
    ),
    path(f"{_ENDPOINT}/turn-on", endpoints_api.TurnOn.as_view(), name="api_turn_on"),
    *(route for family in FAMILIES for route in _routes(family)),
]
