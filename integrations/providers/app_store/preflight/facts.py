"""What several checks need to know, read once."""

from __future__ import annotations

from functools import cached_property

from ...stores import SubmissionPlan
from ..app import App
from ..resources import Resource
from ..step import is_editable
from ..words import ONCE_LIVE

_LIVE_INFO = ("READY_FOR_DISTRIBUTION", "REPLACED_WITH_NEW_INFO")  # `state` of an appInfo


class Facts:
    def __init__(self, app: App, plan: SubmissionPlan) -> None:
        self.app, self.client, self.plan = app, app.client, plan

    @cached_property
    def about(self) -> Resource | None:
        params = {"fields[apps]": "bundleId,primaryLocale,contentRightsDeclaration"}
        return self.client.one(f"/v1/apps/{self.app.id}", params)

    @cached_property
    def build(self) -> Resource | None:
        return self.app.build(self.plan)

    @cached_property
    def versions(self) -> list[Resource]:
        return self.app.versions()

    @cached_property
    def submissions(self) -> list[Resource]:
        return self.app.submissions()

    @cached_property
    def info(self) -> Resource | None:
        """The app's information that will be reviewed: while a version is being prepared, there is
        another set for what is in the store."""
        params = {"include": "ageRatingDeclaration,primaryCategory"}
        found = self.client.many(f"/v1/apps/{self.app.id}/appInfos", params)
        edited = (info for info in found if info.text("state") not in _LIVE_INFO)
        return next(edited, found[0] if found else None)

    @cached_property
    def localizations(self) -> list[Resource]:
        return self.app.localizations(self.model) if self.model else []

    @property
    def own(self) -> Resource | None:
        """The version of the plan, if it is there already."""
        ours = (v for v in self.versions if v.text("versionString") == self.plan.version)
        return next(ours, None)

    @property
    def earlier(self) -> list[Resource]:
        """Versions that are or were in the store, the greatest first."""
        found = [v for v in self.versions if v.text("appVersionState") in ONCE_LIVE]
        return sorted(found, key=lambda v: number(v.text("versionString")), reverse=True)

    @property
    def model(self) -> Resource | None:
        """The version itself, or the one from which Apple copies what a new one has."""
        return self.own or (self.earlier[0] if self.earlier else None)

    @property
    def is_submitted(self) -> bool:
        return self.own is not None and not is_editable(self.own)


def number(version: str) -> tuple[int, ...]:
    """For comparing; zeros at the end do not count: 1.5 is 1.5.0."""
    parts = [int(part) for part in version.split(".") if part.isascii() and part.isdigit()]
    while parts and parts[-1] == 0:
        parts.pop()
    return tuple(parts)
