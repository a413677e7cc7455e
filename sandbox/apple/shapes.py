"""The types of App Store Connect's resources, with the relationships, filters and orders of each.

https://developer.apple.com/documentation/appstoreconnectapi
"""

from __future__ import annotations

from dataclasses import dataclass, field

Names = dict[str, str]
Backs = dict[str, tuple[str, str]]


@dataclass(frozen=True)
class Shape:
    """`one`: relationships that the resource itself holds, by name with their type. `listed`: to
    many, which it holds. `back` and `many`: held by the other side, with its type and the name
    there. `owned`: deleted with it. `filters` lead from the name to a path. `top`: it has a list of
    its own at /v1/<type>, where `wants` is a filter that must be given."""

    one: Names = field(default_factory=dict)
    listed: Names = field(default_factory=dict)
    back: Backs = field(default_factory=dict)
    many: Backs = field(default_factory=dict)
    owned: tuple[str, ...] = ()
    filters: Names = field(default_factory=dict)
    sorts: tuple[str, ...] = ()
    top: bool = False
    wants: str = ""

    def knows(self, name: str) -> bool:
        return name in self.names

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.one, *self.listed, *self.back, *self.many)

    def is_plural(self, name: str) -> bool:
        return name in self.many or name in self.listed

    def type_of(self, name: str) -> str:
        if name in self.one:
            return self.one[name]
        return self.listed.get(name) or (self.back.get(name) or self.many[name])[0]


def _same(*names: str) -> Names:
    return {name: name for name in names}


SHAPES: dict[str, Shape] = {
    "apps": Shape(
        back={
            "betaAppReviewDetail": ("betaAppReviewDetails", "app"),
            "betaLicenseAgreement": ("betaLicenseAgreements", "app"),
            "endUserLicenseAgreement": ("endUserLicenseAgreements", "app"),
        },
        many={
            "appInfos": ("appInfos", "app"),
            "appStoreVersions": ("appStoreVersions", "app"),
            "betaAppLocalizations": ("betaAppLocalizations", "app"),
            "betaGroups": ("betaGroups", "app"),
            "betaTesters": ("betaTesters", "apps"),
            "buildUploads": ("buildUploads", "app"),
            "builds": ("builds", "app"),
            "gameCenterEnabledVersions": ("gameCenterEnabledVersions", "app"),
            "preReleaseVersions": ("preReleaseVersions", "app"),
            "reviewSubmissions": ("reviewSubmissions", "app"),
            "webhooks": ("webhooks", "app"),
        },
        filters=_same("bundleId", "name", "sku", "id"),
        sorts=("name", "bundleId", "sku"),
        top=True,
    ),
    "appInfos": Shape(
        one={"app": "apps", "primaryCategory": "appCategories"},
        back={"ageRatingDeclaration": ("ageRatingDeclarations", "appInfo")},
        many={"appInfoLocalizations": ("appInfoLocalizations", "appInfo")},
        owned=("ageRatingDeclaration", "appInfoLocalizations"),
    ),
    "appCategories": Shape(),
    "appInfoLocalizations": Shape(one={"appInfo": "appInfos"}, filters=_same("locale")),
    "ageRatingDeclarations": Shape(one={"appInfo": "appInfos"}),
    "builds": Shape(
        one={"app": "apps", "preReleaseVersion": "preReleaseVersions"},
        listed={"betaGroups": "betaGroups"},
        back={
            "appEncryptionDeclaration": ("appEncryptionDeclarations", "builds"),
            "appStoreVersion": ("appStoreVersions", "build"),
            "betaAppReviewSubmission": ("betaAppReviewSubmissions", "build"),
            "buildBetaDetail": ("buildBetaDetails", "build"),
        },
        many={
            "betaBuildLocalizations": ("betaBuildLocalizations", "build"),
            "icons": ("buildIcons", "build"),
            "individualTesters": ("betaTesters", "builds"),
        },
        owned=("buildBetaDetail", "betaBuildLocalizations", "betaAppReviewSubmission"),
        filters={
            **_same("app", "appStoreVersion", "betaGroups", "buildAudienceType", "expired", "id"),
            **_same("preReleaseVersion", "preReleaseVersion.platform", "preReleaseVersion.version"),
            **_same("processingState", "usesNonExemptEncryption", "version"),
            "betaAppReviewSubmission.betaReviewState": "betaAppReviewSubmission.betaReviewState",
        },
        sorts=("preReleaseVersion", "uploadedDate", "version"),
        top=True,
    ),
    "preReleaseVersions": Shape(
        one={"app": "apps"},
        many={"builds": ("builds", "preReleaseVersion")},
        filters=_same("app", "builds", "platform", "version", "builds.version"),
        sorts=("version",),
        top=True,
    ),
    "buildBetaDetails": Shape(one={"build": "builds"}, filters=_same("build", "id"), top=True),
    "buildUploads": Shape(
        one={"app": "apps", "build": "builds"},
        filters={
            "cfBundleShortVersionString": "cfBundleShortVersionString",
            "cfBundleVersion": "cfBundleVersion",
            "platform": "platform",
            "state": "state.state",
        },
        sorts=("cfBundleVersion", "uploadedDate"),
    ),
    "betaGroups": Shape(
        one={"app": "apps"},
        many={"builds": ("builds", "betaGroups"), "betaTesters": ("betaTesters", "betaGroups")},
        filters=_same("app", "builds", "id", "isInternalGroup", "name"),
        sorts=("name", "createdDate"),
        top=True,
    ),
    "betaBuildLocalizations": Shape(
        one={"build": "builds"}, filters=_same("build", "locale"), top=True
    ),
    "betaAppReviewDetails": Shape(one={"app": "apps"}, filters=_same("app"), top=True, wants="app"),
    "betaAppLocalizations": Shape(one={"app": "apps"}, filters=_same("app", "locale"), top=True),
    "betaAppReviewSubmissions": Shape(
        one={"build": "builds"}, filters=_same("betaReviewState", "build"), top=True, wants="build"
    ),
    "buildBetaNotifications": Shape(one={"build": "builds"}),
    "appStoreVersions": Shape(
        one={"app": "apps", "build": "builds"},
        back={
            "appStoreReviewDetail": ("appStoreReviewDetails", "appStoreVersion"),
            "appStoreVersionPhasedRelease": ("appStoreVersionPhasedReleases", "appStoreVersion"),
            "appStoreVersionSubmission": ("appStoreVersionSubmissions", "appStoreVersion"),
            "routingAppCoverage": ("routingAppCoverages", "appStoreVersion"),
        },
        many={"appStoreVersionLocalizations": ("appStoreVersionLocalizations", "appStoreVersion")},
        owned=(
            "appStoreReviewDetail",
            "appStoreVersionLocalizations",
            "appStoreVersionPhasedRelease",
            "appStoreVersionSubmission",
        ),
        filters=_same("appStoreState", "appVersionState", "id", "platform", "versionString"),
    ),
    "appStoreVersionLocalizations": Shape(
        one={"appStoreVersion": "appStoreVersions"},
        many={"appScreenshotSets": ("appScreenshotSets", "appStoreVersionLocalization")},
        owned=("appScreenshotSets",),
        filters=_same("locale"),
    ),
    "appScreenshotSets": Shape(
        one={"appStoreVersionLocalization": "appStoreVersionLocalizations"},
        many={"appScreenshots": ("appScreenshots", "appScreenshotSet")},
        owned=("appScreenshots",),
        filters=_same("screenshotDisplayType"),
    ),
    "appScreenshots": Shape(one={"appScreenshotSet": "appScreenshotSets"}),
    "appStoreReviewDetails": Shape(one={"appStoreVersion": "appStoreVersions"}),
    "appStoreVersionPhasedReleases": Shape(one={"appStoreVersion": "appStoreVersions"}),
    "appStoreVersionSubmissions": Shape(one={"appStoreVersion": "appStoreVersions"}),
    "appStoreVersionReleaseRequests": Shape(one={"appStoreVersion": "appStoreVersions"}),
    "reviewSubmissions": Shape(
        one={
            "app": "apps",
            "appStoreVersionForReview": "appStoreVersions",
            "lastUpdatedByActor": "actors",
            "submittedByActor": "actors",
        },
        many={"items": ("reviewSubmissionItems", "reviewSubmission")},
        owned=("items",),
        filters=_same("app", "platform", "state"),
        top=True,
        wants="app",
    ),
    "reviewSubmissionItems": Shape(
        one={
            "reviewSubmission": "reviewSubmissions",
            "appCustomProductPageVersion": "appCustomProductPageVersions",
            "appEvent": "appEvents",
            "appStoreVersion": "appStoreVersions",
            "appStoreVersionExperiment": "appStoreVersionExperiments",
        },
    ),
    "appEvents": Shape(),
    "appCustomProductPageVersions": Shape(),
    "appStoreVersionExperiments": Shape(),
    "actors": Shape(),
    "webhooks": Shape(
        one={"app": "apps"},
        many={"deliveries": ("webhookDeliveries", "webhook")},
        owned=("deliveries",),
    ),
    "webhookDeliveries": Shape(
        one={"webhook": "webhooks"}, filters={"deliveryState": "deliveryState"}
    ),
    "webhookPings": Shape(one={"webhook": "webhooks"}),
}
