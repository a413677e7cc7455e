from django.urls import path

from delivr.signin import views

urlpatterns = [
    path("accounts/second-factor", views.needed, name="second_factor_needed"),
    path("accounts/profile", views.profile, name="account_profile"),
    path("accounts/time-zone", views.time_zone, name="account_time_zone"),
    path("accounts/delete", views.delete, name="account_delete"),
    path("settings/security", views.security, name="settings_security"),
]
