"""The API's page for people: Swagger UI from our own static files, no inline script."""

from drf_spectacular.views import SpectacularSwaggerSplitView


class DocsView(SpectacularSwaggerSplitView):
    url_name = "api_schema"
    url_self = "?script="
    # The framework's answer to OPTIONS would need a renderer that a page has not: a 500.
    http_method_names = ["get", "head"]
