"""One app in App Store Connect: the reads that pre-flight, steps and states share.

Each is one request (more only where a list has several pages) and names the fields that it needs,
because whole resources would make a list larger than a response may be.
https://developer.apple.com/documentation/appstoreconnectapi/app-store-versions
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from ..base import ProviderError
from ..json_values import moment
from ..stores import SubmissionPlan
from .client import AppStoreClient, Params
from .errors import not_yet
from .resources import Resource
from .words import OPEN, PLATFORM

_VERSION = {
    "fields[appStoreVersions]": "platform,versionString,appVersionState,releaseType,"
    "earliestReleaseDate,copyright,build,appStoreVersionPhasedRelease",
    "fields[builds]": "version",
    "fields[appStoreVersionPhasedReleases]": "phasedReleaseState,startDate,totalPauseDuration,"
    "currentDayNumber",
    "include": "build,appStoreVersionPhasedRelease",
}


class App:
    def __init__(self, client: AppStoreClient, app_id: str) -> None:
        self.client, self.id = client, app_id

    def build(self, plan: SubmissionPlan) -> Resource | None:
        """The build with this number of this version. `version` of a build is its number; the same
        number may exist in other versions and on other platforms."""
        params: Params = {
            "filter[app]": self.id,
            "filter[version]": plan.build,
            "filter[preReleaseVersion.version]": plan.version,
            "filter[preReleaseVersion.platform]": PLATFORM,
            "fields[builds]": "version,processingState,expired,expirationDate,buildAudienceType,"
            "usesNonExemptEncryption,buildBetaDetail,betaGroups",
            "fields[buildBetaDetails]": "autoNotifyEnabled,internalBuildState,externalBuildState",
            "include": "buildBetaDetail,betaGroups",
            "limit[betaGroups]": 50,
        }
        found = [
            b for b in self.client.many("/v1/builds", params) if b.text("version") == plan.build
        ]
        if len(found) > 1:
            raise ProviderError.refused(
                "ambiguous_build",
                f"App Store Connect has several builds {plan.build} of version {plan.version}.",
                "Upload a build with a number of its own.",
            )
        return found[0] if found else None

    def upload(self, plan: SubmissionPlan) -> Resource | None:
        """Its upload, which is there before the build is, and has the errors of processing."""
        params = {
            "filter[cfBundleVersion]": plan.build,
            "filter[cfBundleShortVersionString]": plan.version,
            "filter[platform]": PLATFORM,
        }
        found = self.client.many(f"/v1/apps/{self.id}/buildUploads", params)
        dated = sorted(found, key=lambda upload: upload.text("createdDate"))
        return dated[-1] if dated else None

    def version(self, plan: SubmissionPlan) -> Resource | None:
        """The version with this number, with its `build` and `appStoreVersionPhasedRelease`."""
        params = {**_VERSION, "filter[versionString]": plan.version, "filter[platform]": PLATFORM}
        found = self.client.many(f"/v1/apps/{self.id}/appStoreVersions", params)
        return next((v for v in found if v.text("versionString") == plan.version), None)

    def versions(self) -> list[Resource]:
        params = {**_VERSION, "filter[platform]": PLATFORM}
        return self.client.many(f"/v1/apps/{self.id}/appStoreVersions", params)

    def submissions(self) -> list[Resource]:
        """All review submissions, the newest first, with the version in each and who acted."""
        params = {
            "filter[platform]": PLATFORM,
            "include": "appStoreVersionForReview,submittedByActor,lastUpdatedByActor",
            "fields[reviewSubmissions]": "platform,state,submittedDate,appStoreVersionForReview,"
            "submittedByActor,lastUpdatedByActor",
            "fields[appStoreVersions]": "versionString,appVersionState",
        }
        found = self.client.many(f"/v1/apps/{self.id}/reviewSubmissions", params)
        return sorted(found, key=_age, reverse=True)

    def items(self, submission: Resource) -> list[Resource]:
        path = f"/v1/reviewSubmissions/{submission.id}/items"
        return self.client.many(path, {"include": "appStoreVersion"})

    def localizations(self, version: Resource) -> list[Resource]:
        """Raises NOT_YET for a version that was created a moment ago."""
        path = f"/v1/appStoreVersions/{version.id}/appStoreVersionLocalizations"
        params = {"fields[appStoreVersionLocalizations]": "locale,whatsNew"}
        try:
            return self.client.many(path, params)
        except ProviderError as error:
            if error.code != "not_found":
                raise
        name = version.text("versionString")
        raise not_yet("version_not_ready", f"Apple is still preparing version {name}.")

    def groups(self) -> list[Resource]:
        params = {"fields[betaGroups]": "name,isInternalGroup,hasAccessToAllBuilds"}
        return self.client.many(f"/v1/apps/{self.id}/betaGroups", params)


def _age(submission: Resource) -> tuple[bool, datetime]:
    sent = moment(submission.get("submittedDate"))
    return submission.text("state") in OPEN, sent or datetime.min.replace(tzinfo=UTC)


def of_version(submissions: Iterable[Resource], version: Resource) -> Resource | None:
    """The newest review submission that this version is in."""
    return next((s for s in submissions if version_in(s) == version.id), None)


def version_in(submission: Resource) -> str:
    """The id of the version in a review submission; "" if it has only other items, such as in-app
    events, and so leaves the way free for a version."""
    version = submission.one("appStoreVersionForReview")
    return version.id if version else ""
