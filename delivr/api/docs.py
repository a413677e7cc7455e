"""The API's documentation page: Swagger UI from our own static files, without inline scripts."""

from drf_spectacular.views import SpectacularSwaggerSplitView


class DocsView(SpectacularSwaggerSplitView):
    url_name = "api_schema"
    url_self = "?script="
    # The framework would answer OPTIONS with a renderer that this page lacks: a 500.
    http_method_names = ["get", "head"]
