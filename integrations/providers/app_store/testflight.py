"""The steps that give a build to groups of testers.

https://developer.apple.com/documentation/appstoreconnectapi/prerelease-versions-and-beta-testers
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..base import ProviderError
from .errors import not_yet
from .resources import Resource
from .step import References, Step
from .texts import by_locale, differing, write

# `externalBuildState` from the submission to beta review on.
_IN_REVIEW = frozenset(
    {
        "WAITING_FOR_BETA_REVIEW",
        "IN_BETA_REVIEW",
        "BETA_APPROVED",
        "READY_FOR_BETA_TESTING",
        "IN_BETA_TESTING",
    }
)
INTERNAL_ONLY = "INTERNAL_ONLY"  # `buildAudienceType`


class GroupStep(Step):
    def groups(self) -> list[Resource]:
        """Those of the plan. Raises REFUSED if one of them is not there."""
        there = self.app.groups()
        if missing := missing_groups(self.plan.groups, there):
            raise ProviderError.refused(
                "group_missing",
                f"TestFlight has no group {', '.join(missing)}.",
                "Create it in TestFlight, or choose another one.",
            )
        return chosen(self.plan.groups, there)


class Groups(GroupStep):
    def find(self) -> References | None:
        return None if self._without(self.build()) else {}

    def take(self) -> References:
        build = self.build()
        groups = self._without(build)
        if build.text("buildAudienceType") == INTERNAL_ONLY and any(map(is_external, groups)):
            raise ProviderError.refused(
                "internal_only",
                f"Build {self.plan.build} was uploaded for internal testing only.",
                "Upload a build that is not for internal testing only.",
            )
        self.client.add(build, "betaGroups", groups)
        return {}

    def _without(self, build: Resource) -> list[Resource]:
        """The groups that do not have the build yet."""
        having = {group.id for group in build.many("betaGroups")}
        return [
            group
            for group in self.groups()
            if group.id not in having and group.get("hasAccessToAllBuilds") is not True
        ]


class TestNotes(Step):
    """What to test, in each language."""

    def find(self) -> References | None:
        return None if differing(self.plan.notes, self._there(self.build())) else {}

    def take(self) -> References:
        build = self.build()
        there = self._there(build)

        def one(locale: str, text: str) -> None:
            if locale in there:
                self.client.update(there[locale], whatsNew=text)
            else:
                self.client.create(
                    "betaBuildLocalizations",
                    {"locale": locale, "whatsNew": text},
                    build=("builds", build.id),
                )

        write(differing(self.plan.notes, there), one)
        return {}

    def _there(self, build: Resource) -> dict[str, Resource]:
        return by_locale(self.client.many(f"/v1/builds/{build.id}/betaBuildLocalizations"))


class BetaReview(GroupStep):
    """Apple reviews what external testers get; a group of the team needs no review."""

    def find(self) -> References | None:
        state = self._state(self.build())
        if state in _IN_REVIEW or not any(map(is_external, self.groups())):
            return {}
        if state == "BETA_REJECTED":
            raise ProviderError.refused(
                "beta_rejected",
                f"Apple rejected build {self.plan.build} in beta review.",
                "Read why in TestFlight, and upload another build.",
            )
        return None

    def take(self) -> References:
        build = self.build()
        if self._state(build) == "PROCESSING":
            raise not_yet("build_processing", f"Apple is still processing build {self.plan.build}.")
        self.client.create("betaAppReviewSubmissions", build=("builds", build.id))
        return {}

    def _state(self, build: Resource) -> str:
        detail = build.one("buildBetaDetail")
        return detail.text("externalBuildState") if detail else ""


def is_external(group: Resource) -> bool:
    return group.get("isInternalGroup") is not True


def chosen(names: Sequence[str], there: Iterable[Resource]) -> list[Resource]:
    return [group for group in there if group.text("name") in names or group.id in names]


def missing_groups(names: Sequence[str], there: Iterable[Resource]) -> list[str]:
    known = {word for group in there for word in (group.text("name"), group.id)}
    return [name for name in names if name not in known]


STEPS: Mapping[str, type[Step]] = {
    "groups": Groups,
    "test_notes": TestNotes,
    "beta_review": BetaReview,
}
