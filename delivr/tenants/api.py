"""The API of members, invitations and API tokens."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from delivr.api.base import TenantView
from delivr.effects.models import EffectState
from delivr.tenants import inviting, membership
from delivr.tenants.models import ApiToken, Invitation, Membership, Role
from delivr.tenants.operations import TOKEN_DAYS, TOKEN_DAYS_MAX, create_token, revoke_token


class OwnerView(TenantView):
    write_role = Role.OWNER


# --- Members --------------------------------------------------------------------------------------


class MemberSerializer(serializers.ModelSerializer[Membership]):
    id = serializers.CharField(source="public_id")
    email = serializers.EmailField(source="user.email")
    role = serializers.ChoiceField(Role.choices)
    createdAt = serializers.DateTimeField(source="created_at")

    class Meta:
        model = Membership
        fields = ["id", "email", "role", "createdAt"]


class RoleSerializer(serializers.Serializer[Any]):
    role = serializers.ChoiceField(Role.choices)


class MemberList(OwnerView):
    @extend_schema(responses=MemberSerializer(many=True))
    def get(self, request: Request) -> Response:
        rows = Membership.objects.for_tenant(self.tenant).select_related("user")
        return self.page(rows, MemberSerializer)


class MemberDetail(OwnerView):
    def _find(self, member_id: str) -> Membership:
        rows = Membership.objects.select_related("user", "tenant")
        found: Membership = self.get_or_404(rows, public_id=member_id)
        return found

    @extend_schema(request=RoleSerializer, responses=MemberSerializer)
    def patch(self, request: Request, member_id: str) -> Response:
        member = self._find(member_id)
        shape = self.shape(RoleSerializer)
        role = shape.done().get("role", member.role)
        member = membership.change_role(membership=member, role=role, actor=self.actor)
        return Response(MemberSerializer(member).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, member_id: str) -> Response:
        membership.remove_member(membership=self._find(member_id), actor=self.actor)
        return Response(status=204)


# --- Invitations ----------------------------------------------------------------------------------


class InvitationSerializer(serializers.ModelSerializer[Invitation]):
    """The link is only in the mail; `mailState` is the state of the effect that sends it."""

    role = serializers.ChoiceField(Role.choices)
    invitedBy = serializers.EmailField(source="inviter.email")
    mailState = serializers.SerializerMethodField()
    mailEffectId = serializers.CharField(source="mail_id")
    createdAt = serializers.DateTimeField(source="created_at")
    expiresAt = serializers.DateTimeField(source="expires_at")

    class Meta:
        model = Invitation
        fields = [
            "id",
            "email",
            "role",
            "invitedBy",
            "mailState",
            "mailEffectId",
            "createdAt",
            "expiresAt",
        ]

    @extend_schema_field(serializers.ChoiceField(EffectState.choices))
    def get_mailState(self, invitation: Invitation) -> str:
        mails: dict[str, Any] = self.context["mails"]
        mail = mails.get(invitation.mail_id)
        return mail.state if mail else EffectState.CANCELLED


class NewInvitationSerializer(serializers.Serializer[Any]):
    email = serializers.CharField(max_length=254)
    role = serializers.ChoiceField(Role.choices)


class InvitationList(OwnerView):
    @extend_schema(responses=InvitationSerializer(many=True))
    def get(self, request: Request) -> Response:
        rows = Invitation.objects.for_tenant(self.tenant).unsettled().select_related("inviter")
        return self.page(rows, _Invitations(self.tenant))

    @extend_schema(request=NewInvitationSerializer, responses={201: InvitationSerializer})
    def post(self, request: Request) -> Response:
        return self.once(self._invite)

    def _invite(self) -> Response:
        shape = self.shape(NewInvitationSerializer)
        with shape.complaints():
            invitation = inviting.invite(
                tenant=self.tenant,
                actor=self.actor,
                email=shape.values.get("email", ""),
                role=shape.values.get("role", ""),
                known_errors=shape.errors,
            )
        return Response(_shown(invitation), status=201)


class InvitationView(OwnerView):
    def find(self, invitation_id: str) -> Invitation:
        rows = Invitation.objects.select_related("tenant", "inviter")
        found: Invitation = self.get_or_404(rows, pk=invitation_id)
        return found


class InvitationDetail(InvitationView):
    @extend_schema(responses={204: None})
    def delete(self, request: Request, invitation_id: str) -> Response:
        inviting.revoke(invitation=self.find(invitation_id), actor=self.actor)
        return Response(status=204)


class SendInvitationAgain(InvitationView):
    @extend_schema(request=None, responses={202: InvitationSerializer})
    def post(self, request: Request, invitation_id: str) -> Response:
        return self.once(lambda: self._send(invitation_id))

    def _send(self, invitation_id: str) -> Response:
        invitation = inviting.send_again(invitation=self.find(invitation_id), actor=self.actor)
        return Response(_shown(invitation), status=202)


class _Invitations:
    """Serializes a page of invitations with the state of their mails, in one more query."""

    def __init__(self, tenant: Any) -> None:
        self.tenant = tenant

    def __call__(self, rows: Any, many: bool, context: Any) -> Any:
        context = {**context, "mails": inviting.mails_of(rows, self.tenant)}
        return InvitationSerializer(rows, many=many, context=context)


def _shown(invitation: Invitation) -> Any:
    mails = inviting.mails_of([invitation], invitation.tenant)
    return InvitationSerializer(invitation, context={"mails": mails}).data


# --- API tokens -----------------------------------------------------------------------------------


class TokenSerializer(serializers.ModelSerializer[ApiToken]):
    id = serializers.CharField(source="public_id")
    owner = serializers.EmailField(
        source="user.email", help_text=("The user who created it. The user's role limits it.")
    )
    role = serializers.ChoiceField(Role.choices)
    hint = serializers.CharField(source="__str__", help_text="The beginning of the token.")
    createdAt = serializers.DateTimeField(source="created_at")
    expiresAt = serializers.DateTimeField(source="expires_at")
    lastUsedAt = serializers.DateTimeField(source="last_used_at", allow_null=True)
    revokedAt = serializers.DateTimeField(source="revoked_at", allow_null=True)

    class Meta:
        model = ApiToken
        fields = [
            "id",
            "name",
            "owner",
            "role",
            "hint",
            "createdAt",
            "expiresAt",
            "lastUsedAt",
            "revokedAt",
        ]


class CreatedTokenSerializer(TokenSerializer):
    token = serializers.SerializerMethodField(help_text="Shown only in this response.")

    class Meta(TokenSerializer.Meta):
        fields = [*TokenSerializer.Meta.fields, "token"]

    def get_token(self, token: ApiToken) -> str:
        return str(self.context["text"])


class NewTokenSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=80, required=False, allow_blank=True)
    role = serializers.ChoiceField(Role.choices)
    expiresInDays = serializers.IntegerField(
        source="days", min_value=1, max_value=TOKEN_DAYS_MAX, default=TOKEN_DAYS
    )


class TokenView(OwnerView):
    read_role = Role.OWNER

    def rows(self) -> QuerySet[ApiToken]:
        rows: QuerySet[ApiToken] = ApiToken.objects.for_tenant(self.tenant)
        return rows.select_related("user", "tenant")


class TokenList(TokenView):
    @extend_schema(responses=TokenSerializer(many=True))
    def get(self, request: Request) -> Response:
        return self.page(self.rows(), TokenSerializer)

    @extend_schema(request=NewTokenSerializer, responses={201: CreatedTokenSerializer})
    def post(self, request: Request) -> Response:
        return self.once(self._create)

    def _create(self) -> Response:
        shape = self.shape(NewTokenSerializer)
        with shape.complaints():
            token, text = create_token(
                tenant=self.tenant,
                user=self.actor,
                name=shape.values.get("name", ""),
                role=shape.values.get("role", ""),
                days=shape.values.get("days"),
                known_errors=shape.errors,
            )
        data = CreatedTokenSerializer(token, context={"text": text}).data
        return Response(data, status=201, headers={"Cache-Control": "no-store"})


class TokenDetail(TokenView):
    @extend_schema(responses={204: None})
    def delete(self, request: Request, token_key: str) -> Response:
        token = self.get_or_404(self.rows(), key_id=token_key.removeprefix("tok_"))
        revoke_token(token=token, actor=self.actor)
        return Response(status=204)
