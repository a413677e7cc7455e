from django.urls import path

from releases import views
from releases.repository import views as repository

urlpatterns = [
    path("releases", views.release_list, name="releases"),
    path("palette", views.palette, name="palette"),
    path("releases/new", views.release_new, name="release_new"),
    path("releases/new/preview", views.release_preview, name="release_preview"),
    path("releases/<slug:release_id>", views.release_detail, name="release"),
    path("releases/<slug:release_id>/mark", views.release_mark, name="release_mark"),
    path("releases/<slug:release_id>/live", views.release_live, name="release_live"),
    path("releases/<slug:release_id>/changes", repository.release_changes, name="release_changes"),
    path("settings/releases", repository.release_settings, name="settings_releases"),
]
