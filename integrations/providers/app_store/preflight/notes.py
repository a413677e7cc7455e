"""Is there a text of what is new in each language of the version, and does Apple take it?"""

from __future__ import annotations

from collections.abc import Mapping

from ..pages import version_page
from ..resources import Resource
from ..texts import by_locale, written
from ..words import NOTES_LIMIT
from .facts import Facts
from .made import Checks, failed, warning


def notes(facts: Facts) -> Checks:
    yield from _too_long(facts)
    if facts.model is None or facts.is_submitted:
        return
    there = by_locale(facts.localizations)
    yield from _unknown(facts, there)
    if facts.earlier:
        yield from _missing(facts, there)
    elif facts.plan.notes:
        yield warning(
            "notes",
            "first_version",
            "The first version of an app has no text about what is new.",
            "The text is not used.",
            url=version_page(facts.app.id),
        )


def _too_long(facts: Facts) -> Checks:
    for locale, text in facts.plan.notes.items():
        if len(text) > NOTES_LIMIT:
            yield failed(
                "notes",
                "notes_too_long",
                f"What is new in {locale} has {len(text):,} characters; Apple takes "
                f"{NOTES_LIMIT:,}.",
                "Shorten it.",
                url=version_page(facts.app.id),
                subject=locale,
            )


def _unknown(facts: Facts, there: Mapping[str, Resource]) -> Checks:
    for locale in sorted(facts.plan.notes.keys() - there.keys()):
        yield warning(
            "notes",
            "locale_unknown",
            f"The version has no language {locale}, so its text is not used.",
            "Add the language in App Store Connect, or use one of those there: "
            f"{', '.join(sorted(there)) or 'none'}.",
            url=version_page(facts.app.id),
            subject=locale,
        )


def _missing(facts: Facts, there: Mapping[str, Resource]) -> Checks:
    """A new version begins without the texts of the one before."""
    for locale, localization in sorted(there.items()):
        kept = written(localization) if facts.own else ""
        if not (facts.plan.notes.get(locale) or kept).strip():
            yield failed(
                "notes",
                "notes_missing",
                f"Nothing says what is new in {locale}.",
                "Apple wants a text in each language of the app.",
                url=version_page(facts.app.id),
                subject=locale,
            )
