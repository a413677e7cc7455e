"""Can the version be created, and published as planned?"""

from __future__ import annotations

from datetime import UTC, datetime

from ...base import Check
from ...stores import ReleaseType
from ..pages import version_page
from ..resources import Resource
from ..steps import attached
from ..words import EDITABLE, ONCE_LIVE
from .facts import Facts, number
from .made import Checks, failed, warning


def version(facts: Facts) -> Checks:
    plan = facts.plan
    if facts.own is not None and facts.is_submitted:
        yield _submitted_already(facts, facts.own)
        return
    for other in facts.versions:
        is_other = other.text("versionString") != plan.version
        if is_other and other.text("appVersionState") not in ONCE_LIVE:
            yield _in_the_way(facts, other)
    live = facts.earlier[0].text("versionString") if facts.earlier else ""
    if live and number(live) >= number(plan.version):
        yield failed(
            "version",
            "version_too_low",
            f"Version {live} is in the App Store already; the next one has to be greater than "
            f"that, and {plan.version} is not.",
            "Create a release with a greater version.",
            url=version_page(facts.app.id, is_live=True),
        )


def _in_the_way(facts: Facts, other: Resource) -> Check:
    name, state = other.text("versionString"), other.text("appVersionState")
    url = version_page(facts.app.id)
    if state in EDITABLE:
        return failed(
            "version",
            "other_version_open",
            f"Version {name} is being prepared, and Apple allows one version at a time.",
            f"Rename it to {facts.plan.version} in App Store Connect, or delete it there.",
            url=url,
        )
    return failed(
        "version",
        "other_version_submitted",
        f"Version {name} is submitted and not in the App Store yet ({state}).",
        "Wait until it is published, or withdraw it.",
        url=url,
    )


def _submitted_already(facts: Facts, own: Resource) -> Check:
    plan, state, build = facts.plan, own.text("appVersionState"), attached(own)
    url = version_page(facts.app.id, is_live=state in ONCE_LIVE)
    message = f"Version {plan.version} was submitted already ({state})"
    if build == plan.build:
        return warning(
            "version",
            "already_submitted",
            f"{message}, with this build.",
            "Nothing is sent again; delivr follows what becomes of it.",
            url=url,
        )
    other = "Create a release with another version."
    return failed(
        "version",
        "other_build_submitted",
        f"{message}, with build {build or '?'} instead of {plan.build}.",
        other if state in ONCE_LIVE else f"Withdraw it in App Store Connect. Or: {other}",
        url=url,
    )


def release_type(facts: Facts) -> Checks:
    plan, name, url = facts.plan, "release_type", version_page(facts.app.id)
    is_scheduled = plan.release_type is ReleaseType.SCHEDULED
    if is_scheduled and (plan.release_at is None or plan.release_at <= datetime.now(UTC)):
        yield failed(
            name,
            "release_date",
            "A scheduled release needs a time in the future.",
            "Choose a later time, or have it published after its approval.",
            url=url,
        )
    if plan.phased and not facts.earlier:
        yield failed(
            name,
            "phased_first_version",
            "The first version of an app cannot be released in phases.",
            "Submit it without a phased release.",
            url=url,
        )
    phased = facts.own.one("appStoreVersionPhasedRelease") if facts.own else None
    if phased is not None and not plan.phased and not facts.is_submitted:
        yield warning(
            name,
            "phased_outside",
            "A phased release was switched on in App Store Connect; delivr leaves it.",
            "Switch it off there if all users are to get this version at once.",
            url=url,
        )
