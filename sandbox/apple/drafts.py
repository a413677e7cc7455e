"""New versions, which begin with what the version before them had."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from sandbox.apple import gaps
from sandbox.apple.base import Base
from sandbox.apple.records import Record
from sandbox.apple.seed import APP, localization, review_detail, version_attributes
from sandbox.apple.standing import DRAFT, LIVE, live_version, open_version
from sandbox.apple.trouble import unfit
from sandbox.apple.versions import check_build, check_number, check_release

NO_NEW_VERSION = "You cannot create a new version of the App in the current state."


def create(store: Base, values: dict[str, Any], build: Record | None) -> Record:
    """Raises Trouble."""
    platform, wanted = values["platform"], values["versionString"]
    if open_version(store, platform):
        raise unfit("app", NO_NEW_VERSION)
    check_number(store, platform, wanted)
    attributes = version_attributes(wanted, store.now, platform=platform)
    attributes["copyright"] = None
    made = Record("appStoreVersions", "new", attributes)
    check_release(store, made, values)
    live = live_version(store, platform)
    if build:
        check_build(store, {**attributes, **values}, build)
    made = store.records.add("appStoreVersions", **{**attributes, **values})
    made.one["app"] = ["apps", APP]
    if build:
        made.one["build"] = build.key
    made.private["hidden_reads"] = store.settings.hidden_reads
    _carry_over(store, made, live)
    store.record("version.created", version=wanted, platform=platform)
    return made


def _carry_over(store: Base, made: Record, live: Record | None) -> None:
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
    for name in store.settings.missing:
        gaps.apply(store, made, name, True)


def _open_info(store: Base) -> None:
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
