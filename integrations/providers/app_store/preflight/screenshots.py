"""Are there pictures in the app's first language, and did Apple take them?

The other languages show these if they have none of their own.
"""

from __future__ import annotations

from dataclasses import replace

from ..pages import version_page
from ..resources import Resource
from ..texts import by_locale
from .facts import Facts
from .made import Checks, failed, warning

_NAME = "screenshots"


def screenshots(facts: Facts) -> Checks:
    first = facts.about.text("primaryLocale") if facts.about else ""
    localization = by_locale(facts.localizations).get(first)
    if facts.is_submitted or localization is None:
        return
    states = [_state(one) for one in _pictures(facts, localization)]
    url = version_page(facts.app.id)
    if not states:
        yield failed(
            _NAME,
            "screenshots_missing",
            f"There are no screenshots in {first}.",
            "Add them in App Store Connect.",
            url=url,
        )
    if "FAILED" in states:
        yield failed(
            _NAME,
            "screenshots_failed",
            f"Apple could not process a screenshot in {first}.",
            "Upload it again in App Store Connect.",
            url=url,
        )
    if any(state not in ("COMPLETE", "FAILED", "") for state in states):
        processing = warning(
            _NAME,
            "screenshots_processing",
            f"Apple is still processing screenshots in {first}.",
            "The submission waits for it.",
            url=url,
        )
        yield replace(processing, is_temporary=True)


def _pictures(facts: Facts, localization: Resource) -> list[Resource]:
    path = f"/v1/appStoreVersionLocalizations/{localization.id}/appScreenshotSets"
    params = {
        "include": "appScreenshots",
        "fields[appScreenshotSets]": "appScreenshots",
        "fields[appScreenshots]": "assetDeliveryState",
    }
    sets = facts.client.many(path, params)
    return [picture for one in sets for picture in one.many("appScreenshots")]


def _state(picture: Resource) -> str:
    """https://developer.apple.com/documentation/appstoreconnectapi/appmediaassetstate"""
    delivery = picture.get("assetDeliveryState")
    return str(delivery.get("state") or "") if isinstance(delivery, dict) else ""
