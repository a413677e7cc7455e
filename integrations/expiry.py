"""When a credential expires: as the provider says, or by its age if the provider limits it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from operator import attrgetter

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from delivr.tenants.models import Tenant
from integrations.in_short import connections_in_short
from integrations.models import Connection

WARN = timedelta(days=14)


def expiry_words(connection: Connection) -> str:
    """A sentence from 14 days before a credential expires; "" before that."""
    now = timezone.now()
    if connection.credential_expires_at is not None:
        return _in_words(connection.credential_expires_at - now)
    longest, since = connection.provider_class.longest_life, connection.credential_changed_at
    if longest is None or since is None or since + longest - now > WARN:
        return ""
    words = {"days": (now - since).days, "longest": longest.days, "kind": connection.kind_label}
    return _("Entered %(days)d days ago; %(kind)s credentials last %(longest)d days.") % words


def with_expiry(connections: Iterable[Connection]) -> list[Connection]:
    """The connections with `expiry` set to the sentence of `expiry_words`."""
    found = list(connections)
    for connection in found:
        connection.expiry = expiry_words(connection)
    return found


def is_ending() -> Q:
    """The condition that a connection's credential expires within two weeks, or has expired."""
    return Q(credential_expires_at__lte=timezone.now() + WARN)


def expiry_notice(tenant: Tenant) -> str:
    """One sentence about the workspace's credential that expires first, from two weeks before; ""
    if there is none. Costs one query."""
    ending = connections_in_short(tenant, where=lambda _model: is_ending())
    if not ending:
        return ""
    first = min(ending, key=attrgetter("credential_expires_at"))
    words = f"{first}: {expiry_words(first)}"
    more = ngettext("One more expires soon.", "%(count)d more expire soon.", len(ending) - 1)
    return f"{words} {more % {'count': len(ending) - 1}}" if ending[1:] else words


def _in_words(left: timedelta) -> str:
    if left > WARN:
        return ""
    if left <= timedelta(0):
        return _("The credential has expired: enter a new one.")
    if left < timedelta(days=1):
        return _("The credential expires within a day: enter a new one.")
    return ngettext(
        "The credential expires in %(days)d day: enter a new one before then.",
        "The credential expires in %(days)d days: enter a new one before then.",
        left.days,
    ) % {"days": left.days}
