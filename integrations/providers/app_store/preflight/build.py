"""Is the build there, processed, and allowed in the store?"""

from __future__ import annotations

from dataclasses import replace

from ...base import Check
from ..pages import testflight_page
from ..step import upload_errors
from ..testflight import INTERNAL_ONLY
from .facts import Facts
from .made import Checks, failed, warning


def build(facts: Facts) -> Checks:
    plan, found = facts.plan, facts.build
    name = f"build {plan.build} of version {plan.version}"
    if found is None:
        yield _missing(facts, name)
        return
    state = found.text("processingState")
    if state in ("FAILED", "INVALID"):
        yield _bad(facts, "build_invalid", f"Apple could not process {name}.")
    elif state != "VALID" or found.one("buildBetaDetail") is None:
        yield _processing(facts, name)
    if found.get("expired") is True:
        yield _bad(facts, "build_expired", f"The {name} has expired.")
    if found.text("buildAudienceType") == INTERNAL_ONLY:
        yield _bad(facts, "internal_only", f"The {name} was uploaded for internal testing only.")


def _missing(facts: Facts, name: str) -> Check:
    upload = facts.app.upload(facts.plan)
    if reasons := upload_errors(upload, facts.client.secrets):
        return _bad(facts, "build_invalid", f"Apple refused {name}: {reasons}")
    if upload is not None:
        return _processing(facts, name)
    return failed(
        "build",
        "build_missing",
        f"App Store Connect has no {name}.",
        "Check that the pipeline uploads it, and that both numbers are those of the build.",
        url=testflight_page(facts.app.id),
    )


def _processing(facts: Facts, name: str) -> Check:
    check = warning(
        "build",
        "build_processing",
        f"Apple is still processing {name}.",
        "Usually it takes up to half an hour. The submission waits for it.",
        url=testflight_page(facts.app.id),
    )
    return replace(check, is_temporary=True)


def _bad(facts: Facts, code: str, message: str) -> Check:
    url = testflight_page(facts.app.id)
    return failed("build", code, message, "Upload another build.", url=url)


def encryption(facts: Facts) -> Checks:
    """A legal statement, so nobody but a person answers it."""
    declared, url = facts.plan.uses_encryption, testflight_page(facts.app.id)
    answer = facts.build.get("usesNonExemptEncryption") if facts.build else None
    if answer is None and declared is None:
        yield failed(
            "encryption",
            "encryption_unanswered",
            "Nobody has said yet whether the app uses non-exempt encryption.",
            "Answer it here, or in TestFlight, or for all builds by ITSAppUsesNonExemptEncryption "
            "in Info.plist.",
            url=url,
        )
    elif None not in (answer, declared) and answer is not declared:
        yield failed(
            "encryption",
            "encryption_differs",
            f"Build {facts.plan.build} says itself that it uses {'' if answer else 'no '}"
            "non-exempt encryption, unlike the answer given here.",
            "Give the same answer here, or upload a build that says otherwise.",
            url=url,
        )
