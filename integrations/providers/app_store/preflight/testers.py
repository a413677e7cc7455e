"""Can the groups of testers get the build?"""

from __future__ import annotations

from ..pages import test_information_page, testflight_page
from ..testflight import INTERNAL_ONLY, chosen, is_external, missing_groups, others_in_review
from .about import missing_contact
from .facts import Facts
from .made import Checks, failed

_NAME = "testers"


def testers(facts: Facts) -> Checks:
    if not facts.plan.groups:
        return
    there, url = facts.app.groups(), testflight_page(facts.app.id)
    for group in missing_groups(facts.plan.groups, there):
        yield failed(
            _NAME,
            "group_missing",
            f"TestFlight has no group {group}.",
            "Create it in TestFlight, or choose another one.",
            url=url,
            subject=group,
        )
    if any(map(is_external, chosen(facts.plan.groups, there))):
        yield from _external(facts)


def _external(facts: Facts) -> Checks:
    if facts.build and facts.build.text("buildAudienceType") == INTERNAL_ONLY:
        yield failed(
            _NAME,
            "internal_only",
            "This build was uploaded for internal testing only, so no external group can get it.",
            "Choose internal groups only.",
            url=testflight_page(facts.app.id),
        )
    yield from _test_information(facts)
    yield from others_in_review(facts.app, facts.plan)


def _test_information(facts: Facts) -> Checks:
    """External testers get a build only with these:
    https://developer.apple.com/help/app-store-connect/test-a-beta-version/provide-test-information
    """
    app, url = facts.app.id, test_information_page(facts.app.id)
    detail = facts.client.one(f"/v1/apps/{app}/betaAppReviewDetail")
    if missing := missing_contact(detail):
        yield failed(
            _NAME,
            "beta_contact_missing",
            f"For the beta review, Apple needs: {', '.join(missing)}.",
            "Enter it in TestFlight under Test Information.",
            url=url,
        )
    texts = facts.client.many(f"/v1/apps/{app}/betaAppLocalizations")
    if not any(one.get("description") and one.text("feedbackEmail") for one in texts):
        yield failed(
            _NAME,
            "beta_information_missing",
            "External testers need a description of the app and an email address for feedback.",
            "Enter both in TestFlight under Test Information.",
            url=url,
        )
