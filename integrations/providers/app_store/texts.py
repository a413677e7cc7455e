"""Writing the texts of all languages, a request each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from .errors import not_yet
from .resources import Resource

_MOST = 20  # texts that one call writes


def by_locale(localizations: Iterable[Resource]) -> dict[str, Resource]:
    return {one.text("locale"): one for one in localizations}


def written(localization: Resource) -> str:
    text = localization.get("whatsNew")
    return text if isinstance(text, str) else ""


def is_same(one: str, other: str) -> bool:
    """Apart from line ends and blanks around it, which Apple removes."""
    return one.replace("\r\n", "\n").strip() == other.replace("\r\n", "\n").strip()


def differing(notes: Mapping[str, str], there: Mapping[str, Resource]) -> dict[str, str]:
    """The notes that are not in `there` yet, or with another text."""
    return {
        locale: text
        for locale, text in notes.items()
        if locale not in there or not is_same(written(there[locale]), text)
    }


def write(notes: Mapping[str, str], one: Callable[[str, str], None]) -> None:
    """Call `one(locale, text)` for each; after some of them NOT_YET is raised, so that many
    languages do not exceed the time limit."""
    for locale, text in list(notes.items())[:_MOST]:
        one(locale, text)
    if len(notes) > _MOST:
        raise not_yet(
            "texts_remain", f"{len(notes) - _MOST} languages are still to be written.", seconds=1
        )
