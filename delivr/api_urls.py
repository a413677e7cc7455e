from django.urls import path
from drf_spectacular.views import SpectacularAPIView

from delivr.api_docs import DocsView

urlpatterns = [
    path("schema", SpectacularAPIView.as_view(), name="api_schema"),
    path("docs", DocsView.as_view(), name="api_docs"),
]
