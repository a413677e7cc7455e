"""Users can be created and changed here; workspaces and tokens can only be viewed or ended."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from delivr.admin_site.read_only import ReadOnlyAdmin, ReadOnlyInline
from delivr.tenants.inviting import revoke
from delivr.tenants.membership import change_role, remove_member
from delivr.tenants.models import (
    ApiToken,
    IdempotentRequest,
    Invitation,
    Membership,
    Role,
    Tenant,
    User,
)
from delivr.tenants.operations import revoke_token
from delivr.tenants.roles import solely_owned


def _user(request: HttpRequest) -> User:
    user: User = request.user  # type: ignore[assignment]
    return user


class NewUserForm(AdminUserCreationForm):  # type: ignore[type-arg]
    """A user is an email address and a password."""

    class Meta:
        model = User
        fields = ("email",)

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"].lower()
        if User.objects.filter(email=email).exists():
            raise ValidationError(_("This address already has an account."))
        return email


class ChangeUserForm(UserChangeForm):  # type: ignore[type-arg]
    class Meta:
        model = User
        fields = "__all__"  # the admin's fieldsets choose
        field_classes: dict[str, Any] = {}

    def clean_is_active(self) -> bool:
        """Only deactivate a user who is not the only owner of a workspace: it needs one who can
        sign in."""
        is_active: bool = self.cleaned_data["is_active"]
        if not is_active and (held := solely_owned(self.instance)):
            raise ValidationError(
                _("The only owner of %(names)s. Make someone else an owner first."),
                params={"names": ", ".join(tenant.name for tenant in held)},
            )
        return is_active


@admin.register(User)
class UserAdmin(DjangoUserAdmin):  # type: ignore[type-arg]
    form, add_form = ChangeUserForm, NewUserForm
    ordering = ("email",)
    list_display = ("email", "is_active", "is_staff", "is_superuser", "last_login")
    search_fields = ("email",)
    fieldsets = (
        (None, {"fields": ("email", "password")}),
        (
            _("Rights over the whole installation"),
            {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")},
        ),
        (_("Dates"), {"fields": ("last_login", "date_joined")}),
    )
    readonly_fields = ("last_login", "date_joined")
    rights = ("is_staff", "is_superuser", "groups", "user_permissions")
    add_fieldsets = ((None, {"fields": ("email", "usable_password", "password1", "password2")}),)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Only superusers grant permissions, so that nobody can give themselves more than they
        have."""
        known = super().get_readonly_fields(request, obj)
        return known if _user(request).is_superuser else (*known, *self.rights)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        allowed: bool = super().has_change_permission(request, obj)
        return allowed and _may_change(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        allowed: bool = super().has_delete_permission(request, obj)
        return allowed and _may_change(request, obj)


def _may_change(request: HttpRequest, user: User | None) -> bool:
    """Only superusers may change a superuser's password and address, since they lead to
    everything."""
    return user is None or not user.is_superuser or _user(request).is_superuser


class MemberInline(ReadOnlyInline):
    model = Membership
    hidden = ("id", "tenant")


@admin.register(Tenant)
class TenantAdmin(ReadOnlyAdmin):
    list_display = ("name", "id", "created_at")
    search_fields = ("id", "name", "members__email")
    date_hierarchy = "created_at"
    inlines = (MemberInline,)


@admin.register(Membership)
class MembershipAdmin(ReadOnlyAdmin):
    """Who belongs to which workspace; changed by the same operations as on the pages."""

    list_display = ("user", "tenant", "role", "created_at")
    list_filter = ("role",)
    list_select_related = ("user", "tenant")
    search_fields = ("user__email", "tenant__id", "tenant__name")
    actions = ("make_owner", "make_admin", "make_member", "make_viewer", "remove")

    @admin.action(description=_("Make owner"), permissions=["operate"])
    def make_owner(self, request: HttpRequest, rows: QuerySet[Membership]) -> None:
        self._set_role(request, rows, Role.OWNER)

    @admin.action(description=_("Make admin"), permissions=["operate"])
    def make_admin(self, request: HttpRequest, rows: QuerySet[Membership]) -> None:
        self._set_role(request, rows, Role.ADMIN)

    @admin.action(description=_("Make member"), permissions=["operate"])
    def make_member(self, request: HttpRequest, rows: QuerySet[Membership]) -> None:
        self._set_role(request, rows, Role.MEMBER)

    @admin.action(description=_("Make viewer"), permissions=["operate"])
    def make_viewer(self, request: HttpRequest, rows: QuerySet[Membership]) -> None:
        self._set_role(request, rows, Role.VIEWER)

    def _set_role(self, request: HttpRequest, rows: QuerySet[Membership], role: Role) -> None:
        self.operate(
            request, rows, lambda row: change_role(membership=row, role=role, actor=_user(request))
        )

    @admin.action(description=_("Remove from the workspace"), permissions=["operate"])
    def remove(self, request: HttpRequest, rows: QuerySet[Membership]) -> None:
        self.operate(request, rows, lambda row: remove_member(membership=row, actor=_user(request)))


@admin.register(Invitation)
class InvitationAdmin(ReadOnlyAdmin):
    list_display = ("email", "tenant", "role", "inviter", "expires_at", "accepted_at", "revoked_at")
    list_filter = ("role",)
    list_select_related = ("tenant", "inviter")
    search_fields = ("email", "id", "tenant__id", "tenant__name")
    date_hierarchy = "created_at"
    hidden = ("digest",)
    actions = ("revoke",)

    @admin.action(description=_("Revoke"), permissions=["operate"])
    def revoke(self, request: HttpRequest, rows: QuerySet[Invitation]) -> None:
        self.operate(request, rows, lambda row: revoke(invitation=row, actor=_user(request)))


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "name", "tenant", "user", "role", "expires_at", "revoked_at")
    list_filter = ("role",)
    list_select_related = ("tenant", "user")
    search_fields = ("key_id", "name", "user__email", "tenant__id", "tenant__name")
    date_hierarchy = "created_at"
    hidden = ("digest",)
    actions = ("revoke",)

    @admin.action(description=_("Revoke"), permissions=["operate"])
    def revoke(self, request: HttpRequest, rows: QuerySet[ApiToken]) -> None:
        actor: Any = request.user
        self.operate(request, rows, lambda token: revoke_token(token=token, actor=actor))


@admin.register(IdempotentRequest)
class IdempotentRequestAdmin(ReadOnlyAdmin):
    list_display = ("key", "tenant", "status", "created_at")
    list_select_related = ("tenant",)
    search_fields = ("key", "tenant__id")
    date_hierarchy = "created_at"
    hidden = ("fingerprint",)
