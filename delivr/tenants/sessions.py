"""Ends the sessions of a user who has lost access."""

from __future__ import annotations

from allauth.usersessions.models import UserSession

from delivr.tenants.models import User


def end_sessions(user: User) -> None:
    """Sign the user out everywhere."""
    for session in UserSession.objects.filter(user=user):
        session.end()
