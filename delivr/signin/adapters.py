"""Our settings for allauth that need code."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from allauth.core.internal.httpkit import get_client_ip
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext as _

from delivr.encryption.fields import SecretUnreadable
from delivr.signin.sealing import seal, unseal
from delivr.tenants.models import User

NO_ADDRESS = "0.0.0.0"  # noqa: S104 # nothing is bound to it


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc] # untyped library
    def get_client_ip(self, request: HttpRequest) -> str:
        """The client's address; behind a Unix socket without X-Forwarded-For, all clients count as
        one."""
        return get_client_ip(request) or NO_ADDRESS

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Do nothing: allauth would count wrong passwords by email alone, so that a stranger could
        lock someone out. axes counts them by email and address (see the settings)."""

    def can_delete_email(self, email_address: EmailAddress) -> bool:
        """The current address can be replaced but not removed."""
        return bool(email_address.email != email_address.user.email)


class MfaAdapter(DefaultMFAAdapter):  # type: ignore[misc] # untyped library
    def encrypt(self, text: str) -> str:
        return seal(text)

    def decrypt(self, encrypted_text: str) -> str:
        """Raises ValidationError, which a form shows, if the key is missing from FERNET_KEYS."""
        try:
            return unseal(encrypted_text)
        except SecretUnreadable:
            raise ValidationError(
                _(
                    "The encryption key of your second factor is missing. Contact the "
                    "operator of this installation."
                )
            ) from None

    def generate_authenticator_name(self, user: User, type: str) -> str:
        number = Authenticator.objects.filter(user=user, type=type).count() + 1
        return _("Passkey %(number)d") % {"number": number}
