"""How often a person may make delivr ask a provider."""

from __future__ import annotations

from django.utils.translation import gettext as _

from delivr.problems import Problem
from delivr.ratelimit import hit
from delivr.tenants.models import Tenant, User

WINDOW = 60  # seconds
VERIFICATIONS = 20  # a minute, on pages and by the API together


def throttle(what: str, *, tenant: Tenant, user: User, limit: int = VERIFICATIONS) -> None:
    """Count one more `what` of this user. Raises Problem 429 beyond `limit` a minute."""
    key = f"{what}:{tenant.pk}:{user.pk}"
    if seconds := hit(key, limit=limit, window=WINDOW):
        words = _("That was often. Wait a minute, then try again.")
        raise Problem(429, "throttled", words, headers={"Retry-After": str(seconds)})
