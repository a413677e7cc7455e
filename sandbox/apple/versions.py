"""Versions in the App Store: made, edited, released, replaced.

https://developer.apple.com/documentation/appstoreconnectapi/app-store-versions
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from sandbox.apple import phased
from sandbox.apple.builds import number
from sandbox.apple.records import Record, moment_of
from sandbox.apple.seed import (
    APP,
    localization,
    old_state,
    review_detail,
    screenshot,
    version_attributes,
)
from sandbox.apple.trouble import Trouble, invalid, needed, unfit, unmodifiable, wrong_state

if TYPE_CHECKING:
    from sandbox.apple.store import AppStore

LIVE, REPLACED = "READY_FOR_DISTRIBUTION", "REPLACED_WITH_NEW_VERSION"
DRAFT = "PREPARE_FOR_SUBMISSION"
GONE = (LIVE, REPLACED)
REJECTED = ("REJECTED", "METADATA_REJECTED", "DEVELOPER_REJECTED", "INVALID_BINARY")
EDITABLE = (DRAFT, *REJECTED)
REVIEWED = ("WAITING_FOR_REVIEW", "IN_REVIEW", "ACCEPTED")
APPROVED = ("PENDING_DEVELOPER_RELEASE", "PENDING_APPLE_RELEASE")
RELEASE = ("releaseType", "earliestReleaseDate")  # changeable until it is released
RELEASE_TYPES = ("MANUAL", "AFTER_APPROVAL", "SCHEDULED")
NO_NEW_VERSION = "You cannot create a new version of the App in the current state."
USED_BEFORE = "The version number has been previously used."
HOUR = 3600


def of_platform(store: AppStore, platform: str) -> list[Record]:
    return [v for v in store.records.all("appStoreVersions") if v["platform"] == platform]


def open_version(store: AppStore, platform: str) -> Record | None:
    """The one that is in neither the store nor its past: there is one at most."""
    found = (v for v in of_platform(store, platform) if v["appVersionState"] not in GONE)
    return next(found, None)


def live_version(store: AppStore, platform: str) -> Record | None:
    found = (v for v in of_platform(store, platform) if v["appVersionState"] == LIVE)
    return next(found, None)


def is_first(store: AppStore, version: Record) -> bool:
    others = of_platform(store, version["platform"])
    return not any(v["appVersionState"] in GONE for v in others if v is not version)


def set_state(store: AppStore, version: Record, state: str) -> None:
    before = version["appVersionState"]
    if before == state:
        return
    version.attributes |= {"appVersionState": state, "appStoreState": old_state(state)}
    _keep_submission(store, version, state)
    store.record("version.state", version=version["versionString"], state=state, before=before)
    store.tell("APP_STORE_VERSION_APP_VERSION_STATE_UPDATED", version, before, state)


def _keep_submission(store: AppStore, version: Record, state: str) -> None:
    """The deprecated resource by which also an approved version is withdrawn."""
    if state == "WAITING_FOR_REVIEW":
        made = store.records.add("appStoreVersionSubmissions", version.id)
        made.one["appStoreVersion"] = version.key
    elif state in (*GONE, *EDITABLE):
        for old in store.records.related(version, "appStoreVersionSubmission"):
            store.records.remove(old)


# Making and editing


def create(store: AppStore, values: dict[str, Any], build: Record | None) -> Record:
    """Raises Trouble."""
    platform, wanted = values["platform"], values["versionString"]
    if open_version(store, platform):
        raise unfit("app", NO_NEW_VERSION)
    _check_number(store, platform, wanted)
    attributes = version_attributes(wanted, store.now, platform=platform)
    attributes["copyright"] = None
    made = Record("appStoreVersions", "new", attributes)
    _check_release(store, made, values)
    live = live_version(store, platform)
    if build:
        _check_build(store, {**attributes, **values}, build)
    made = store.records.add("appStoreVersions", **{**attributes, **values})
    made.one["app"] = ["apps", APP]
    if build:
        made.one["build"] = build.key
    made.private["hidden_reads"] = store.settings.hidden_reads
    _carry_over(store, made, live)
    store.record("version.created", version=wanted, platform=platform)
    return made


def _carry_over(store: AppStore, made: Record, live: Record | None) -> None:
    """Texts, screenshots and contact of the version before; nobody has told what is new yet."""
    records = store.records
    if made["copyright"] is None and live:
        made.attributes["copyright"] = live["copyright"]
    before = records.related(live, "appStoreVersionLocalizations") if live else []
    for old in before:
        new = localization(records, made, old["locale"])
        new.attributes |= {**old.attributes, "whatsNew": None}
    if not before:
        localization(records, made, "en-US")
    review_detail(records, made)
    _open_info(store)
    store.apply_switches(made)


def _open_info(store: AppStore) -> None:
    """Beside the app's information in the store, an editable copy of it."""
    records = store.records
    infos = records.all("appInfos")
    if any(info["state"] != LIVE for info in infos):
        return
    info = infos[0]
    copied = records.add("appInfos", **{**info.attributes, "state": DRAFT, "appStoreState": DRAFT})
    copied.one = deepcopy(info.one)
    for name in ("ageRatingDeclaration", "appInfoLocalizations"):
        for old in records.related(info, name):
            key = copied.id if name == "ageRatingDeclaration" else ""
            new = records.add(old.type, key, **deepcopy(old.attributes))
            new.one["appInfo"] = copied.key


def editable_info(store: AppStore) -> Record:
    infos = store.records.all("appInfos")
    return next((info for info in infos if info["state"] != LIVE), infos[0])


def _check_number(store: AppStore, platform: str, wanted: str) -> None:
    parts = wanted.split(".")
    if not 1 <= len(parts) <= 3 or not all(part.isdecimal() for part in parts):
        raise invalid("versionString", "The version number is not in the right format.")
    used = [_parts(v["versionString"]) for v in of_platform(store, platform)]
    if any(_parts(wanted) <= one for one in used):
        raise invalid("versionString", USED_BEFORE, "DUPLICATE")


def _parts(text: str) -> list[int]:
    found = [int(part) for part in text.split(".")]
    return found + [0] * (3 - len(found))


def _check_release(store: AppStore, version: Record, values: dict[str, Any]) -> None:
    """The kind of release, and its date in whole hours of the future."""
    kind = values.get("releaseType", version["releaseType"])
    if kind not in RELEASE_TYPES:
        raise invalid("releaseType", f"'{kind}' is not a valid value for 'releaseType'.")
    date = values.get("earliestReleaseDate", version["earliestReleaseDate"])
    if kind != "SCHEDULED":
        if values.get("earliestReleaseDate"):
            words = "An earliest release date is only possible with the release type SCHEDULED."
            raise invalid("earliestReleaseDate", words)
        return
    if not date:
        raise Trouble(409, needed("earliestReleaseDate"))
    try:
        moment = moment_of(str(date))
    except ValueError:
        raise invalid("earliestReleaseDate", f"'{date}' is not a valid date.") from None
    if moment <= store.now or moment % HOUR:
        words = "The earliest release date must be a whole hour in the future."
        raise invalid("earliestReleaseDate", words)


def change(store: AppStore, version: Record, values: dict[str, Any]) -> None:
    """Raises Trouble."""
    state = version["appVersionState"]
    for name in values:
        if name not in _changeable(state):
            raise unmodifiable(name)
    if values.get("versionString", version["versionString"]) != version["versionString"]:
        _check_number(store, version["platform"], values["versionString"])
    if values.keys() & set(RELEASE):
        _check_release(store, version, values)
    if values.get("releaseType", "SCHEDULED") != "SCHEDULED":
        values = {"earliestReleaseDate": None, **values}
    version.attributes |= values


def _changeable(state: str) -> tuple[str, ...]:
    if state == "METADATA_REJECTED":
        return (*RELEASE, "copyright", "usesIdfa", "downloadable")
    if state in EDITABLE:
        return (*RELEASE, "copyright", "versionString", "usesIdfa", "downloadable", "reviewType")
    if state in ("READY_FOR_REVIEW", *REVIEWED, *APPROVED):
        return RELEASE
    return ()


def attach(store: AppStore, version: Record, build: Record | None) -> None:
    """Raises Trouble."""
    if version["appVersionState"] not in (
        DRAFT,
        "REJECTED",
        "DEVELOPER_REJECTED",
        "INVALID_BINARY",
    ):
        raise wrong_state("The build of the version cannot be changed at this time")
    if build is None:
        version.one.pop("build", None)
        return
    _check_build(store, version.attributes, build)
    version.one["build"] = build.key
    store.record("version.build", version=version["versionString"], number=build["version"])


def _check_build(store: AppStore, version: dict[str, Any], build: Record) -> None:
    if build["processingState"] != "VALID":
        raise unfit("build", "The build is not in a valid processing state.")
    fits = number(build, store) == (version["versionString"], version["platform"])
    if not fits or build["expired"] or build["buildAudienceType"] == "INTERNAL_ONLY":
        raise unfit("build", "The specified pre-release build could not be added.")


def delete(store: AppStore, version: Record) -> None:
    """Raises Trouble."""
    if version["appVersionState"] not in EDITABLE:
        raise wrong_state("The version cannot be deleted at this time")
    if is_first(store, version):
        raise wrong_state("The first version of an app cannot be deleted")
    for item in store.records.all("reviewSubmissionItems"):
        if item.one.get("appStoreVersion") == version.key and item["state"] != "REMOVED":
            raise wrong_state("The version is part of a review submission")
    info = editable_info(store)
    if info["state"] != LIVE:
        store.records.remove(info)
    store.records.remove(version)
    store.record("version.deleted", version=version["versionString"])


# Release


def approve(store: AppStore, version: Record) -> None:
    """Apple's review is over, and it goes on as its release type says."""
    kind, date = version["releaseType"], version["earliestReleaseDate"]
    waits = kind == "MANUAL" or (kind == "SCHEDULED" and store.now < moment_of(date))
    if waits:
        set_state(store, version, "PENDING_DEVELOPER_RELEASE")
    else:
        _distribute(store, version)


def request_release(store: AppStore, version: Record) -> None:
    """Raises Trouble."""
    if version["appVersionState"] != "PENDING_DEVELOPER_RELEASE":
        raise wrong_state("The version is not in a state in which it can be released")
    _distribute(store, version)


def _distribute(store: AppStore, version: Record) -> None:
    version.private["distributed_at"] = store.now + store.settings.distribution_seconds
    set_state(store, version, "PROCESSING_FOR_DISTRIBUTION")
    settle_version(store, version)


def settle_version(store: AppStore, version: Record) -> None:
    state, now = version["appVersionState"], store.now
    if state == "PENDING_DEVELOPER_RELEASE" and version["releaseType"] == "SCHEDULED":
        if now >= moment_of(version["earliestReleaseDate"]):
            _distribute(store, version)
    elif state == "PROCESSING_FOR_DISTRIBUTION" and now >= version.private["distributed_at"]:
        _go_live(store, version, version.private["distributed_at"])


def _go_live(store: AppStore, version: Record, moment: float) -> None:
    before = live_version(store, version["platform"])
    if before:
        phased.end(store, before)
        set_state(store, before, REPLACED)
    for info in store.records.all("appInfos"):
        if info["state"] == LIVE and editable_info(store) is not info:
            store.records.remove(info)
        else:
            info.attributes |= {"state": LIVE, "appStoreState": old_state(LIVE)}
    set_state(store, version, LIVE)
    phased.begin(store, version, moment)


def screenshots_of(store: AppStore, version: Record) -> list[Record]:
    """The sets of its screenshots, in every language."""
    every = store.records.related(version, "appStoreVersionLocalizations")
    return [one for words in every for one in store.records.related(words, "appScreenshotSets")]


def set_screenshots(store: AppStore, version: Record, state: str) -> None:
    """`state` of the one in each set; "" for none."""
    for shots in screenshots_of(store, version):
        for shot in store.records.related(shots, "appScreenshots"):
            store.records.remove(shot)
        if state:
            screenshot(store.records, shots, state)
