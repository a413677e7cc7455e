from django.urls import path

from releases import api
from releases.repository import api as repository

urlpatterns = [
    path("releases", api.ReleaseList.as_view(), name="api_releases"),
    path(
        "releases/<str:release_id>/marks/<str:mark>",
        api.ReleaseMark.as_view(),
        name="api_release_mark",
    ),
    path("releases/<str:release_id>", api.ReleaseDetail.as_view(), name="api_release"),
    path(
        "releases/<str:release_id>/changes",
        repository.ReleaseChanges.as_view(),
        name="api_release_changes",
    ),
    path("changes", repository.ChangeList.as_view(), name="api_changes"),
    path(
        "release-settings",
        repository.ReleaseSettingsView.as_view(),
        name="api_release_settings",
    ),
]
