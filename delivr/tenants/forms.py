from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from delivr.tenants.models import ApiToken, Role, Tenant, User
from delivr.tenants.operations import create_tenant, create_token


class WorkspaceForm(forms.Form):
    workspace = forms.CharField(
        label=_("Workspace"), max_length=80, help_text=_("Usually the company or the app.")
    )

    def clean_workspace(self) -> str:
        name: str = self.cleaned_data["workspace"].strip()
        if not name:
            raise ValidationError(_("Give the workspace a name."))
        return name

    def create(self, user: User) -> Tenant:
        return create_tenant(name=self.cleaned_data["workspace"], owner=user)


class WorkspaceSignup(WorkspaceForm):
    """The part of the sign-up page that allauth does not know: the first workspace."""

    field_order = ("workspace", "email", "password1", "password2")

    def signup(self, request: HttpRequest, user: User) -> None:
        self.create(user)


class TokenForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=80, help_text=_("What will use it."))
    role = forms.ChoiceField(label=_("Role"), choices=Role.choices, initial=Role.MEMBER)
    days = forms.IntegerField(
        label=_("Expires after (days)"), min_value=1, max_value=365, initial=90
    )

    def create(self, *, tenant: Tenant, user: User) -> tuple[ApiToken, str] | None:
        try:
            return create_token(tenant=tenant, user=user, **self.cleaned_data)
        except ValidationError as error:
            for field, messages in error.message_dict.items():
                self.add_error(field if field in self.fields else None, messages)
            return None

    def clean(self) -> dict[str, Any]:
        return super().clean() or self.cleaned_data
