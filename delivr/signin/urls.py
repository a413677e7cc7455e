from django.urls import path

from delivr.signin import views

urlpatterns = [
    path("accounts/second-factor", views.needed, name="second_factor_needed"),
    path("accounts/delete", views.delete, name="account_delete"),
    path("settings/security", views.security, name="settings_security"),
]
