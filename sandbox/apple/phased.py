"""Phased releases: seven days in which more and more people get an update by themselves.

https://developer.apple.com/help/app-store-connect/update-your-app/release-a-version-update-in-phases
"""

from __future__ import annotations

from sandbox.apple import standing
from sandbox.apple.base import Base
from sandbox.apple.records import Record, apple_time
from sandbox.apple.trouble import conflict, invalid, unfit, wrong_state

DAY = 86_400
DAYS = 7
LONGEST_PAUSE = 30 * DAY
STATES = ("INACTIVE", "ACTIVE", "PAUSED", "COMPLETE")
SAME = "The phased release already has this value"
FINAL = "You cannot change the state of a phased release that is in a final state"
# Until it is released, whatever the review said.
ENABLED_IN = {
    *("PREPARE_FOR_SUBMISSION", "READY_FOR_REVIEW", "WAITING_FOR_REVIEW", "IN_REVIEW", "ACCEPTED"),
    *("PENDING_DEVELOPER_RELEASE", "REJECTED", "DEVELOPER_REJECTED", "METADATA_REJECTED"),
    "INVALID_BINARY",
}


def create(store: Base, version: Record, state: str) -> Record:
    """Raises Trouble."""
    if standing.is_first(store, version):
        raise unfit("appStoreVersion", "Phased release is only available for updates.")
    if store.records.one(version, "appStoreVersionPhasedRelease"):
        raise unfit("appStoreVersion", "The version has a phased release already.")
    if version["appVersionState"] not in ENABLED_IN:
        raise wrong_state("A phased release cannot be created at this time")
    if state != "INACTIVE":
        raise invalid("phasedReleaseState", "A phased release begins as INACTIVE.")
    made = store.records.add(
        "appStoreVersionPhasedReleases",
        phasedReleaseState="INACTIVE",
        startDate=None,
        totalPauseDuration=0,
        currentDayNumber=None,
    )
    made.one["appStoreVersion"] = version.key
    return made


def delete(store: Base, found: Record) -> None:
    """Raises Trouble: once the version is in the store, it stays."""
    version = store.records.one(found, "appStoreVersion")
    if found["phasedReleaseState"] != "INACTIVE" or (
        version and version["appVersionState"] not in ENABLED_IN
    ):
        raise wrong_state("The phased release cannot be deleted at this time")
    store.records.remove(found)


def change(store: Base, found: Record, state: str) -> None:
    """Raises Trouble."""
    before = found["phasedReleaseState"]
    pointer = "/data/attributes/phasedReleaseState"
    if state not in STATES:
        raise invalid("phasedReleaseState", f"'{state}' is not a valid value.")
    if before == "COMPLETE":
        raise conflict("STATE_ERROR", "The phased release is in a final state", FINAL, pointer)
    if before == state:
        raise conflict("ENTITY_ERROR.ATTRIBUTE.INVALID", SAME, SAME, pointer)
    if before == "INACTIVE" or state == "INACTIVE":
        raise wrong_state("The phased release cannot be changed before the version is released")
    _count(store, found)
    found.attributes["phasedReleaseState"] = state
    _record(store, found)


def begin(store: Base, version: Record, moment: float) -> None:
    """The version is in the store: day 1 begins."""
    found = store.records.one(version, "appStoreVersionPhasedRelease")
    if found is None:
        return
    found.attributes |= {"phasedReleaseState": "ACTIVE", "startDate": apple_time(moment)}
    found.attributes["currentDayNumber"] = 1
    found.private |= {"counted_at": moment, "active": 0.0, "paused": 0.0}
    _record(store, found)
    settle(store, found)


def end(store: Base, version: Record) -> None:
    found = store.records.one(version, "appStoreVersionPhasedRelease")
    if found and found["phasedReleaseState"] != "COMPLETE":
        found.attributes["phasedReleaseState"] = "COMPLETE"
        _record(store, found)


def next_day(store: Base, found: Record) -> None:
    """Move an active one to its next day, whatever the clock says."""
    if found["phasedReleaseState"] != "ACTIVE":
        raise ValueError("only an active phased release has a next day")
    _count(store, found)
    found.private["active"] = (found.private["active"] // DAY + 1) * DAY
    settle(store, found)


def _count(store: Base, found: Record) -> None:
    """Add the time since the last look to what it was active or paused."""
    if found["phasedReleaseState"] in ("ACTIVE", "PAUSED"):
        kind = "active" if found["phasedReleaseState"] == "ACTIVE" else "paused"
        found.private[kind] += max(store.now - found.private["counted_at"], 0)
        found.private["counted_at"] = store.now


def settle(store: Base, found: Record) -> None:
    """Apple itself ends it after the seventh day, and after thirty days of pauses."""
    if found["phasedReleaseState"] not in ("ACTIVE", "PAUSED"):
        return
    _count(store, found)
    day = int(found.private["active"] // DAY) + 1
    found.attributes["currentDayNumber"] = min(day, DAYS + 1)
    found.attributes["totalPauseDuration"] = int(found.private["paused"] // DAY)
    if day > DAYS or found.private["paused"] >= LONGEST_PAUSE:
        found.attributes["phasedReleaseState"] = "COMPLETE"
        _record(store, found)


def _record(store: Base, found: Record) -> None:
    version = store.records.one(found, "appStoreVersion")
    facts = {"state": found["phasedReleaseState"], "day": found["currentDayNumber"]}
    store.record("phased.state", version=version["versionString"] if version else "", **facts)
