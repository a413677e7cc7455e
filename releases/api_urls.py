from django.urls import path

from releases import api

urlpatterns = [
    path("releases", api.ReleaseList.as_view(), name="api_releases"),
    path(
        "releases/<str:release_id>/marks/<str:mark>",
        api.ReleaseMark.as_view(),
        name="api_release_mark",
    ),
    path("releases/<str:release_id>", api.ReleaseDetail.as_view(), name="api_release"),
]
