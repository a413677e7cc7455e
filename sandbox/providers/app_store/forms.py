"""Which attributes and relationships the body of each request takes."""

from __future__ import annotations

from sandbox.apple.notifications import EVENTS
from sandbox.apple.phased import STATES
from sandbox.apple.seed import CHOICES, QUESTIONS
from sandbox.apple.versions import RELEASE_TYPES
from sandbox.providers.app_store.bodies import Form

PLATFORMS = ("IOS", "MAC_OS", "TV_OS", "VISION_OS")
_CONTACT = {
    "contactFirstName": str,
    "contactLastName": str,
    "contactPhone": str,
    "contactEmail": str,
    "demoAccountName": str,
    "demoAccountPassword": str,
    "demoAccountRequired": bool,
    "notes": str,
}
_TEXTS = {
    "description": str,
    "keywords": str,
    "marketingUrl": str,
    "promotionalText": str,
    "supportUrl": str,
    "whatsNew": str,
}
_VERSION: dict[str, type] = {
    "versionString": str,
    "copyright": str,
    "releaseType": str,
    "earliestReleaseDate": str,
    "reviewType": str,
    "usesIdfa": bool,
}
_VERSION_CHOICES = {"platform": PLATFORMS, "releaseType": RELEASE_TYPES}
_OF_VERSION = {"appStoreVersion": "appStoreVersions"}
_HOOK: dict[str, type] = {
    "name": str,
    "url": str,
    "secret": str,
    "enabled": bool,
    "eventTypes": list,
}
_ITEMS = {
    "appCustomProductPageVersion": "appCustomProductPageVersions",
    "appEvent": "appEvents",
    "appStoreVersionExperiment": "appStoreVersionExperiments",
}
EVENT_TYPES = tuple(EVENTS)

CREATE: dict[str, Form] = {
    "appStoreVersions": Form(
        {"platform": str, **_VERSION},
        {"app": "apps", "build": "builds"},
        needs=("platform", "versionString", "app"),
        choices=_VERSION_CHOICES,
    ),
    "appStoreVersionLocalizations": Form(
        {"locale": str, **_TEXTS}, _OF_VERSION, needs=("locale", "appStoreVersion")
    ),
    "appStoreReviewDetails": Form(_CONTACT, _OF_VERSION, needs=("appStoreVersion",)),
    "appStoreVersionPhasedReleases": Form(
        {"phasedReleaseState": str},
        _OF_VERSION,
        needs=("appStoreVersion",),
        choices={"phasedReleaseState": STATES},
    ),
    "appStoreVersionReleaseRequests": Form({}, _OF_VERSION, needs=("appStoreVersion",)),
    "betaAppReviewSubmissions": Form({}, {"build": "builds"}, needs=("build",)),
    "betaBuildLocalizations": Form(
        {"locale": str, "whatsNew": str}, {"build": "builds"}, needs=("locale", "build")
    ),
    "buildBetaNotifications": Form({}, {"build": "builds"}, needs=("build",)),
    "reviewSubmissions": Form(
        {"platform": str}, {"app": "apps"}, needs=("platform", "app"), choices=_VERSION_CHOICES
    ),
    "reviewSubmissionItems": Form(
        {},
        {"reviewSubmission": "reviewSubmissions", **_OF_VERSION, **_ITEMS},
        needs=("reviewSubmission",),
    ),
    "webhooks": Form(_HOOK, {"app": "apps"}, needs=(*_HOOK, "app")),
    "webhookPings": Form({}, {"webhook": "webhooks"}, needs=("webhook",)),
    "webhookDeliveries": Form({}, {"template": "webhookDeliveries"}, needs=("template",)),
}
CHANGE: dict[str, Form] = {
    "apps": Form({"contentRightsDeclaration": str}),
    "ageRatingDeclarations": Form({q: str if q in CHOICES else bool for q in QUESTIONS}),
    "appStoreVersions": Form(
        {**_VERSION, "downloadable": bool}, {"build": "builds"}, choices=_VERSION_CHOICES
    ),
    "appStoreVersionLocalizations": Form(_TEXTS),
    "appStoreReviewDetails": Form(_CONTACT),
    "appStoreVersionPhasedReleases": Form(
        {"phasedReleaseState": str},
        needs=("phasedReleaseState",),
        choices={"phasedReleaseState": STATES},
    ),
    "betaAppReviewDetails": Form(_CONTACT),
    "betaAppLocalizations": Form(
        {"description": str, "feedbackEmail": str, "marketingUrl": str, "privacyPolicyUrl": str}
    ),
    "betaBuildLocalizations": Form({"whatsNew": str}),
    "builds": Form({"expired": bool, "usesNonExemptEncryption": bool}),
    "buildBetaDetails": Form({"autoNotifyEnabled": bool}),
    "reviewSubmissions": Form({"platform": str, "submitted": bool, "canceled": bool}),
    "reviewSubmissionItems": Form({"resolved": bool, "removed": bool}),
    "webhooks": Form(_HOOK),
}
