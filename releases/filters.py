"""The filters of the list of releases, read from the query string."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from delivr.tenants.middleware import TenantRequest
from delivr.tenants.models import Membership
from integrations.choices import Platform
from integrations.providers.ci import BuildStatus
from releases.models import FAILED, MOVING, ReleaseQuerySet
from releases.tabs import bounded, words_of

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

MAX_LENGTH = {"q": 64, "by": 254}
# Groups of build statuses to filter by.
BUILDS: dict[str, tuple[StrOrPromise, tuple[str, ...]]] = {
    "missing": (gettext_lazy("Not started"), (BuildStatus.PENDING,)),
    "moving": (gettext_lazy("In progress"), MOVING),
    "failed": (gettext_lazy("Did not succeed"), FAILED),
    "succeeded": (gettext_lazy("Succeeded"), (BuildStatus.SUCCESS,)),
}


@dataclass(frozen=True)
class Chip:
    """One active filter, and the URL of the list without it."""

    label: str
    href: str
    found: int = 0  # number of releases without this filter, bounded

    @property
    def found_words(self) -> int | str:
        return words_of(self.found)


class ReleaseFilter:
    """`q` is a part of the version, `platform` and `build` are choices, `by` is an email address.

    An unknown platform or build is ignored; an unknown address gives an empty list.
    """

    def __init__(self, request: TenantRequest) -> None:
        self.tenant = request.tenant
        given = {name: _clean(request, name) for name in ("q", "platform", "build", "by")}
        known = {"platform": Platform.values, "build": BUILDS}
        self.values = {
            name: text
            for name, text in given.items()
            if text and (name not in known or text in known[name])
        }

    def apply(self, rows: ReleaseQuerySet, *, without: str = "") -> ReleaseQuerySet:
        """The matching rows; the filter named `without` is left out."""
        values = {name: text for name, text in self.values.items() if name != without}
        builds = values.get("build")
        return rows.matching(
            version=values.get("q", ""),
            platform=values.get("platform", ""),
            build_statuses=BUILDS[builds][1] if builds else (),
            created_by=values.get("by", ""),
        )

    @cached_property
    def fields(self) -> list[dict[str, Any]]:
        """The selects of the form: name, label, chosen value, and choices."""
        return [
            {"name": name, "label": label, "chosen": self.values.get(name, ""), "choices": choices}
            for name, label, choices in (
                ("platform", _("Platform"), [("", _("All platforms")), *Platform.choices]),
                ("build", _("Builds"), [("", _("Builds with any status")), *_builds()]),
                ("by", _("Created by"), [("", _("Created by anyone")), *self._people()]),
            )
        ]

    @property
    def folded(self) -> int:
        """The number of active `fields`, for a small screen that folds them."""
        return len(self.values.keys() - {"q"})

    def chips(self, tab: str) -> list[Chip]:
        return [Chip(self._words(name), self.url(tab, without=name)) for name in self.values]

    def drops(self, tab: str, rows: ReleaseQuerySet) -> list[Chip]:
        """The filters to drop so that the list is not empty; `rows` are all releases of the tab."""
        found = [
            Chip(
                self._words(name),
                self.url(tab, without=name),
                bounded(self.apply(rows, without=name)).count(),
            )
            for name in self.values
        ]
        return [chip for chip in found if chip.found]

    def url(self, tab: str, *, without: str = "") -> str:
        kept = {name: text for name, text in self.values.items() if name != without}
        return f"?{urlencode({**kept, 'tab': tab})}"

    def _words(self, name: str) -> str:
        text = self.values[name]
        if name == "q":
            return _("Version: %(text)s") % {"text": text}
        if name == "platform":
            return str(Platform(text).label)
        if name == "build":
            return _("Builds: %(state)s") % {"state": BUILDS[text][0]}
        return _("Created by %(who)s") % {"who": text}

    def _people(self) -> list[tuple[str, str]]:
        """The members, and the chosen person even if they are no longer a member."""
        members = Membership.objects.for_tenant(self.tenant).select_related("user")
        people = {member.user.email: member.user.called_exactly for member in members}
        if chosen := self.values.get("by"):
            people.setdefault(chosen, chosen)
        return sorted(people.items(), key=lambda person: person[1].lower())


def _clean(request: TenantRequest, name: str) -> str:
    return request.GET.get(name, "").replace("\0", "").strip()[: MAX_LENGTH.get(name, 20)]


def _builds() -> list[tuple[str, StrOrPromise]]:
    return [(name, label) for name, (label, _statuses) in BUILDS.items()]
