"""The API's page for people: Swagger UI from our own static files, no inline script."""

from drf_spectacular.views import SpectacularSwaggerSplitView


class DocsView(SpectacularSwaggerSplitView):
    url_name = "api_schema"
    url_self = "?script="
