"""Is another review submission in the way? One without a version, such as of in-app events, is not.

https://developer.apple.com/help/app-store-connect/manage-submissions-to-app-review
"""

from __future__ import annotations

from ..app import version_in
from ..pages import review_page
from ..resources import Resource
from ..words import AT_APPLE, CANCELING, UNRESOLVED, UNSENT
from .facts import Facts
from .made import Checks, failed, warning

_NAME = "submission"


def submission(facts: Facts) -> Checks:
    own = facts.own.id if facts.own else ""
    for one in facts.submissions:
        inside = one.one("appStoreVersionForReview")
        if inside and inside.id != own:
            yield from _of_another_version(facts, one, inside)
        elif inside:
            yield from _of_this_version(facts, one)
        if one.text("state") == UNSENT:
            yield from _sent_along(facts, one, own)


def _of_another_version(facts: Facts, one: Resource, inside: Resource) -> Checks:
    state, url = one.text("state"), review_page(facts.app.id, one.id)
    name = f"version {inside.text('versionString')}".strip()
    if state == UNRESOLVED:
        yield failed(
            _NAME,
            "unresolved_issues",
            f"Apple rejected {name}, and that submission is still open.",
            "Resolve its issues or cancel it in App Store Connect.",
            url=url,
        )
    elif state in AT_APPLE:
        yield failed(
            _NAME,
            "other_submission",
            f"Apple is reviewing {name}, and takes one version at a time.",
            "Wait for the end of that review, or withdraw it.",
            url=url,
        )
    elif state == CANCELING:
        yield warning(
            _NAME,
            "still_withdrawing",
            f"Apple is still withdrawing {name}.",
            "It takes some minutes. The submission waits for it.",
            url=url,
        )


def _of_this_version(facts: Facts, one: Resource) -> Checks:
    url = review_page(facts.app.id, one.id)
    if one.text("state") == UNRESOLVED and facts.is_submitted:
        yield failed(
            _NAME,
            "other_item_rejected",
            "Apple rejected another item that was submitted with this version.",
            "Resolve it or remove it in App Store Connect, and submit the rest there.",
            url=url,
        )
    elif one.text("state") == UNRESOLVED:
        yield warning(
            _NAME,
            "rejected_before",
            "Apple rejected this version before.",
            "Check in the Resolution Center that every issue is mended.",
            url=url,
        )


def _sent_along(facts: Facts, one: Resource, own: str) -> Checks:
    """The submission that is used for the version, and everything that is in it."""
    items = [item for item in facts.app.items(one) if item.text("state") != "REMOVED"]
    others = len(items) - (1 if own and version_in(one) == own else 0)
    if others > 0:
        yield warning(
            _NAME,
            "other_items",
            f"The submission being prepared contains other items ({others}), which are sent "
            "to Apple with this version.",
            "Remove them in App Store Connect if they are not to be reviewed now.",
            url=review_page(facts.app.id, one.id),
        )
