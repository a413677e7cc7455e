from django.urls import path

from submissions import views

urlpatterns = [
    path("releases/<slug:release_id>/preflight", views.preflight_ask, name="preflight_ask"),
    path(
        "releases/<slug:release_id>/submit/<slug:target_id>",
        views.submission_new,
        name="submission_new",
    ),
    path("submissions/<slug:submission_id>", views.submission_act, name="submission_act"),
]
