from django.urls import path

from builds import views
from builds.activity.views import activity_polled, effect_detail
from builds.buttons.views import chat_accounts
from builds.insights.views import insights_csv, insights_page
from builds.testbuilds.views import test_build, test_build_cancel
from delivr.effects.views import effect_cancel, effect_retry

urlpatterns = [
    path("releases/<slug:release_id>/builds", views.release_builds, name="release_builds"),
    path("releases/<slug:release_id>/cancel", views.release_cancel, name="release_cancel"),
    path("releases/<slug:release_id>/adopt", views.release_adopt, name="release_adopt"),
    path("releases/<slug:release_id>/try-now", views.release_try_now, name="release_try_now"),
    path("builds/<slug:build_id>/cancel", views.build_cancel, name="build_cancel"),
    path(
        "builds/<slug:build_id>/force-cancel", views.build_force_cancel, name="build_force_cancel"
    ),
    path(
        "builds/<slug:build_id>/artifacts/<slug:artifact_key>",
        views.build_artifact,
        name="build_artifact",
    ),
    path("integrations/pipelines/<str:connection_id>/test-build", test_build, name="test_build"),
    path(
        "integrations/pipelines/<str:connection_id>/test-build/cancel",
        test_build_cancel,
        name="test_build_cancel",
    ),
    path("settings/chat-accounts", chat_accounts, name="chat_accounts"),
    path("insights", insights_page, name="insights"),
    path("insights.csv", insights_csv, name="insights_csv"),
    path("activity", views.activity, name="activity"),
    path("activity/live", views.activity_live, name="activity_live"),
    path("activity/effects/<slug:effect_id>/retry", effect_retry, name="effect_retry"),
    path("activity/effects/<slug:effect_id>/cancel", effect_cancel, name="effect_cancel"),
    path("activity/effects/<slug:effect_id>/adopt", views.effect_adopt, name="effect_adopt"),
    path("activity/effects/<slug:effect_id>", effect_detail, name="effect"),
    path("activity/polled", activity_polled, name="activity_polled"),
    path("activity/received", views.activity_received, name="activity_received"),
    path("activity/received/live", views.activity_received_live, name="activity_received_live"),
    path("activity/received/<slug:delivery_id>/replay", views.replay_delivery, name="replay"),
    path("activity/received/<slug:delivery_id>", views.delivery_detail, name="delivery"),
]
