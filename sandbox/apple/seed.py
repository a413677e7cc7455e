"""The first resources: an app whose version 1.4.0 is in the store, and its beta app."""

from __future__ import annotations

from typing import Any

from sandbox import accounts as known
from sandbox.apple.records import Record, Records, apple_time

APP, BETA_APP = "6450000001", "6450000002"
LIVE = "1.4.0"
PLATFORM = "IOS"
DISPLAY = "APP_IPHONE_67"
CONTACT = {
    "contactFirstName": "Priya",
    "contactLastName": "Nair",
    "contactPhone": "+91 22 5550 0100",
    "contactEmail": "priya@sandbox.example",
}
DEMO = {"demoAccountName": None, "demoAccountPassword": None, "demoAccountRequired": False}
# Questions that came in 2025 and 2026 are at the end: an old app has no answers to them.
OLD_QUESTIONS = (
    "alcoholTobaccoOrDrugUseOrReferences",
    "contests",
    "gamblingSimulated",
    "horrorOrFearThemes",
    "matureOrSuggestiveThemes",
    "medicalOrTreatmentInformation",
    "profanityOrCrudeHumor",
    "sexualContentOrNudity",
    "violenceCartoonOrFantasy",
    "violenceRealistic",
)
NEW_QUESTIONS = (
    "messagingAndChat",
    "gunsOrOtherWeapons",
    "userGeneratedContent",
    "healthOrWellnessTopics",
    "advertising",
    "lootBox",
    "parentalControls",
    "ageAssurance",
)
CHOICES = (*OLD_QUESTIONS, "gunsOrOtherWeapons")  # answered by how often; the others by yes or no
QUESTIONS = ("gambling", "unrestrictedWebAccess", *OLD_QUESTIONS, *NEW_QUESTIONS)


def fill(records: Records, now: float) -> None:
    # The filter of bundle ids also matches prefixes, so a client must compare the results.
    _app(records, BETA_APP, "Dream11 Beta", f"{known.APP_IDENTIFIER}.beta", "DREAM11BETA")
    app = _app(records, APP, "Dream11", known.APP_IDENTIFIER, "DREAM11")
    records.add("appCategories", "SPORTS", platforms=[PLATFORM])
    _info(records, app)
    _testing(records, app, now)
    version = records.add(
        "appStoreVersions",
        **version_attributes(LIVE, now - 30 * 86_400, state="READY_FOR_DISTRIBUTION"),
    )
    version.one["app"] = app.key
    localization(records, version, "en-US", whats_new="Faster line-ups.")
    review_detail(records, version)


def version_attributes(
    number: str, made: float, *, platform: str = PLATFORM, state: str = "PREPARE_FOR_SUBMISSION"
) -> dict[str, Any]:
    return {
        "platform": platform,
        "versionString": number,
        "appStoreState": old_state(state),
        "appVersionState": state,
        "copyright": "2026 Sporta Technologies",
        "reviewType": "APP_STORE",
        "releaseType": "AFTER_APPROVAL",
        "earliestReleaseDate": None,
        "usesIdfa": None,
        "downloadable": True,
        "createdDate": apple_time(made),
    }


def old_state(state: str) -> str:
    """The value of the deprecated `appStoreState`."""
    old = {
        "READY_FOR_DISTRIBUTION": "READY_FOR_SALE",
        "PROCESSING_FOR_DISTRIBUTION": "PROCESSING_FOR_APP_STORE",
    }
    return old.get(state, state)


def localization(
    records: Records, version: Record, locale: str, *, whats_new: str | None = None
) -> Record:
    found = records.add(
        "appStoreVersionLocalizations",
        locale=locale,
        description="Fantasy sports with your friends.",
        keywords="fantasy,sports,cricket",
        marketingUrl=None,
        promotionalText=None,
        supportUrl="https://sandbox.example/support",
        whatsNew=whats_new,
    )
    found.one["appStoreVersion"] = version.key
    shots = records.add("appScreenshotSets", screenshotDisplayType=DISPLAY)
    shots.one["appStoreVersionLocalization"] = found.key
    screenshot(records, shots)
    return found


def screenshot(records: Records, shots: Record, state: str = "COMPLETE") -> None:
    found = records.add(
        "appScreenshots",
        fileName="home.png",
        fileSize=482_112,
        assetDeliveryState={"state": state, "errors": [], "warnings": []},
    )
    found.one["appScreenshotSet"] = shots.key


def review_detail(records: Records, version: Record) -> Record:
    found = records.add("appStoreReviewDetails", **CONTACT, **DEMO, notes=None)
    found.one["appStoreVersion"] = version.key
    return found


def _app(records: Records, key: str, name: str, bundle_id: str, sku: str) -> Record:
    return records.add(
        "apps",
        key,
        name=name,
        bundleId=bundle_id,
        sku=sku,
        primaryLocale="en-US",
        isOrEverWasMadeForKids=False,
        contentRightsDeclaration="DOES_NOT_USE_THIRD_PARTY_CONTENT",
    )


def _info(records: Records, app: Record) -> None:
    state = "READY_FOR_DISTRIBUTION"
    info = records.add("appInfos", state=state, appStoreState=old_state(state))
    info.one |= {"app": app.key, "primaryCategory": ["appCategories", "SPORTS"]}
    info.attributes["appStoreAgeRating"] = "FOUR_PLUS"
    words = records.add(
        "appInfoLocalizations",
        locale="en-US",
        name="Dream11",
        subtitle="Fantasy sports",
        privacyPolicyUrl="https://sandbox.example/privacy",
        privacyPolicyText=None,
    )
    words.one["appInfo"] = info.key
    rating = records.add("ageRatingDeclarations", info.id, **{q: answer(q) for q in QUESTIONS})
    rating.one["appInfo"] = info.key


def answer(question: str) -> str | bool:
    return "NONE" if question in CHOICES else False


def _testing(records: Records, app: Record, now: float) -> None:
    groups = (("Team", True, True), ("QA", True, False), ("Public beta", False, False))
    for name, is_internal, takes_all in groups:
        link = None if is_internal else "https://testflight.apple.com/join/abcd1234"
        group = records.add(
            "betaGroups",
            name=name,
            createdDate=apple_time(now - 300 * 86_400),
            isInternalGroup=is_internal,
            hasAccessToAllBuilds=takes_all,
            publicLinkEnabled=not is_internal,
            publicLinkId=None if is_internal else "abcd1234",
            publicLinkLimitEnabled=False,
            publicLinkLimit=None,
            publicLink=link,
            feedbackEnabled=True,
        )
        group.one["app"] = app.key
    detail = records.add("betaAppReviewDetails", app.id, **CONTACT, **DEMO, notes=None)
    detail.one["app"] = app.key
    words = records.add(
        "betaAppLocalizations",
        locale="en-US",
        description="The next Dream11, before everybody has it.",
        feedbackEmail="beta@sandbox.example",
        marketingUrl=None,
        privacyPolicyUrl=None,
        tvOsPrivacyPolicy=None,
    )
    words.one["app"] = app.key
