"""The command palette: pages, actions, releases and connections whose name contains the query."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from delivr.tenants.models import Role, Tenant
from integrations.in_short import connections_in_short
from integrations.models import Connection
from integrations.setup import SECTIONS
from releases.models import Release

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

LONGEST = 64  # characters of a search
MOST = 6  # releases, and connections of each family
NAMES = ("display_name", "repository_url", "app_identifier", "server_url", "job", "project")


@dataclass(frozen=True)
class Entry:
    """One line: its link, and `more` about it. `status` is that of a release or connection,
    `status_kind` as for the tag status_badge."""

    label: str
    url: str
    more: str = ""
    status: str = ""
    status_kind: str = ""


@dataclass(frozen=True)
class Group:
    title: str
    entries: list[Entry]


PAGES: tuple[tuple[StrOrPromise, str], ...] = (
    (gettext_lazy("Releases"), "releases"),
    (gettext_lazy("Integrations"), "integrations"),
    (gettext_lazy("Activity: sent"), "activity"),
    (gettext_lazy("Activity: received"), "activity_received"),
    (gettext_lazy("Insights"), "insights"),
    (gettext_lazy("Settings: members"), "settings_members"),
    (gettext_lazy("Settings: audit log"), "settings_audit"),
    (gettext_lazy("HTTP API"), "api_docs"),
    (gettext_lazy("Your profile"), "account_profile"),
)


def search(tenant: Tenant, role: Role, text: str) -> list[Group]:
    """What matches every word of the text, in as many queries however much there is; the first
    lines of everything but the connections for an empty text."""
    words = text[:LONGEST].replace("\0", "").lower().split()
    groups = [
        Group(_("Releases"), list(_releases(tenant, words))),
        Group(_("Actions"), list(_matching(_actions(role), words))),
        Group(_("Pages"), list(_matching(_pages(), words))),
        Group(_("Connections"), list(_connections(tenant, words)) if words else []),
    ]
    return [group for group in groups if group.entries]


def _matching(entries: Iterable[Entry], words: list[str]) -> Iterator[Entry]:
    for entry in entries:
        name = entry.label.lower()
        if all(word in name for word in words):
            yield entry


def _pages() -> Iterator[Entry]:
    for label, name in PAGES:
        yield Entry(str(label), reverse(name))


def _actions(role: Role) -> Iterator[Entry]:
    if role.covers(Role.MEMBER):
        yield Entry(_("New release"), reverse("release_new"))
    if role.covers(Role.ADMIN):
        for step in SECTIONS:
            label = _("Add a connection: %(family)s") % {"family": step.title}
            yield Entry(label, reverse("integration_new", args=[step.key]))


def _releases(tenant: Tenant, words: list[str]) -> Iterator[Entry]:
    rows = Release.objects.for_tenant(tenant)
    for word in words:
        rows = rows.with_version(word)
    for row in rows.order_by("-created_at", "-pk")[:MOST]:
        url = reverse("release", args=[row.pk])
        yield Entry(row.version, url, more=row.branch, status=row.stage)


def _connections(tenant: Tenant, words: list[str]) -> Iterator[Entry]:
    def are_named(model: type[Connection]) -> Q:
        return Q(*(_named(model, word) for word in words))

    for row in connections_in_short(tenant, where=are_named, most=MOST):
        url = reverse("integration", args=[row.family, row.pk])
        yield Entry(str(row), url, row.kind_label, row.verification_status, "verification")


def _named(model: type[Connection], word: str) -> Q:
    """A name or address has the word, or the provider's name has it."""
    kind: Any = model._meta.get_field(model.type_field)
    kinds = [value for value, label in kind.choices or () if word in str(label).lower()]
    found = Q(**{f"{model.type_field}__in": kinds})
    for column in {field.name for field in model._meta.get_fields()} & set(NAMES):
        found |= Q(**{f"{column}__icontains": word})
    return found
