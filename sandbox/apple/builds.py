"""Builds: uploaded, processed, expired, and what has to be declared about their encryption."""

from __future__ import annotations

from typing import Any

from sandbox.apple import notifications, testflight
from sandbox.apple.base import Base
from sandbox.apple.records import Record, apple_time, moment_of
from sandbox.apple.seed import APP, PLATFORM
from sandbox.apple.trouble import conflict, invalid

LIVES = 90 * 86_400  # seconds that a build can be tested
OVER = ("VALID", "FAILED", "INVALID")
AUDIENCES = ("APP_STORE_ELIGIBLE", "INTERNAL_ONLY")
NO_ENCRYPTION_CHANGE = "You cannot update when the value is already set."


def upload(
    store: Base,
    version: str,
    number: str,
    *,
    platform: str = PLATFORM,
    audience: str = "APP_STORE_ELIGIBLE",
    encryption: bool | None = None,
) -> Record:
    """An uploaded build, which Apple processes from now on. `encryption`: what its Info.plist says
    about it. Raises Trouble for a number that this version on this platform had before."""
    records, now = store.records, store.now
    train = _train(store, version, platform)
    if any(build["version"] == number for build in records.related(train, "builds")):
        raise invalid("cfBundleVersion", f"Bundle version {number} was used before.", "DUPLICATE")
    build = records.add(
        "builds",
        version=number,
        uploadedDate=apple_time(now),
        expirationDate=apple_time(now + LIVES),
        expired=False,
        minOsVersion="17.0",
        iconAssetToken=None,
        processingState="PROCESSING",
        buildAudienceType=audience,
        usesNonExemptEncryption=encryption,
        computedMinMacOsVersion="14.0",
        lsMinimumSystemVersion=None,
    )
    build.one |= {"app": ["apps", APP], "preReleaseVersion": train.key}
    build.private["uploaded_at"] = now
    _upload_record(store, build, version, platform)
    testflight.begin(store, build)
    facts = {"version": version, "number": number, "platform": platform}
    store.record("build.uploaded", **facts)
    return build


def _train(store: Base, version: str, platform: str) -> Record:
    for found in store.records.all("preReleaseVersions"):
        if (found["version"], found["platform"]) == (version, platform):
            return found
    made = store.records.add("preReleaseVersions", version=version, platform=platform)
    made.one["app"] = ["apps", APP]
    return made


def _upload_record(store: Base, build: Record, version: str, platform: str) -> None:
    found = store.records.add(
        "buildUploads",
        cfBundleShortVersionString=version,
        cfBundleVersion=build["version"],
        platform=platform,
        createdDate=apple_time(store.now),
        uploadedDate=apple_time(store.now),
        state=_state("PROCESSING"),
    )
    found.one |= {"app": ["apps", APP], "build": build.key}


def _state(word: str, *errors: tuple[str, str]) -> dict[str, Any]:
    said = [{"code": code, "description": words} for code, words in errors]
    return {"state": word, "errors": said, "warnings": [], "infos": []}


def finish(store: Base, build: Record, result: str = "VALID") -> None:
    """End the processing. FAILED and INVALID are told in words only by the upload."""
    if result not in OVER:
        raise ValueError(f"unknown result {result!r}; one of {', '.join(OVER)}")
    if build["processingState"] != "PROCESSING":
        raise ValueError(f"build {build['version']} was processed already")
    build.attributes["processingState"] = result
    build.attributes["iconAssetToken"] = {
        "templateUrl": "https://is1-ssl.mzstatic.com/image/thumb/sandbox/{w}x{h}bb.{f}",
        "width": 1024,
        "height": 1024,
    }
    words = "Invalid Code Signature. The executable is not properly signed."
    error = [("90035", words)] if result != "VALID" else []
    done = _state("COMPLETE" if result == "VALID" else "FAILED", *error)
    upload_record = _upload_of(store, build)
    if upload_record:
        upload_record.attributes["state"] = done
        notifications.notify(
            store, "BUILD_UPLOAD_STATE_UPDATED", upload_record, "PROCESSING", done["state"]
        )
    testflight.processed(store, build)
    store.record("build.processed", number=build["version"], result=result)


def _upload_of(store: Base, build: Record) -> Record | None:
    every = store.records.all("buildUploads")
    return next((one for one in every if one.one.get("build") == build.key), None)


def change(store: Base, build: Record, values: dict[str, Any]) -> None:
    """Raises Trouble: both attributes can be set once."""
    if "usesNonExemptEncryption" in values:
        if build["usesNonExemptEncryption"] is not None:
            code = "ENTITY_ERROR.ATTRIBUTE.INVALID"
            title = "The provided entity includes an attribute with an invalid value"
            raise conflict(
                code, title, NO_ENCRYPTION_CHANGE, "/data/attributes/usesNonExemptEncryption"
            )
        build.attributes["usesNonExemptEncryption"] = values["usesNonExemptEncryption"]
    if "expired" in values:
        if not values["expired"] and build["expired"]:
            raise invalid("expired", "An expired build cannot be made available again.")
        build.attributes["expired"] = bool(values["expired"])
        review = store.records.one(build, "betaAppReviewSubmission")
        if build["expired"] and review and review["betaReviewState"] in testflight.WAITS:
            store.records.remove(review)
    testflight.refresh(store, build)


def settle(store: Base) -> None:
    for build in store.records.all("builds"):
        seconds = store.settings.processing_seconds
        waits = build["processingState"] == "PROCESSING" and seconds is not None
        if waits and store.now >= build.private["uploaded_at"] + (seconds or 0):
            finish(store, build)
        if not build["expired"] and store.now >= moment_of(build["expirationDate"]):
            change(store, build, {"expired": True})


def number(build: Record, store: Base) -> tuple[str, str]:
    """Its marketing version and platform."""
    train = store.records.one(build, "preReleaseVersion")
    return (train["version"], train["platform"]) if train else ("", "")
