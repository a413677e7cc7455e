"""Which build of which CI server reaches which store.

A build that succeeds uploads its app, as pipelines in the field do, if it was given a version. Its
parameter `platform` decides for which store; without one, the name of what was built does
("ios", "android"); where that says nothing, it is of an app for both. The App Store gets a build
with the release's version and the number of the CI build, which Apple then processes. Google Play
gets a bundle on the internal track, whose version code is the number too (`Play.upload_from_ci`);
as any commit does, that ends open edits. With the switch "CI does not upload its bundles" there is
only the artifact, which anybody may upload: of Jenkins, a bundle with the same code. A number that
a store had before is not uploaded again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.apple import builds
from sandbox.apple.trouble import Trouble
from sandbox.stores import Stores

GOOD = ("SUCCESS", "UNSTABLE", "success")
VERSIONS = ("version", "release")  # names of parameters, in any case


def take(stores: Stores, entry: Mapping[str, Any]) -> tuple[str, str] | None:
    """Take a CI build's entry in the ledger, `build.finished`. The version and the number of what
    it uploaded; None without an upload."""
    parameters = {**entry, **entry.get("parameters", {})}
    given = {name.lower(): str(value) for name, value in parameters.items()}
    version = next((given[name] for name in VERSIONS if given.get(name)), "")
    if entry.get("result") not in GOOD or not is_version(version):
        return None
    wanted = given.get("platform", "").lower()
    names = wanted if wanted in ("ios", "android") else str(entry["job"]).lower()
    is_ios, is_android = "ios" in names, "android" in names
    if is_ios or not is_android:
        _to_apple(stores, version, str(entry["number"]))
    if stores.play.settings.ci_uploads and (is_android or not is_ios):
        stores.play.upload_from_ci(version, int(entry["number"]))
    return version, str(entry["number"])


def is_version(text: str) -> bool:
    parts = text.split(".")
    return len(parts) <= 3 and all(part.isdecimal() for part in parts)


def _to_apple(stores: Stores, version: str, number: str) -> None:
    apple = stores.apple
    try:
        builds.upload(apple, version, number, encryption=apple.default_encryption)
    except Trouble:
        apple.record("build.not_uploaded", version=version, number=number)
