"""Everything that stands in the way of a submission, at once.

Apple documents no list of what it checks; these are the refusals that its API can foretell. The
rest comes with the refusal of the last step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from ...base import Check, Level, Outcome, ProviderError
from ...http import guarded
from ...stores import SubmissionPlan
from .. import pages
from ..app import App
from ..errors import LABEL
from .about import age_rating, app_information, review_contact
from .build import build, encryption
from .facts import Facts
from .notes import notes
from .screenshots import screenshots
from .submission import submission
from .testers import testers
from .version import release_type, version

_CHECKS: Mapping[str, Callable[[Facts], Iterable[Check]]] = {
    "build": build,
    "encryption": encryption,
    "testers": testers,
    "version": version,
    "release_type": release_type,
    "submission": submission,
    "notes": notes,
    "screenshots": screenshots,
    "age_rating": age_rating,
    "app_information": app_information,
    "review_contact": review_contact,
}


def preflight(open_app: Callable[[], App], plan: SubmissionPlan) -> Iterator[Check]:
    """Run each check, whatever the others found. If the app cannot be read, nothing can."""
    try:
        facts = guarded(LABEL, lambda: _first_contact(open_app, plan))
    except ProviderError as error:
        yield _failure("app", error)
        return
    yield Check(name="app", ok=True)
    for name, check in _CHECKS.items():
        yield from _passed_or_failed(name, check, facts)
    yield Check.untested("role", "Apple does not report the key's role. It has to be App Manager.")
    yield Check.untested(
        "rest",
        "Apple reports problems with prices, with the answers on privacy, and with screenshots for "
        "each device only when the version is submitted.",
    )


def _first_contact(open_app: Callable[[], App], plan: SubmissionPlan) -> Facts:
    facts = Facts(open_app(), plan)
    _ = facts.about
    return facts


def _passed_or_failed(
    name: str, check: Callable[[Facts], Iterable[Check]], facts: Facts
) -> list[Check]:
    """The checks that failed, or one that passed. A failed request is a failed check, too."""
    try:
        return guarded(LABEL, lambda: list(check(facts))) or [Check(name=name, ok=True)]
    except ProviderError as error:
        return [_failure(name, error)]


def _failure(name: str, error: ProviderError) -> Check:
    """Of a request. Keys and agreements are mended on pages of their own."""
    urls = {
        "agreement_missing": pages.AGREEMENTS,
        "bad_credentials": pages.KEYS,
        "forbidden": pages.KEYS,
    }
    check = replace(Check.from_error(name, error), url=urls.get(error.code, pages.CONSOLE))
    if error.outcome is Outcome.NOT_YET:  # the steps wait for it, too
        return replace(check, level=Level.WARNING, is_temporary=True)
    return check
