"""A refusal as a check: which of the pre-flight's it belongs to, and the page to mend it on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from ..base import Check, Outcome, ProviderError
from ..stores import StepRefused
from .refusals import parts_of

CONSOLE_PAGE = "https://play.google.com/console/developers/app-list"
"""The list of apps: an app's own address contains numbers that the API does not report."""

_PERMISSIONS = "https://play.google.com/console/developers/users-and-permissions"
_PAGES = {
    "api_disabled": "https://console.cloud.google.com/apis/library/androidpublisher.googleapis.com",
    "forbidden": _PERMISSIONS,
    "missing_right": _PERMISSIONS,
}
_SUBJECTS = {
    "bad_version_code": "build",
    "in_review": "review",
    "missing_right": "account",
    "no_countries": "track",
    "first_release": "track",
    "no_upgrade": "build",
    "not_sent_automatically": "review",
    "rollout_in_the_way": "track",
    "superseded": "track",
    "track_not_found": "track",
    "version_code_unknown": "build",
}


def with_page(check: Check) -> Check:
    return check if check.ok else replace(check, url=_PAGES.get(check.code, CONSOLE_PAGE))


def checks_of(error: ProviderError, *, otherwise: str = "validation") -> list[Check]:
    """One for each reason; `otherwise` is the check of reasons that belong to no special one."""
    return [
        with_page(Check.from_error(_SUBJECTS.get(part.code, otherwise), part))
        for part in parts_of(error)
    ]


@contextmanager
def refusals_as_checks() -> Iterator[None]:
    """Around a step or the look for it: a refusal says what has to be mended, and where."""
    try:
        yield
    except ProviderError as error:
        if error.outcome is not Outcome.REFUSED:
            raise
        refused = StepRefused(error.code, error.message, error.hint, checks=checks_of(error))
    else:
        return
    raise refused
