"""The steps that give a build to groups of testers.

https://developer.apple.com/documentation/appstoreconnectapi/prerelease-versions-and-beta-testers
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from ..base import Check, Level, ProviderError
from ..stores import ANOTHER_IN_REVIEW, StepHeldUp, SubmissionPlan
from .app import App
from .client import Params
from .errors import TOLD_BY_APPLE, not_yet
from .pages import testflight_page
from .resources import Resource
from .step import References, Step
from .texts import by_locale, differing, write
from .words import PLATFORM

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
_AT_APPLE = ("WAITING_FOR_BETA_REVIEW", "IN_BETA_REVIEW")
_UNTIL_TESTING = 300.0  # seconds between looks at a beta review, which takes a day
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
        try:
            self.client.create("betaAppReviewSubmissions", build=("builds", build.id))
        except ProviderError as error:
            if error.code != ANOTHER_IN_REVIEW:
                raise
            checks = list(others_in_review(self.app, self.plan))
            raise (StepHeldUp(error, checks=checks) if checks else error) from None
        return {}

    def _state(self, build: Resource) -> str:
        detail = build.one("buildBetaDetail")
        return detail.text("externalBuildState") if detail else ""


class TellTesters(GroupStep):
    """Tells the testers of a build that they can get it, where Apple does not do so by itself.

    Nothing shows afterwards that they were told, so a lost response cannot be told from a lost
    request. https://developer.apple.com/documentation/appstoreconnectapi/build-beta-notifications
    """

    def find(self) -> References | None:
        build = self.app.build(self.plan)
        detail = build.one("buildBetaDetail") if build else None
        if build is None or detail is None or build.get("expired") is True:
            raise ProviderError.refused(
                "build_gone",
                f"Build {self.plan.build} cannot be tested any more.",
                "Nobody was told of it.",
            )
        if detail.get("autoNotifyEnabled") is True:
            return {}
        if not any(map(is_external, self.groups())):
            return {}  # TestFlight tells the team of each build
        state = detail.text("externalBuildState")
        if state == "BETA_REJECTED":
            raise ProviderError.refused(
                "beta_rejected",
                f"Apple rejected build {self.plan.build} in beta review.",
                "Read why in TestFlight, and upload another build.",
            )
        if state != "IN_BETA_TESTING":
            raise not_yet(
                "not_in_testing",
                f"Testers cannot get build {self.plan.build} yet.",
                seconds=_UNTIL_TESTING,
            )
        return None

    def take(self) -> References:
        try:
            self.client.create("buildBetaNotifications", build=("builds", self.build().id))
        except ProviderError as error:
            if error.code != TOLD_BY_APPLE:
                raise
        return {}


class ExpireOther(Step):
    """Ends the beta review of another build of the version. Its testers lose it, so that only a
    build that is still in review is expired."""

    def find(self) -> References | None:
        other = self._other()
        return {} if other is None or other.get("expired") is True else None

    def take(self) -> References:
        other, number = self._other(), self.plan.other_build
        detail = other.one("buildBetaDetail") if other else None
        state = detail.text("externalBuildState") if detail else ""
        if other is None or number == self.plan.build or state not in _AT_APPLE:
            raise ProviderError.refused(
                "not_in_review",
                f"Build {number} is not in beta review any more, so it was not expired.",
                "The submission goes on by itself.",
            )
        self.client.update(other, expired=True)
        return {}

    def _other(self) -> Resource | None:
        return self.app.build(replace(self.plan, build=self.plan.other_build))


def others_in_review(app: App, plan: SubmissionPlan) -> Iterator[Check]:
    """Apple reviews one build of a version at a time: those that are in the way, and for whom."""
    params: Params = {
        "filter[app]": app.id,
        "filter[preReleaseVersion.version]": plan.version,
        "filter[preReleaseVersion.platform]": PLATFORM,
        "filter[betaAppReviewSubmission.betaReviewState]": "WAITING_FOR_REVIEW,IN_REVIEW",
        "fields[builds]": "version,betaGroups",
        "fields[betaGroups]": "name",
        "include": "betaGroups",
        "limit[betaGroups]": 50,
    }
    for other in app.client.many("/v1/builds", params):
        if (number := other.text("version")) == plan.build:
            continue
        names = ", ".join(sorted(group.text("name") for group in other.many("betaGroups")))
        audience = f" for {names}" if names else ""
        yield replace(
            Check.failed(
                "testers",
                ANOTHER_IN_REVIEW,
                f"Build {number} of this version is in beta review{audience}, and Apple reviews "
                "one at a time.",
                "The submission waits for it. To be faster, expire that build.",
            ),
            level=Level.WARNING,
            subject=number,
            url=testflight_page(app.id),
        )


def is_external(group: Resource) -> bool:
    return group.get("isInternalGroup") is not True


def chosen(names: Sequence[str], there: Iterable[Resource]) -> list[Resource]:
    return [group for group in there if group.text("name") in names or group.id in names]


def missing_groups(names: Sequence[str], there: Iterable[Resource]) -> list[str]:
    known = {word for group in there for word in (group.text("name"), group.id)}
    return [name for name in names if name not in known]


# Beside the steps of a submission, which goes on meanwhile.
ASIDE: Mapping[str, type[Step]] = {"tell_testers": TellTesters}
STEPS: Mapping[str, type[Step]] = {
    "groups": Groups,
    "test_notes": TestNotes,
    "beta_review": BetaReview,
}
