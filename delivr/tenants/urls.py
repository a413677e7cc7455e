from django.urls import path

from delivr.audit import views as audit
from delivr.tenants import views

urlpatterns = [
    path("", views.members, name="settings_members"),
    path("tokens", views.tokens, name="settings_tokens"),
    path("tokens/<int:token_id>/revoke", views.token_revoke, name="settings_token_revoke"),
    path("audit", audit.audit, name="settings_audit"),
    path("audit/export.<str:extension>", audit.export, name="settings_audit_export"),
    path("switch", views.switch, name="settings_switch"),
    path("new-workspace", views.new_workspace, name="new_workspace"),
]
