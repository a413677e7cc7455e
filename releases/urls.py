from django.urls import path

from releases import views
from releases.messages import views as messages
from releases.repository import views as repository

_MESSAGES = "settings/messages/<str:connection_id>"
urlpatterns = [
    path("releases", views.release_list, name="releases"),
    path("palette", views.palette, name="palette"),
    path("releases/new", views.release_new, name="release_new"),
    path("releases/new/preview", views.release_preview, name="release_preview"),
    path("releases/<slug:release_id>", views.release_detail, name="release"),
    path("releases/<slug:release_id>/mark", views.release_mark, name="release_mark"),
    path("releases/<slug:release_id>/mute", messages.release_mute, name="release_mute"),
    path("releases/<slug:release_id>/live", views.release_live, name="release_live"),
    path("releases/<slug:release_id>/changes", repository.release_changes, name="release_changes"),
    path("settings/messages", messages.message_settings, name="settings_messages"),
    path(_MESSAGES, messages.message_preset, name="message_preset"),
    path(f"{_MESSAGES}/groups", messages.message_groups, name="message_groups"),
    path(f"{_MESSAGES}/rules", messages.message_rules, name="message_rules"),
    path(f"{_MESSAGES}/preview", messages.message_preview, name="message_preview"),
    path(f"{_MESSAGES}/test", messages.message_test, name="message_test"),
    path("settings/releases", repository.release_settings, name="settings_releases"),
]
