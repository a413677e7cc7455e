from django.urls import path
from drf_spectacular.views import SpectacularAPIView

from delivr.api import docs
from delivr.audit.api import AuditEventList
from delivr.effects import api as effects
from delivr.tenants import api as tenants
from delivr.tenants.mail_api import MyNotifications

urlpatterns = [
    path("effects", effects.EffectList.as_view(), name="api_effects"),
    path("effects/<str:effect_id>/retry", effects.RetryEffect.as_view(), name="api_effect_retry"),
    path(
        "effects/<str:effect_id>/cancel", effects.CancelEffect.as_view(), name="api_effect_cancel"
    ),
    path("audit-events", AuditEventList.as_view(), name="api_audit_events"),
    path("members", tenants.MemberList.as_view(), name="api_members"),
    path("members/<str:member_id>", tenants.MemberDetail.as_view(), name="api_member"),
    path("invitations", tenants.InvitationList.as_view(), name="api_invitations"),
    path(
        "invitations/<str:invitation_id>", tenants.InvitationDetail.as_view(), name="api_invitation"
    ),
    path(
        "invitations/<str:invitation_id>/send",
        tenants.SendInvitationAgain.as_view(),
        name="api_invitation_send",
    ),
    path("me/notifications", MyNotifications.as_view(), name="api_my_notifications"),
    path("tokens", tenants.TokenList.as_view(), name="api_tokens"),
    path("tokens/<str:token_key>", tenants.TokenDetail.as_view(), name="api_token"),
    path("schema", SpectacularAPIView.as_view(), name="api_schema"),
    path("docs", docs.overview, name="api_docs"),
    path("docs/guide", docs.guide_page, name="api_guide"),
    path("docs/<slug:group>", docs.group_page, name="api_docs_group"),
]
