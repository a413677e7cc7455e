from __future__ import annotations

import unicodedata
from typing import Any

from allauth.account.forms import AddEmailForm as AllauthAddEmailForm
from allauth.account.forms import SignupForm as AllauthSignupForm
from allauth.account.internal.flows.email_verification import send_verification_email_to_address
from allauth.account.models import EmailAddress
from django import forms
from django.contrib.auth.hashers import make_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from delivr.audit.operations import SYSTEM
from delivr.pages import timezones
from delivr.tenants.models import User


class SignupForm(AllauthSignupForm):  # type: ignore[misc] # untyped library
    def try_save(self, request: HttpRequest) -> Any:
        """Take as long for an existing address as for a new one, whose password is hashed."""
        if self.account_already_exists:
            make_password(self.cleaned_data["password1"])
        return super().try_save(request)


class AddEmailForm(AllauthAddEmailForm):  # type: ignore[misc] # untyped library
    @transaction.atomic
    def save(self, request: HttpRequest) -> EmailAddress:
        """Ask the new address for confirmation; an earlier unconfirmed address is dropped.

        allauth would also drop the current address if it was never confirmed.
        """
        waiting = EmailAddress.objects.filter(user=self.user, verified=False)
        waiting.exclude(email=self.user.email).delete()
        address = EmailAddress.objects.create(user=self.user, email=self.cleaned_data["email"])
        transaction.on_commit(lambda: send_verification_email_to_address(request, address))
        return address


_HIDDEN = ("Cc", "Cf", "Co")  # controls, formats, private use
_BLANK = "\u034f\u115f\u1160\u2800"  # letters and marks that are invisible after normalization


class ProfileForm(forms.ModelForm):  # type: ignore[type-arg] # not at run time
    class Meta:
        model = User
        fields = ("name",)
        labels = {"name": _("Name")}
        help_texts = {
            "name": _("Members of your workspaces see this instead of your email address.")
        }
        widgets = {"name": forms.TextInput(attrs={"autocomplete": "name"})}

    def clean_name(self) -> str:
        """One line that looks neither like an email address nor like delivr itself."""
        # Normalized, since a full-width @ looks like one.
        name = " ".join(unicodedata.normalize("NFKC", self.cleaned_data["name"]).split())
        hidden = any(unicodedata.category(c) in _HIDDEN or c in _BLANK for c in name)
        if hidden or "@" in name or name.casefold() == SYSTEM:
            words = _("Enter a name, not an email address. Invisible characters are not allowed.")
            raise ValidationError(words)
        return name


class TimeZoneForm(forms.ModelForm):  # type: ignore[type-arg] # not at run time
    """A text field with suggestions: it can be searched, and needs no script."""

    class Meta:
        model = User
        fields = ("time_zone",)
        labels = {"time_zone": _("Time zone")}
        help_texts = {
            "time_zone": _(
                "Enter part of its name, for example Berlin. Leave empty to use your browser's "
                "time zone."
            )
        }
        widgets = {
            "time_zone": forms.TextInput(attrs={"list": "time-zones", "autocomplete": "off"})
        }

    def clean_time_zone(self) -> str:
        text: str = self.cleaned_data["time_zone"]
        found = timezones.find(text)
        if text and not found:
            raise ValidationError(_("Choose one from the list, for example Europe/Berlin."))
        return found
