"""What a person picks out of the list of releases. All of it stands in the address."""

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
from integrations.providers.base import BuildStatus
from releases.models import FAILED, MOVING, ReleaseQuerySet

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

LONGEST = {"q": 64, "by": 254}
# How a pipeline's newest build is, in fewer words than the states that are stored.
BUILDS: dict[str, tuple[StrOrPromise, tuple[str, ...]]] = {
    "missing": (gettext_lazy("Not started"), (BuildStatus.PENDING,)),
    "moving": (gettext_lazy("On the way"), MOVING),
    "failed": (gettext_lazy("Did not succeed"), FAILED),
    "succeeded": (gettext_lazy("Succeeded"), (BuildStatus.SUCCESS,)),
}


@dataclass(frozen=True)
class Chip:
    """One thing that was picked out, and the address of the list without it."""

    label: str
    href: str
    found: int = 0  # releases that the list would show without it


class ReleaseFilter:
    """`q` a part of the version, `platform`, `build`, and `by` an e-mail address.

    A platform or build that does not exist picks nothing out; a person that nobody knows made none.
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

    def of(self, rows: ReleaseQuerySet, *, without: str = "") -> ReleaseQuerySet:
        """The rows that are wanted; `without` is something picked out that shall not count."""
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
        """The selects of the form: name, label, chosen value, and choices with their words."""
        return [
            {"name": name, "label": label, "chosen": self.values.get(name, ""), "choices": choices}
            for name, label, choices in (
                ("platform", _("Platform"), [("", _("Every platform")), *Platform.choices]),
                ("build", _("Builds"), [("", _("Builds in every state")), *_builds()]),
                ("by", _("Created by"), [("", _("Created by anybody")), *self._people()]),
            )
        ]

    @property
    def folded(self) -> int:
        """How many of `fields` pick something out, for a screen that folds them away."""
        return len(self.values.keys() - {"q"})

    def chips(self, tab: str) -> list[Chip]:
        return [Chip(self._words(name), self.url(tab, without=name)) for name in self.values]

    def drops(self, tab: str, rows: ReleaseQuerySet) -> list[Chip]:
        """What could be dropped so that the list is not empty; `rows` are all of the tab."""
        found = [
            Chip(
                self._words(name), self.url(tab, without=name), self.of(rows, without=name).count()
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
        """The members, and who was picked out although not one of them (any more)."""
        members = Membership.objects.for_tenant(self.tenant)
        emails = {*members.values_list("user__email", flat=True), self.values.get("by", "")}
        return [(email, email) for email in sorted(emails - {""})]


def _clean(request: TenantRequest, name: str) -> str:
    return request.GET.get(name, "").replace("\0", "").strip()[: LONGEST.get(name, 20)]


def _builds() -> list[tuple[str, StrOrPromise]]:
    return [(name, label) for name, (label, _statuses) in BUILDS.items()]
