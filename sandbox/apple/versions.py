"""Versions in the App Store: made, edited, released, replaced.

https://developer.apple.com/documentation/appstoreconnectapi/app-store-versions
"""

from __future__ import annotations

from typing import Any

from sandbox.apple import notifications, phased
from sandbox.apple.base import Base
from sandbox.apple.builds import number
from sandbox.apple.records import Record, moment_of
from sandbox.apple.seed import (
    old_state,
)
from sandbox.apple.standing import (
    APPROVED,
    DRAFT,
    EDITABLE,
    GONE,
    LIVE,
    REPLACED,
    REVIEWED,
    editable_info,
    is_first,
    live_version,
    of_platform,
)
from sandbox.apple.trouble import Trouble, invalid, needed, unfit, unmodifiable, wrong_state

RELEASE = ("releaseType", "earliestReleaseDate")  # changeable until it is released
RELEASE_TYPES = ("MANUAL", "AFTER_APPROVAL", "SCHEDULED")
USED_BEFORE = "The version number has been previously used."
HOUR = 3600


def set_state(store: Base, version: Record, state: str) -> None:
    before = version["appVersionState"]
    if before == state:
        return
    version.attributes |= {"appVersionState": state, "appStoreState": old_state(state)}
    _keep_submission(store, version, state)
    store.record("version.state", version=version["versionString"], state=state, before=before)
    notifications.notify(
        store, "APP_STORE_VERSION_APP_VERSION_STATE_UPDATED", version, before, state
    )


def _keep_submission(store: Base, version: Record, state: str) -> None:
    """The deprecated resource by which also an approved version is withdrawn."""
    if state == "WAITING_FOR_REVIEW":
        made = store.records.add("appStoreVersionSubmissions", version.id)
        made.one["appStoreVersion"] = version.key
    elif state in (*GONE, *EDITABLE):
        for old in store.records.related(version, "appStoreVersionSubmission"):
            store.records.remove(old)


# Making and editing


def check_number(store: Base, platform: str, wanted: str) -> None:
    parts = wanted.split(".")
    if not 1 <= len(parts) <= 3 or not all(part.isdecimal() for part in parts):
        raise invalid("versionString", "The version number is not in the right format.")
    used = [_parts(v["versionString"]) for v in of_platform(store, platform)]
    if any(_parts(wanted) <= one for one in used):
        raise invalid("versionString", USED_BEFORE, "DUPLICATE")


def _parts(text: str) -> list[int]:
    found = [int(part) for part in text.split(".")]
    return found + [0] * (3 - len(found))


def check_release(store: Base, version: Record, values: dict[str, Any]) -> None:
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


def change(store: Base, version: Record, values: dict[str, Any]) -> None:
    """Raises Trouble."""
    state = version["appVersionState"]
    for name in values:
        if name not in _changeable(state):
            raise unmodifiable(name)
    if values.get("versionString", version["versionString"]) != version["versionString"]:
        check_number(store, version["platform"], values["versionString"])
    if values.keys() & set(RELEASE):
        check_release(store, version, values)
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


def attach(store: Base, version: Record, build: Record | None) -> None:
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
    check_build(store, version.attributes, build)
    version.one["build"] = build.key
    store.record("version.build", version=version["versionString"], number=build["version"])


def check_build(store: Base, version: dict[str, Any], build: Record) -> None:
    if build["processingState"] != "VALID":
        raise unfit("build", "The build is not in a valid processing state.")
    fits = number(build, store) == (version["versionString"], version["platform"])
    if not fits or build["expired"] or build["buildAudienceType"] == "INTERNAL_ONLY":
        raise unfit("build", "The specified pre-release build could not be added.")


def delete(store: Base, version: Record) -> None:
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


def approve(store: Base, version: Record) -> None:
    """Apple's review is over, and it goes on as its release type says."""
    kind, date = version["releaseType"], version["earliestReleaseDate"]
    waits = kind == "MANUAL" or (kind == "SCHEDULED" and store.now < moment_of(date))
    if waits:
        set_state(store, version, "PENDING_DEVELOPER_RELEASE")
    else:
        _distribute(store, version)


def request_release(store: Base, version: Record) -> None:
    """Raises Trouble."""
    if version["appVersionState"] != "PENDING_DEVELOPER_RELEASE":
        raise wrong_state("The version is not in a state in which it can be released")
    _distribute(store, version)


def _distribute(store: Base, version: Record) -> None:
    version.private["distributed_at"] = store.now + store.settings.distribution_seconds
    set_state(store, version, "PROCESSING_FOR_DISTRIBUTION")
    settle_version(store, version)


def settle_version(store: Base, version: Record) -> None:
    state, now = version["appVersionState"], store.now
    if state == "PENDING_DEVELOPER_RELEASE" and version["releaseType"] == "SCHEDULED":
        if now >= moment_of(version["earliestReleaseDate"]):
            _distribute(store, version)
    elif state == "PROCESSING_FOR_DISTRIBUTION" and now >= version.private["distributed_at"]:
        _go_live(store, version, version.private["distributed_at"])


def _go_live(store: Base, version: Record, moment: float) -> None:
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
