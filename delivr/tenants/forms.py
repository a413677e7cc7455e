from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib.auth.forms import SetPasswordForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from delivr.tenants import closing, inviting
from delivr.tenants.models import ApiToken, Role, Tenant, User
from delivr.tenants.operations import TOKEN_DAYS, create_tenant, create_token


class WorkspaceForm(forms.Form):
    workspace = forms.CharField(
        label=_("Workspace"), max_length=80, help_text=_("Usually the company or the app.")
    )

    def clean_workspace(self) -> str:
        name: str = self.cleaned_data["workspace"].strip()
        if not name:
            raise ValidationError(_("Enter a name for the workspace."))
        return name

    def create(self, user: User) -> Tenant:
        return create_tenant(name=self.cleaned_data["workspace"], owner=user)


class WorkspaceSignup(WorkspaceForm):
    """The field that our sign-up page adds to allauth's: the first workspace."""

    field_order = ("workspace", "email", "password1", "password2")

    def signup(self, request: HttpRequest, user: User) -> None:
        self.create(user)


class OperationForm(forms.Form):
    """A form that shows an operation's errors beside its fields."""

    def submit(self, operation: Callable[..., Any], **values: Any) -> Any:
        """Returns the operation's result; None if it raised ValidationError."""
        try:
            return operation(**values, **self.cleaned_data)
        except ValidationError as error:
            for field, messages in error.message_dict.items():
                self.add_error(field if field in self.fields else None, messages)
            return None


class TokenForm(OperationForm):
    name = forms.CharField(
        label=_("Name"), max_length=80, help_text=_("What the token is used for.")
    )
    role = forms.ChoiceField(label=_("Role"), choices=Role.choices, initial=Role.MEMBER)
    days = forms.TypedChoiceField(
        label=_("Expires after"),
        coerce=int,
        initial=TOKEN_DAYS,
        choices=[(30, _("30 days")), (90, _("90 days")), (180, _("180 days")), (365, _("a year"))],
    )

    def create(self, *, tenant: Tenant, user: User) -> tuple[ApiToken, str] | None:
        created: tuple[ApiToken, str] | None = self.submit(create_token, tenant=tenant, user=user)
        return created


class InviteForm(OperationForm):
    email = forms.EmailField(
        label=_("Email address"), widget=forms.EmailInput(attrs={"autocomplete": "off"})
    )
    role = forms.ChoiceField(label=_("Role"), choices=Role.choices, initial=Role.MEMBER)

    def invite(self, *, tenant: Tenant, actor: User) -> bool:
        return self.submit(inviting.invite, tenant=tenant, actor=actor) is not None


class RenameForm(OperationForm):
    name = forms.CharField(label=_("Name"), max_length=80)

    def rename(self, *, tenant: Tenant, actor: User) -> bool:
        return self.submit(closing.rename, tenant=tenant, actor=actor) is not None


class CloseForm(OperationForm):
    confirmation = forms.CharField(
        label=_("Name of the workspace"),
        max_length=80,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )

    def close(self, *, tenant: Tenant, actor: User) -> bool:
        self.submit(closing.close, tenant=tenant, actor=actor)
        return not self.errors


class NewPasswordForm(SetPasswordForm):  # type: ignore[type-arg]
    """The password of a new user who accepts an invitation."""
