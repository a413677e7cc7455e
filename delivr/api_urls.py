from django.urls import path
from drf_spectacular.views import SpectacularAPIView

from delivr.api_docs import DocsView
from delivr.audit.api import AuditEventList
from delivr.effects import api as effects

urlpatterns = [
    path("effects", effects.EffectList.as_view(), name="api_effects"),
    path("effects/<str:effect_id>/retry", effects.RetryEffect.as_view(), name="api_effect_retry"),
    path(
        "effects/<str:effect_id>/cancel", effects.CancelEffect.as_view(), name="api_effect_cancel"
    ),
    path("audit-events", AuditEventList.as_view(), name="api_audit_events"),
    path("schema", SpectacularAPIView.as_view(), name="api_schema"),
    path("docs", DocsView.as_view(), name="api_docs"),
]
