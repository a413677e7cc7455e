from django.urls import path

from delivr.audit import views as audit
from delivr.tenants import (
    invitation_views,
    mail_views,
    member_views,
    token_views,
    workspace_views,
)

urlpatterns = [
    path("", member_views.members, name="settings_members"),
    path("members/<slug:member_id>/role", member_views.role_change, name="member_role"),
    path("members/<slug:member_id>/remove", member_views.member_remove, name="member_remove"),
    path("leave", member_views.leave, name="settings_leave"),
    path("invitations", member_views.invite, name="settings_invite"),
    path(
        "invitations/<slug:invitation_id>/send",
        member_views.invitation_send,
        name="invitation_send",
    ),
    path(
        "invitations/<slug:invitation_id>/revoke",
        member_views.invitation_revoke,
        name="invitation_revoke",
    ),
    path("workspace", workspace_views.workspace, name="settings_workspace"),
    path("workspace/delete", workspace_views.workspace_delete, name="workspace_delete"),
    path("tokens", token_views.tokens, name="settings_tokens"),
    path("tokens/<int:token_id>/revoke", token_views.token_revoke, name="settings_token_revoke"),
    path("notifications", mail_views.notifications, name="settings_notifications"),
    path("audit", audit.audit, name="settings_audit"),
    path("audit/export.<str:extension>", audit.export, name="settings_audit_export"),
    path("switch", workspace_views.switch, name="settings_switch"),
    path("new-workspace", workspace_views.new_workspace, name="new_workspace"),
]

# For invited users without a workspace: below /accounts/.
invitation_urls = [
    path("invitation", invitation_views.invitation, name="invitation"),
    path("invitation/sign-out", invitation_views.sign_out, name="invitation_sign_out"),
    path("invitations/<str:secret>", invitation_views.link, name="invitation_link"),
]

# The links in emails, which work without signing in.
mail_urls = [
    path("member/<str:token>", mail_views.member_unsubscribe, name=mail_views.UNSUBSCRIBE),
]
