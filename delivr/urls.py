from django.contrib import admin
from django.urls import include, path, re_path

from delivr import views
from delivr.monitoring.views import metrics
from delivr.pages import gallery
from delivr.tenants.urls import invitation_urls, mail_urls

handler500 = "delivr.security.outage.server_error"

urlpatterns = [
    path("livez", views.livez, name="livez"),
    path("readyz", views.readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
    path("accounts/", include("allauth.urls")),
    path("", include("delivr.signin.urls")),
    path("accounts/", include(invitation_urls)),
    path("unsubscribe/", include(mail_urls)),
    path("admin/", admin.site.urls),
    path("design", gallery.ui_gallery, name="ui_gallery"),
    path("settings/", include("delivr.tenants.urls")),
    path("", include("integrations.urls")),
    path("", include("releases.urls")),
    path("", include("builds.urls")),
    path("", include("submissions.urls")),
    path("api/v1/", include("integrations.api_urls")),
    path("api/v1/", include("releases.api_urls")),
    path("api/v1/", include("builds.api_urls")),
    path("api/v1/", include("submissions.api_urls")),
    path("api/v1/", include("delivr.api.urls")),
    re_path(r"^(?P<path>api/v1/docs.*)/$", views.without_slash),  # pages for people, too
    re_path(r"^api/(?P<path>.*)$", views.api_not_found),
    path("settings", views.with_slash),
    path("<path:path>/", views.without_slash),
]
