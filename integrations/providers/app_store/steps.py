"""The steps of a submission to the App Store.

https://developer.apple.com/documentation/appstoreconnectapi/review-submissions
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, timedelta
from typing import Any

from ..base import ProviderError
from ..json_values import moment
from ..stores import ReleaseType, SubmissionPlan
from .app import of_version, version_in
from .errors import not_yet
from .resources import Resource
from .step import References, Step, VersionStep, is_editable
from .testflight import STEPS as TESTFLIGHT
from .texts import by_locale, differing, write
from .words import AT_APPLE, CANCELING, ONCE_LIVE, OPEN, PLATFORM, UNRESOLVED, UNSENT


class Processed(Step):
    """Apple has processed the build. Nothing is sent: it only has to be waited for."""

    def find(self) -> References | None:
        return {"build_id": self.build().id}

    def take(self) -> References:
        return self.find() or {}


class Encryption(Step):
    """The answer about export compliance, which is a legal statement: a person's, never ours. Apple
    takes it once."""

    def find(self) -> References | None:
        return {} if self._is_answered(self.build()) else None

    def take(self) -> References:
        build = self.build()
        if not self._is_answered(build):
            self.client.update(build, usesNonExemptEncryption=self.plan.uses_encryption)
        return {}

    def _is_answered(self, build: Resource) -> bool:
        answer = build.get("usesNonExemptEncryption")
        if answer is not None and answer is not self.plan.uses_encryption:
            raise ProviderError.refused(
                "encryption_differs",
                f"Build {self.plan.build} says itself that it uses "
                f"{'' if answer else 'no '}non-exempt encryption, unlike the answer given here.",
                "Give the same answer here, or upload a build that says otherwise.",
            )
        return answer is not None


class Version(Step):
    def find(self) -> References | None:
        version = self.app.version(self.plan)
        return {"version_id": version.id} if version else None

    def take(self) -> References:
        attributes = {
            "platform": PLATFORM,
            "versionString": self.plan.version,
            **release_attributes(self.plan),
        }
        return {
            "version_id": self.client.create(
                "appStoreVersions", attributes, app=("apps", self.app.id)
            )
        }


class AttachedBuild(Step):
    def find(self) -> References | None:
        version = self.app.version(self.plan)
        return {} if version and attached(version) == self.plan.build else None

    def take(self) -> References:
        build = self.build()
        self.client.attach(self.draft_version(), "build", "builds", build.id)
        return {}


class Release(VersionStep):
    """When Apple publishes what it approved."""

    def find_in(self, version: Resource) -> References | None:
        wanted = release_attributes(self.plan)
        is_same = version.text("releaseType") == wanted["releaseType"] and (
            wanted["earliestReleaseDate"] is None
            or moment(version.get("earliestReleaseDate")) == moment(wanted["earliestReleaseDate"])
        )
        return {} if is_same else None

    def take(self) -> References:
        self.client.update(self.editable_version(), **release_attributes(self.plan))
        return {}


class Notes(VersionStep):
    """What is new, in each language of the version. In the first one of an app nothing is."""

    def find_in(self, version: Resource) -> References | None:
        is_first = not any(one.text("appVersionState") in ONCE_LIVE for one in self.app.versions())
        return {} if is_first or not self._missing(self._there(version)) else None

    def take(self) -> References:
        there = self._there(self.draft_version())
        write(
            self._missing(there),
            lambda locale, text: self.client.update(there[locale], whatsNew=text),
        )
        return {}

    def _there(self, version: Resource) -> dict[str, Resource]:
        return by_locale(self.app.localizations(version))

    def _missing(self, there: Mapping[str, Resource]) -> dict[str, str]:
        ours = {locale: text for locale, text in self.plan.notes.items() if locale in there}
        return differing(ours, there)


class Phased(VersionStep):
    """A phased release has to exist before the version is published."""

    def find_in(self, version: Resource) -> References | None:
        phased = version.one("appStoreVersionPhasedRelease")
        return {"phased_id": phased.id} if phased else None

    def take(self) -> References:
        version = self.editable_version()
        kind = "appStoreVersionPhasedReleases"
        attributes = {"phasedReleaseState": "INACTIVE"}
        made = self.client.create(
            kind, attributes, appStoreVersion=("appStoreVersions", version.id)
        )
        return {"phased_id": made}


class ReviewStep(Step):
    """A step of the review submission. Apple has one at a time that is not sent yet; it is used,
    whoever made it. One with unresolved issues is sent again."""

    def find(self) -> References | None:
        version = self.app.version(self.plan)
        if version is None:
            return None
        submissions = self.app.submissions()
        own = of_version(submissions, version)
        if not is_editable(version) or (own and own.text("state") in AT_APPLE):
            return {"submission_id": own.id} if own else {}
        return self.find_in(usable(submissions, version), version)

    @abstractmethod
    def find_in(self, submission: Resource | None, version: Resource) -> References | None:
        """Its references if it is done, for a version that is not at Apple yet."""

    def submission(self, version: Resource) -> Resource:
        found = usable(self.app.submissions(), version)
        if found is None:
            raise not_yet("submission_missing", "Apple does not show the review submission yet.")
        return found


class Review(ReviewStep):
    def find_in(self, submission: Resource | None, version: Resource) -> References | None:
        return {"submission_id": submission.id} if submission else None

    def take(self) -> References:
        if any(version_in(s) and s.text("state") == CANCELING for s in self.app.submissions()):
            raise not_yet(
                "still_withdrawing", "Apple is still withdrawing the submission before.", seconds=60
            )
        attributes = {"platform": PLATFORM}
        made = self.client.create("reviewSubmissions", attributes, app=("apps", self.app.id))
        return {"submission_id": made}


class Item(ReviewStep):
    """The version as an item of the submission; after a rejection, that its issues are resolved."""

    def find_in(self, submission: Resource | None, version: Resource) -> References | None:
        if submission is None:
            return None
        if submission.text("state") != UNRESOLVED and version_in(submission) == version.id:
            return {}
        item = self.item(submission, version)
        return {"item_id": item.id} if item and item.text("state") != "REJECTED" else None

    def take(self) -> References:
        version = self.editable_version()
        submission = self.submission(version)
        item = self.item(submission, version)
        if item is None:
            made = self.client.create(
                "reviewSubmissionItems",
                reviewSubmission=("reviewSubmissions", submission.id),
                appStoreVersion=("appStoreVersions", version.id),
            )
            return {"item_id": made}
        self.client.update(item, resolved=True)
        return {"item_id": item.id}


class Submit(ReviewStep):
    def find_in(self, submission: Resource | None, version: Resource) -> References | None:
        return None

    def take(self) -> References:
        submission = self.submission(self.editable_version())
        self.client.update(submission, submitted=True)
        return {"submission_id": submission.id}


def usable(submissions: Iterable[Resource], version: Resource) -> Resource | None:
    """The submission that the version is in, or that it can be added to."""
    still_open = [one for one in submissions if one.text("state") in OPEN]
    free = (one for one in still_open if one.text("state") == UNSENT and not version_in(one))
    return of_version(still_open, version) or next(free, None)


def release_attributes(plan: SubmissionPlan) -> dict[str, Any]:
    """Apple takes full hours: the next one, so that nothing is public too early.
    https://developer.apple.com/documentation/appstoreconnectapi/appstoreversioncreaterequest"""
    date = None
    if plan.release_type is ReleaseType.SCHEDULED and plan.release_at:
        hour = (plan.release_at + timedelta(hours=1, microseconds=-1)).astimezone(UTC)
        date = hour.strftime("%Y-%m-%dT%H:00:00Z")
    return {"releaseType": plan.release_type.value, "earliestReleaseDate": date}


def attached(version: Resource) -> str:
    """The number of the build in this version; "" without one."""
    build = version.one("build")
    return build.text("version") if build else ""


STEPS: Mapping[str, type[Step]] = {
    "build": Processed,
    "encryption": Encryption,
    **TESTFLIGHT,
    "version": Version,
    "attach": AttachedBuild,
    "release_type": Release,
    "notes": Notes,
    "phased": Phased,
    "review": Review,
    "item": Item,
    "submit": Submit,
}


def steps_of(plan: SubmissionPlan) -> Sequence[str]:
    left_out = set()
    if plan.uses_encryption is None:
        left_out.add("encryption")
    if not plan.groups:
        left_out |= TESTFLIGHT.keys()
    if not plan.notes:
        left_out |= {"notes", "test_notes"}
    if not plan.phased:
        left_out.add("phased")
    return [name for name in STEPS if name not in left_out]
