"""Are there pictures in each language, for each device, and did Apple take them?

A language without pictures of its own shows those of the app's first language, which therefore has
to have some. https://developer.apple.com/help/app-store-connect/manage-app-information/upload-app-previews-and-screenshots
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ...base import Check
from ..client import Params
from ..pages import version_page
from ..resources import Resource
from .facts import Facts
from .made import Checks, failed, warning

_NAME = "screenshots"
# Languages whose pictures are looked at one by one, a request each: the first one, and those that
# have pictures of their own.
MOST_LANGUAGES = 12
_DEVICES = {  # https://developer.apple.com/documentation/appstoreconnectapi/screenshotdisplaytype
    "APP_IPHONE_67": "iPhone 6.9″",
    "APP_IPHONE_65": "iPhone 6.5″",
    "APP_IPHONE_61": "iPhone 6.3″",
    "APP_IPHONE_58": "iPhone 6.1″",
    "APP_IPHONE_55": "iPhone 5.5″",
    "APP_IPHONE_47": "iPhone 4.7″",
    "APP_IPAD_PRO_3GEN_129": "iPad 13″",
    "APP_IPAD_PRO_129": "iPad 12.9″",
    "APP_IPAD_PRO_3GEN_11": "iPad 11″",
    "APP_IPAD_105": "iPad 10.5″",
    "APP_IPAD_97": "iPad 9.7″",
}


@dataclass(frozen=True)
class _Language:
    """The states of its pictures, by the device that they are for."""

    locale: str
    states: Mapping[str, Sequence[str]]


def screenshots(facts: Facts) -> Checks:
    first = facts.about.text("primaryLocale") if facts.about else ""
    listed = {one.text("locale"): one for one in _localizations(facts)}
    if facts.is_submitted or first not in listed:
        return
    own = sorted(locale for locale in listed if locale != first and _devices(listed[locale]))
    looked_at = [_language(facts, listed[locale]) for locale in [first, *own][:MOST_LANGUAGES]]
    url = version_page(facts.app.id)
    if not looked_at[0].states:
        yield failed(
            _NAME,
            "screenshots_missing",
            f"There are no screenshots in {first}.",
            "Add them in App Store Connect: languages without their own show these.",
            url=url,
        )
    yield from _refused(looked_at, url)
    yield from _lacking(looked_at[0], looked_at[1:], url)
    yield from _in_words(first, [lo for lo in listed if lo not in (first, *own)], own, looked_at)


def _localizations(facts: Facts) -> list[Resource]:
    """Of the version, with the devices for which each has pictures: one request for all."""
    if facts.model is None:
        return []
    path = f"/v1/appStoreVersions/{facts.model.id}/appStoreVersionLocalizations"
    params: Params = {
        "include": "appScreenshotSets",
        "fields[appStoreVersionLocalizations]": "locale,appScreenshotSets",
        "fields[appScreenshotSets]": "screenshotDisplayType",
        "limit[appScreenshotSets]": 50,
    }
    return facts.client.many(path, params)


def _devices(localization: Resource) -> list[str]:
    found = localization.many("appScreenshotSets")
    return [one.text("screenshotDisplayType") for one in found]


def _language(facts: Facts, localization: Resource) -> _Language:
    path = f"/v1/appStoreVersionLocalizations/{localization.id}/appScreenshotSets"
    params: Params = {
        "include": "appScreenshots",
        "fields[appScreenshotSets]": "screenshotDisplayType,appScreenshots",
        "fields[appScreenshots]": "assetDeliveryState",
        "limit[appScreenshots]": 10,
    }
    states = {
        one.text("screenshotDisplayType"): [_state(p) for p in one.many("appScreenshots")]
        for one in facts.client.many(path, params)
    }
    return _Language(
        localization.text("locale"), {d: found for d, found in states.items() if found}
    )


def _refused(languages: Iterable[_Language], url: str) -> Iterator[Check]:
    for language in languages:
        if bad := [d for d, states in language.states.items() if "FAILED" in states]:
            yield failed(
                _NAME,
                "screenshots_failed",
                f"Apple could not process a screenshot in {language.locale} for {_named(bad)}.",
                "Upload it again in App Store Connect.",
                url=url,
                subject=language.locale,
            )
        if waiting := [d for d, states in language.states.items() if any(map(_is_open, states))]:
            processing = warning(
                _NAME,
                "screenshots_processing",
                f"Apple is still processing screenshots in {language.locale} for "
                f"{_named(waiting)}.",
                "The submission waits for it.",
                url=url,
                subject=language.locale,
            )
            yield replace(processing, is_temporary=True)


def _lacking(first: _Language, others: Iterable[_Language], url: str) -> Iterator[Check]:
    """Languages that have pictures for some devices only."""
    for language in others:
        lacks = [device for device in first.states if device not in language.states]
        if language.states and lacks:
            yield warning(
                _NAME,
                "screenshots_of_first_language",
                f"In {language.locale} there are no screenshots for {_named(lacks)}, although "
                f"{first.locale} has some.",
                f"Add them in App Store Connect, or users see those of {first.locale} there.",
                url=url,
                subject=language.locale,
            )


def _in_words(
    first: str, without: Sequence[str], own: Sequence[str], looked_at: Sequence[_Language]
) -> Iterator[Check]:
    """Which languages show those of the first one, and which were not looked at."""
    empty = [one.locale for one in looked_at[1:] if not one.states]
    if inherit := sorted([*without, *empty]):
        words = f"Without screenshots of their own, these show those of {first}: "
        yield Check(name=_NAME, ok=True, message=words + ", ".join(inherit))
    if rest := [*own][MOST_LANGUAGES - 1 :]:
        words = f"The screenshots of {len(rest)} more languages were not looked at one by one: "
        yield Check.untested(_NAME, words + ", ".join(rest))


def _named(devices: Iterable[str]) -> str:
    return ", ".join(_DEVICES.get(device, device) for device in sorted(devices))


def _is_open(state: str) -> bool:
    return state not in ("COMPLETE", "FAILED", "")


def _state(picture: Resource) -> str:
    """https://developer.apple.com/documentation/appstoreconnectapi/appmediaassetstate"""
    delivery = picture.get("assetDeliveryState")
    return str(delivery.get("state") or "") if isinstance(delivery, dict) else ""
