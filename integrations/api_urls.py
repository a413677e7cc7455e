from django.urls import URLPattern, path

from integrations.api import RotateWebhookSecret, SetupView, views_of
from integrations.models import FAMILIES


def _routes(family: str) -> list[URLPattern]:
    rows, row, verify = views_of(family)
    base = f"integrations/{family}"
    return [
        path(base, rows.as_view(), name=f"api_{family}"),
        path(f"{base}/<str:connection_id>", row.as_view(), name=f"api_{family}_detail"),
        path(f"{base}/<str:connection_id>/verify", verify.as_view(), name=f"api_{family}_verify"),
    ]


urlpatterns = [
    path("setup", SetupView.as_view(), name="api_setup"),
    path(
        "integrations/pipelines/<str:connection_id>/rotate-webhook-secret",
        RotateWebhookSecret.as_view(),
        name="api_rotate_webhook_secret",
    ),
    *(route for family in FAMILIES for route in _routes(family)),
]
