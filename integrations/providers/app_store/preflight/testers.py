"""Can the groups of testers get the build?"""

from __future__ import annotations

from ..pages import test_information_page, testflight_page
from ..testflight import INTERNAL_ONLY, chosen, is_external, missing_groups
from .about import missing_contact
from .facts import Facts
from .made import Checks, failed, warning

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
    yield from _other_reviews(facts)


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


def _other_reviews(facts: Facts) -> Checks:
    """Apple reviews one build of a version at a time."""
    params = {
        "filter[app]": facts.app.id,
        "filter[preReleaseVersion.version]": facts.plan.version,
        "filter[betaAppReviewSubmission.betaReviewState]": "WAITING_FOR_REVIEW,IN_REVIEW",
        "fields[builds]": "version",
    }
    for other in facts.client.many("/v1/builds", params):
        if other.text("version") != facts.plan.build:
            yield warning(
                _NAME,
                "another_build_in_review",
                f"Build {other.text('version')} of this version is in beta review, and Apple "
                "reviews one at a time.",
                "The submission waits for it. To be faster, expire that build in TestFlight.",
                url=testflight_page(facts.app.id),
            )
