"""An app as App Store Connect tells of it, for tests to change: version 1.4.0 is in the store, and
build 57 of 1.5.0 is processed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from integrations.providers.app_store.provider import AppStore
from integrations.providers.stores import SubmissionPlan
from integrations.providers.tests.keys import elliptic, pem
from integrations.providers.tests.wire import Reply, Script, Wire

APP = "/v1/apps/6400000002"
BUILDS = "/v1/builds"
VERSIONS = f"{APP}/appStoreVersions"
SUBMISSIONS = f"{APP}/reviewSubmissions"
GROUPS = f"{APP}/betaGroups"
SHOTS = "/v1/appStoreVersionLocalizations/l-en-US/appScreenshotSets"
KEY_ID = "KEY0000001"
PLAN = {"version": "1.5.0", "build": "57"}
LATER = datetime(2031, 5, 1, 9, 30, tzinfo=UTC)

Json = dict[str, Any]


def make(**changes: Any) -> AppStore:
    given = {
        "issuer_id": "5a5d0b0c-0000-4000-8000-000000000001",
        "key_id": KEY_ID,
        "api_key": pem(elliptic()),
        "app_identifier": "com.example.app",
        "app_id": "6400000002",
    }
    return AppStore(**{**given, **changes})


def plan(**changes: Any) -> SubmissionPlan:
    return SubmissionPlan(**{**PLAN, **changes})


def resource(kind: str, identifier: str, related: Json | None = None, /, **attributes: Any) -> Json:
    """`related`: a resource, a list of them, or None, by the relationship's name."""
    links = {name: {"data": _link(to)} for name, to in (related or {}).items()}
    return {
        "type": kind,
        "id": identifier,
        "attributes": attributes,
        "relationships": links,
        "related": related or {},
    }


def _link(to: Any) -> Any:
    if isinstance(to, list):
        return [_link(one) for one in to]
    return {"type": to["type"], "id": to["id"]} if to else None


def document(data: Any, status: int = 200) -> Reply:
    """The response with these resources, and with their relatives included."""
    included: list[Json] = []

    def plain(one: Json) -> Json:
        for to in one["related"].values():
            included.extend(plain(r) for r in (to if isinstance(to, list) else [to]) if r)
        return {name: value for name, value in one.items() if name != "related"}

    if data is None:
        return Reply({"data": None})
    shown = [plain(one) for one in data] if isinstance(data, list) else plain(data)
    return Reply({"data": shown, "included": included, "links": {}}, status)


def build(number: str = "57", groups: list[Json] | None = None, **changes: Any) -> Json:
    detail = {
        "internalBuildState": "READY_FOR_BETA_TESTING",
        "externalBuildState": "READY_FOR_BETA_SUBMISSION",
    }
    has_detail = changes.pop("has_detail", True)
    external = changes.pop("external", None)
    if external:
        detail["externalBuildState"] = external
    attributes = {
        "version": number,
        "processingState": "VALID",
        "expired": False,
        "buildAudienceType": "APP_STORE_ELIGIBLE",
        "usesNonExemptEncryption": False,
    }
    related = {
        "buildBetaDetail": resource("buildBetaDetails", f"d{number}", **detail)
        if has_detail
        else None,
        "betaGroups": groups or [],
    }
    return resource("builds", f"b{number}", related, **{**attributes, **changes})


def version(
    name: str = "1.5.0",
    state: str = "PREPARE_FOR_SUBMISSION",
    *,
    attached: Json | None = None,
    phased: Json | None = None,
    **changes: Any,
) -> Json:
    related = {"build": attached, "appStoreVersionPhasedRelease": phased}
    attributes = {
        "platform": "IOS",
        "versionString": name,
        "appVersionState": state,
        "releaseType": "MANUAL",
        "earliestReleaseDate": None,
        "copyright": "2026 Example",
    }
    return resource("appStoreVersions", f"v{name}", related, **{**attributes, **changes})


def phased(state: str, **more: Any) -> Json:
    return resource("appStoreVersionPhasedReleases", "p1", phasedReleaseState=state, **more)


def submission(
    state: str, inside: Json | None = None, *, by: Json | None = None, name: str = "s1", **more: Any
) -> Json:
    related = {
        "appStoreVersionForReview": inside,
        "submittedByActor": by,
        "lastUpdatedByActor": more.pop("last", None),
    }
    return resource("reviewSubmissions", name, related, platform="IOS", state=state, **more)


def item(state: str, inside: Json | None, name: str = "i1") -> Json:
    return resource("reviewSubmissionItems", name, {"appStoreVersion": inside}, state=state)


def localization(locale: str, text: str | None = None) -> Json:
    return resource("appStoreVersionLocalizations", f"l-{locale}", locale=locale, whatsNew=text)


def group(name: str, *, is_internal: bool = False, has_all: bool = False) -> Json:
    return resource(
        "betaGroups",
        f"g-{name}",
        name=name,
        isInternalGroup=is_internal,
        hasAccessToAllBuilds=has_all,
    )


CONTACT = {
    "contactFirstName": "Ada",
    "contactLastName": "Lovelace",
    "contactPhone": "+44 20 7946 0000",
    "contactEmail": "ada@example.com",
    "demoAccountRequired": False,
}
RATING = {"messagingAndChat": False, "lootBox": False, "kidsAgeBand": None}
LIVE = version("1.4.0", "READY_FOR_DISTRIBUTION", attached=build("51"))


def about(**changes: Any) -> Json:
    attributes = {
        "bundleId": "com.example.app",
        "contentRightsDeclaration": "USES_THIRD_PARTY_CONTENT",
        "primaryLocale": "en-US",
    }
    return resource("apps", "6400000002", **{**attributes, **changes})


def info(state: str = "PREPARE_FOR_SUBMISSION", category: str = "GAMES", **rating: Any) -> Json:
    related = {
        "ageRatingDeclaration": resource("ageRatingDeclarations", "a1", **{**RATING, **rating}),
        "primaryCategory": resource("appCategories", category) if category else None,
    }
    return resource("appInfos", f"i-{state}", related, state=state)


def localizations_of(name: str) -> str:
    return f"/v1/appStoreVersions/v{name}/appStoreVersionLocalizations"


def tell(wire: Wire, *versions: Json, submissions: list[Json] | None = None) -> None:
    wire.routes = told(*versions, submissions=submissions)


def shots(*states: str) -> Reply:
    return document([shots_of("APP_IPHONE_67", states)])


def shots_of(device: str, states: Iterable[str]) -> Json:
    pictures = [
        resource("appScreenshots", f"x{n}{state}", assetDeliveryState={"state": state})
        for n, state in enumerate(states)
    ]
    made = resource("appScreenshotSets", device, {"appScreenshots": pictures})
    made["attributes"]["screenshotDisplayType"] = device
    return made


def told(*versions: Json, submissions: list[Json] | None = None) -> dict[str, Script]:
    """The answers about an app with nothing in the way, and these versions besides 1.4.0."""
    texts = document([localization("en-US"), localization("de-DE")])
    contact = document(resource("appStoreReviewDetails", "r1", **CONTACT))
    return {
        APP: document(about()),
        BUILDS: document([build()]),
        VERSIONS: document([LIVE, *versions]),
        SUBMISSIONS: document(submissions or []),
        f"{APP}/appInfos": document([info("READY_FOR_DISTRIBUTION"), info()]),
        f"{APP}/buildUploads": document([]),
        GROUPS: document([group("Team", is_internal=True), group("Public")]),
        f"{APP}/betaAppReviewDetail": document(resource("betaAppReviewDetails", "x", **CONTACT)),
        f"{APP}/betaAppLocalizations": document(
            [
                resource(
                    "betaAppLocalizations", "y", description="A game", feedbackEmail="a@b.example"
                )
            ]
        ),
        SHOTS: shots("COMPLETE"),
        **{localizations_of(name): texts for name in ("1.4.0", "1.5.0")},
        **{f"/v1/appStoreVersions/v{n}/appStoreReviewDetail": contact for n in ("1.4.0", "1.5.0")},
    }


def refusal(*reasons: tuple[str, str], status: int = 409, associated: bool = False) -> Reply:
    """An error of Apple for each code and detail, or one with all of them as associated errors."""
    errors = [{"status": str(status), "code": c, "title": "T", "detail": d} for c, d in reasons]
    if associated:
        errors = [
            {
                "status": str(status),
                "code": "STATE_ERROR",
                "title": "The request cannot be fulfilled.",
                "detail": "appStoreVersions is not in valid state.",
                "meta": {
                    "associatedErrors": {f"/v1/things/{n}": [e] for n, e in enumerate(errors)}
                },
            }
        ]
    return Reply({"errors": errors}, status)
