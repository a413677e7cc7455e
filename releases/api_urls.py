from django.urls import path

from releases import api
from releases.messages import api as messages
from releases.repository import api as repository

_CHAT = "integrations/communication/<str:connection_id>"
urlpatterns = [
    path("releases", api.ReleaseList.as_view(), name="api_releases"),
    path(
        "releases/<str:release_id>/marks/<str:mark>",
        api.ReleaseMark.as_view(),
        name="api_release_mark",
    ),
    path("releases/<str:release_id>/mute", api.ReleaseMute.as_view(), name="api_release_mute"),
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
    path(f"{_CHAT}/rules", messages.MessageRules.as_view(), name="api_message_rules"),
    path(f"{_CHAT}/samples", messages.MessageSamples.as_view(), name="api_message_samples"),
    path(f"{_CHAT}/test-messages", messages.TestMessages.as_view(), name="api_test_messages"),
]
