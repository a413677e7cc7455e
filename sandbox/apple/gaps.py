"""What a version still lacks for Apple's review: what the submission's answer lists at once, by the
path of the resource that has to be mended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sandbox.apple import standing
from sandbox.apple.base import Base
from sandbox.apple.records import Record
from sandbox.apple.seed import (
    APP,
    DISPLAY,
    NEW_QUESTIONS,
    QUESTIONS,
    answer,
    localization,
    screenshot,
)
from sandbox.apple.trouble import OTHER_STATE, Trouble, needed, needed_relationship, said

Found = tuple[Record, dict[str, Any]]
# What a person can take away or give back. `privacy` and `price` cannot be read by the API.
SWITCHES = {
    "agreement": "The agreement of the paid apps has expired",
    "compliance": "New builds do not say whether they use encryption",
    "locale": "A second language, de-DE, without What's New",
    "ageRating": "The new questions of the age rating are open",
    "reviewContact": "No contact for the reviewers",
    "screenshots": "No screenshots",
    "uploading": "Screenshots are still being uploaded",
    "category": "No category",
    "contentRights": "No declaration of content rights",
    "privacy": "No privacy answers",
    "price": "No price",
}
SECOND_LOCALE = "de-DE"
CONTACT = ("contactFirstName", "contactLastName", "contactPhone", "contactEmail")
WORDS = ("description", "keywords", "supportUrl")


def of(store: Base, version: Record) -> dict[str, list[dict[str, Any]]]:
    """Errors by path, as in `meta.associatedErrors`."""
    found: dict[str, list[dict[str, Any]]] = {}
    for record, error in _all(store, version):
        found.setdefault(f"/v1/{record.type}/{record.id}", []).append(error)
    return found


def _all(store: Base, version: Record) -> Iterator[Found]:
    if not version["copyright"]:
        yield version, needed("copyright")
    yield from _build(store, version)
    yield from _texts(store, version)
    yield from _contact(store, version)
    yield from _about_app(store)


def _build(store: Base, version: Record) -> Iterator[Found]:
    build = store.records.one(version, "build")
    if build is None:
        yield version, needed_relationship("build")
        return
    if build["expired"]:
        yield build, said("STATE_ERROR.BUILD_EXPIRED", OTHER_STATE, "The build has expired.")
    if build["usesNonExemptEncryption"] is None:
        yield build, needed("usesNonExemptEncryption")


def _texts(store: Base, version: Record) -> Iterator[Found]:
    wanted = WORDS if standing.is_first(store, version) else (*WORDS, "whatsNew")
    app = store.records.get("apps", APP)
    for words in store.records.related(version, "appStoreVersionLocalizations"):
        for name in wanted:
            if not words[name]:
                yield words, needed(name)
        shots = [
            shot
            for one in store.records.related(words, "appScreenshotSets")
            for shot in store.records.related(one, "appScreenshots")
        ]
        if not shots and words["locale"] == app["primaryLocale"]:
            code = f"STATE_ERROR.SCREENSHOT_REQUIRED.{DISPLAY}"
            yield words, said(code, "App screenshot missing", f"{DISPLAY} is required.")
        if any(shot["assetDeliveryState"]["state"] != "COMPLETE" for shot in shots):
            code = "STATE_ERROR.ATTACHMENT_UPLOADS_IN_PROGRESS"
            yield words, said(code, OTHER_STATE, "Attachment uploads still in progress")


def _contact(store: Base, version: Record) -> Iterator[Found]:
    detail = store.records.one(version, "appStoreReviewDetail")
    if detail is None:
        yield version, needed_relationship("appStoreReviewDetail")
        return
    account = ("demoAccountName", "demoAccountPassword") if detail["demoAccountRequired"] else ()
    for name in (*CONTACT, *account):
        if not detail[name]:
            yield detail, needed(name)


def _about_app(store: Base) -> Iterator[Found]:
    info = standing.editable_info(store)
    rating = store.records.one(info, "ageRatingDeclaration")
    for name in QUESTIONS:
        if rating and rating[name] is None:
            yield rating, needed(name)
    if not info.one.get("primaryCategory"):
        yield info, needed_relationship("primaryCategory")
    app = store.records.get("apps", APP)
    if not app["contentRightsDeclaration"]:
        yield app, needed("contentRightsDeclaration")
    if "privacy" in store.settings.missing:
        words = "You must provide answers about the data that the app collects."
        yield app, said("STATE_ERROR.APP_DATA_USAGES_REQUIRED", OTHER_STATE, words)
    if "price" in store.settings.missing:
        yield app, said("STATE_ERROR.APP_PRICE_REQUIRED", OTHER_STATE, "You must choose a price.")


def switch(store: Base, name: str, is_missing: bool) -> None:
    """Take something away, or give it back. Raises KeyError for an unknown name."""
    SWITCHES[name]
    known = store.settings.missing
    store.settings.missing = [one for one in known if one != name] + [name] * is_missing
    _about(store, name, is_missing)
    for version in store.records.all("appStoreVersions"):
        if version["appVersionState"] not in standing.GONE:
            apply(store, version, name, is_missing)


def _about(store: Base, name: str, is_missing: bool) -> None:
    """What belongs to the app, not to one version of it."""
    records = store.records
    if name == "ageRating":
        values = {q: None if is_missing else answer(q) for q in NEW_QUESTIONS}
        for rating in records.all("ageRatingDeclarations"):
            rating.attributes |= values
    for info in records.all("appInfos") if name == "category" else ():
        info.one.pop("primaryCategory", None)
        info.one |= {} if is_missing else {"primaryCategory": ["appCategories", "SPORTS"]}
    if name == "contentRights":
        value = None if is_missing else "DOES_NOT_USE_THIRD_PARTY_CONTENT"
        records.get("apps", APP).attributes["contentRightsDeclaration"] = value


def apply(store: Base, version: Record, name: str, is_missing: bool) -> None:
    """What belongs to a version."""
    records = store.records
    if name == "reviewContact":
        for detail in records.related(version, "appStoreReviewDetail"):
            values = dict.fromkeys(CONTACT) if is_missing else store.contact
            detail.attributes |= values
    elif name == "screenshots":
        _set_screenshots(store, version, "" if is_missing else "COMPLETE")
    elif name == "uploading":
        state = "AWAITING_UPLOAD" if is_missing else "COMPLETE"
        _set_screenshots(store, version, state)
    elif name == "locale":
        every = records.related(version, "appStoreVersionLocalizations")
        for words in [one for one in every if one["locale"] == SECOND_LOCALE]:
            records.remove(words)
        if is_missing:
            localization(records, version, SECOND_LOCALE)


def _screenshots_of(store: Base, version: Record) -> list[Record]:
    """The sets of its screenshots, in every language."""
    every = store.records.related(version, "appStoreVersionLocalizations")
    return [one for words in every for one in store.records.related(words, "appScreenshotSets")]


def _set_screenshots(store: Base, version: Record, state: str) -> None:
    """`state` of the one in each set; "" for none."""
    for shots in _screenshots_of(store, version):
        for shot in store.records.related(shots, "appScreenshots"):
            store.records.remove(shot)
        if state:
            screenshot(store.records, shots, state)


def in_words(trouble: Trouble) -> str:
    """For people: a refusal, with everything that it says is missing."""
    every = trouble.errors[0].get("meta", {}).get("associatedErrors", {})
    found = [one["detail"] for errors in every.values() for one in errors]
    return " · ".join([str(trouble), *dict.fromkeys(found)])
