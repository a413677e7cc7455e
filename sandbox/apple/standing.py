"""Which version stands where: in preparation, in review, in the store, replaced."""

from __future__ import annotations

from sandbox.apple.base import Base
from sandbox.apple.records import Record

LIVE, REPLACED = "READY_FOR_DISTRIBUTION", "REPLACED_WITH_NEW_VERSION"
DRAFT = "PREPARE_FOR_SUBMISSION"
GONE = (LIVE, REPLACED)
REJECTED = ("REJECTED", "METADATA_REJECTED", "DEVELOPER_REJECTED", "INVALID_BINARY")
EDITABLE = (DRAFT, *REJECTED)
REVIEWED = ("WAITING_FOR_REVIEW", "IN_REVIEW", "ACCEPTED")
APPROVED = ("PENDING_DEVELOPER_RELEASE", "PENDING_APPLE_RELEASE")


def of_platform(store: Base, platform: str) -> list[Record]:
    return [v for v in store.records.all("appStoreVersions") if v["platform"] == platform]


def open_version(store: Base, platform: str) -> Record | None:
    """The one that is in neither the store nor its past: there is one at most."""
    found = (v for v in of_platform(store, platform) if v["appVersionState"] not in GONE)
    return next(found, None)


def live_version(store: Base, platform: str) -> Record | None:
    found = (v for v in of_platform(store, platform) if v["appVersionState"] == LIVE)
    return next(found, None)


def is_first(store: Base, version: Record) -> bool:
    others = of_platform(store, version["platform"])
    return not any(v["appVersionState"] in GONE for v in others if v is not version)


def editable_info(store: Base) -> Record:
    infos = store.records.all("appInfos")
    return next((info for info in infos if info["state"] != LIVE), infos[0])
