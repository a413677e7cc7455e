"""How often a person may make delivr ask a provider."""

from __future__ import annotations

from django.core.cache import cache
from django.utils.translation import gettext as _

from delivr.problems import Problem
from delivr.tenants.middleware import TenantRequest

WINDOW = 60  # seconds


def throttle(request: TenantRequest, what: str, *, limit: int) -> None:
    """Count one more `what` of this user. Raises Problem 429 beyond `limit` a minute.

    Counted in the process's cache: with several web processes it is a limit of each.
    """
    key = f"throttle:{what}:{request.tenant.pk}:{request.user.pk}"
    cache.add(key, 0, WINDOW)
    try:
        count = cache.incr(key)
    except ValueError:  # it expired between the two lines
        count = 1
    if count > limit:
        words = _("That was often. Wait a minute, then try again.")
        raise Problem(429, "throttled", words, headers={"Retry-After": str(WINDOW)})
