"""The texts of a version in each language, and what Apple's reviewers need to know.

Limits: https://developer.apple.com/help/app-store-connect/reference/app-information/platform-version-information
"""

from __future__ import annotations

import unicodedata
from typing import Any

from sandbox.apple import standing
from sandbox.apple.base import Base
from sandbox.apple.records import Record
from sandbox.apple.seed import localization
from sandbox.apple.trouble import invalid, unfit, wrong_state

LIMITS = {
    "description": 4000,
    "promotionalText": 170,
    "whatsNew": 4000,
    "marketingUrl": 2000,
    "supportUrl": 2000,
}
KEYWORD_BYTES, NOTE_BYTES = 100, 4000
# https://developer.apple.com/documentation/appstoreconnectapi/managing-metadata-in-your-app-by-using-locale-shortcodes
_LOCALES = """
ar-SA bn-BD ca cs da de-DE el en-AU en-CA en-GB en-US es-ES es-MX fi fr-CA fr-FR gu-IN he hi hr hu
id it ja kn-IN ko ml-IN mr-IN ms nl-NL no or-IN pa-IN pl pt-BR pt-PT ro ru sk sl-SI sv ta-IN te-IN
th tr uk ur-PK vi zh-Hans zh-Hant
"""
LOCALES = frozenset(_LOCALES.split())


def add(store: Base, version: Record, locale: str, values: dict[str, Any]) -> Record:
    """Raises Trouble."""
    _check_locale(locale)
    if version["appVersionState"] not in standing.EDITABLE:
        raise wrong_state("Localizations cannot be added at this time")
    known = store.records.related(version, "appStoreVersionLocalizations")
    if any(one["locale"] == locale for one in known):
        words = f"The language {locale} was added already."
        raise invalid("locale", words, "DUPLICATE")
    check(values)
    _check_state(store, version, values)
    made = localization(store.records, version, locale)
    made.attributes |= values
    return made


def change(store: Base, found: Record, values: dict[str, Any]) -> None:
    """Raises Trouble."""
    version = store.records.one(found, "appStoreVersion")
    check(values)
    if version:
        _check_state(store, version, values)
    found.attributes |= values


def remove(store: Base, found: Record) -> None:
    """Raises Trouble."""
    version = store.records.one(found, "appStoreVersion")
    if version and version["appVersionState"] not in standing.EDITABLE:
        raise wrong_state("Localizations cannot be deleted at this time")
    app = store.records.one(version, "app") if version else None
    if app and app["primaryLocale"] == found["locale"]:
        raise unfit("appStoreVersion", "The primary language cannot be deleted.")
    store.records.remove(found)


def _check_state(store: Base, version: Record, values: dict[str, Any]) -> None:
    state = version["appVersionState"]
    for name in values:
        if state == standing.REPLACED or name not in _changeable(state):
            raise wrong_state(f"Attribute '{name}' cannot be edited at this time")
    if values.get("whatsNew") and standing.is_first(store, version):
        raise wrong_state("Attribute 'whatsNew' cannot be edited at this time")


def _changeable(state: str) -> tuple[str, ...]:
    if state in standing.EDITABLE:
        return (*LIMITS, "keywords")
    if state in ("READY_FOR_REVIEW", "WAITING_FOR_REVIEW"):
        return ("promotionalText", "supportUrl", "marketingUrl")
    return ("promotionalText",)


def check(values: dict[str, Any]) -> None:
    """Raises Trouble: too long, or with characters that Apple does not take."""
    for name, limit in LIMITS.items():
        text = values.get(name) or ""
        if len(text) > limit:
            words = f"The attribute '{name}' must not be longer than {limit} characters."
            raise invalid(name, words, "TOO_LONG")
    if len((values.get("keywords") or "").encode()) > KEYWORD_BYTES:
        raise invalid("keywords", "Keywords must not be longer than 100 bytes.", "TOO_LONG")
    if len((values.get("notes") or "").encode()) > NOTE_BYTES:
        raise invalid("notes", "Notes must not be longer than 4000 bytes.", "TOO_LONG")
    if has_emoji(values.get("whatsNew") or ""):
        detail = "The attribute 'whatsNew' contains invalid characters."
        raise invalid("whatsNew", detail, "INVALID_CHARACTERS")


def has_emoji(text: str) -> bool:
    return any(unicodedata.category(one) == "So" and ord(one) > 0x2190 for one in text)


def _check_locale(locale: str) -> None:
    if locale not in LOCALES:
        raise invalid("locale", f"The language '{locale}' is not a valid locale.")


def add_beta(store: Base, build: Record, locale: str, text: str | None) -> Record:
    """What testers of a build should try, in one language. Raises Trouble."""
    _check_locale(locale)
    known = store.records.related(build, "betaBuildLocalizations")
    if any(one["locale"] == locale for one in known):
        raise invalid("locale", f"The language {locale} was added already.", "DUPLICATE")
    check({"whatsNew": text})
    made = store.records.add("betaBuildLocalizations", locale=locale, whatsNew=text)
    made.one["build"] = build.key
    return made


def add_review_detail(store: Base, version: Record, values: dict[str, Any]) -> Record:
    """Raises Trouble."""
    if store.records.one(version, "appStoreReviewDetail"):
        raise unfit("appStoreVersion", "The version has review details already.")
    check(values)
    made = store.records.add("appStoreReviewDetails", **values)
    made.one["appStoreVersion"] = version.key
    return made


def change_review_detail(store: Base, found: Record, values: dict[str, Any]) -> None:
    version = store.records.one(found, "appStoreVersion")
    if version and version["appVersionState"] in standing.GONE:
        raise wrong_state("Review details cannot be edited at this time")
    check(values)
    found.attributes |= values
