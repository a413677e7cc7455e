"""The user of a session, with their memberships."""

from __future__ import annotations

from typing import Any

from allauth.account.auth_backends import AuthenticationBackend
from django.contrib.auth.base_user import AbstractBaseUser

from delivr.tenants.models import Membership


class Accounts(AuthenticationBackend):  # type: ignore[misc] # untyped library
    """allauth's backend. Nearly every request needs the memberships as well, so one statement
    finds both; `delivr.tenants.middleware` reads them from `known_memberships`."""

    def get_user(self, user_id: Any) -> AbstractBaseUser | None:
        rows = Membership.objects.filter(user=user_id).select_related("tenant", "user")
        memberships = list(rows)
        if not memberships:
            alone: AbstractBaseUser | None = super().get_user(user_id)
            return alone
        user = memberships[0].user
        for membership in memberships:
            membership.user = user
        user.known_memberships = memberships
        return user if self.user_can_authenticate(user) else None
