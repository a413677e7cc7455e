"""Each blocker, and that all of them are reported at once."""

from datetime import UTC, datetime

import pytest
from django.test import override_settings

from integrations.providers.app_store.provider import AppStore
from integrations.providers.base import Level
from integrations.providers.stores import ReleaseType
from integrations.providers.tests.wire import Reply

from . import answers
from .answers import APP, BUILDS, GROUPS, SUBMISSIONS, VERSIONS, document, make, plan, refusal

NOTES = {"en-US": "Faster.", "de-DE": "Schneller."}


@pytest.fixture(autouse=True)
def app_store_is_here(wire):
    answers.tell(wire)
    with override_settings(APP_STORE_CONNECT_URL=wire.url):
        yield


def checks(**changes):
    return list(make().preflight(plan(**{"notes": NOTES, **changes})))


def found(**changes):
    """Codes of what is not in order, by check."""
    return {(c.name, c.code) for c in checks(**changes) if not c.ok}


def one(code, **changes):
    [check] = [check for check in checks(**changes) if check.code == code]
    return check


def test_nothing_is_in_the_way_and_every_check_has_a_name(wire):
    names = [check.name for check in checks()]
    assert found() == set()
    assert len(set(names)) == len(names)
    assert set(names) <= set(AppStore.preflight_names)
    assert {seen.method for seen in wire.seen} == {"GET"}


def test_what_apple_does_not_tell_is_neither_good_nor_bad():
    assert [check.name for check in checks() if not check.tested] == ["role", "rest"]


@pytest.mark.parametrize(
    ("changes", "code", "level"),
    [
        ({"processingState": "PROCESSING"}, "build_processing", Level.WARNING),
        ({"has_detail": False}, "build_processing", Level.WARNING),
        ({"processingState": "FAILED"}, "build_invalid", Level.ERROR),
        ({"processingState": "INVALID"}, "build_invalid", Level.ERROR),
        ({"expired": True}, "build_expired", Level.ERROR),
        ({"buildAudienceType": "INTERNAL_ONLY"}, "internal_only", Level.ERROR),
    ],
)
def test_the_build_is_processed_and_fit_for_the_store(wire, changes, code, level):
    wire.routes[BUILDS] = document([answers.build(**changes)])
    check = one(code)
    assert (check.name, check.level) == ("build", level)
    assert check.url == "https://appstoreconnect.apple.com/apps/6400000002/testflight/ios"


def test_the_build_is_sought_by_number_version_and_platform(wire):
    checks()
    query = wire.last(BUILDS).query
    assert query["filter[version]"] == "57"
    assert query["filter[preReleaseVersion.version]"] == "1.5.0"
    assert query["filter[preReleaseVersion.platform]"] == "IOS"
    assert query["filter[app]"] == "6400000002"


def upload(state, *descriptions):
    errors = [{"code": "90189", "description": text} for text in descriptions]
    return answers.resource("buildUploads", "u1", state={"state": state, "errors": errors})


@pytest.mark.parametrize(
    ("uploads", "code", "words"),
    [
        ([], "build_missing", "no build 57 of version 1.5.0"),
        ([upload("PROCESSING")], "build_processing", "still processing"),
        ([upload("FAILED", "Redundant Binary Upload.")], "build_invalid", "Redundant Binary"),
    ],
)
def test_a_build_that_is_not_there_yet_is_sought_among_the_uploads(wire, uploads, code, words):
    wire.routes[BUILDS] = document([])
    wire.routes[f"{APP}/buildUploads"] = document(uploads)
    assert words in one(code).message


@pytest.mark.parametrize(
    ("answer", "declared", "code"),
    [
        (None, None, "encryption_unanswered"),
        (None, True, None),
        (False, None, None),
        (False, False, None),
        (False, True, "encryption_differs"),
        (True, False, "encryption_differs"),
    ],
)
def test_a_person_answers_about_encryption(wire, answer, declared, code):
    wire.routes[BUILDS] = document([answers.build(usesNonExemptEncryption=answer)])
    expected = {("encryption", code)} if code else set()
    assert found(uses_encryption=declared) == expected


@pytest.mark.parametrize(
    ("name", "state", "code"),
    [
        ("1.4.5", "PREPARE_FOR_SUBMISSION", "other_version_open"),
        ("1.4.5", "DEVELOPER_REJECTED", "other_version_open"),
        ("1.4.5", "IN_REVIEW", "other_version_submitted"),
        ("1.4.5", "PENDING_DEVELOPER_RELEASE", "other_version_submitted"),
        ("1.5", "READY_FOR_DISTRIBUTION", "version_too_low"),
        ("1.10.0", "READY_FOR_DISTRIBUTION", "version_too_low"),
    ],
)
def test_another_version_is_in_the_way(wire, name, state, code):
    answers.tell(wire, answers.version(name, state))
    wire.routes[f"/v1/appStoreVersions/v{name}/appStoreReviewDetail"] = wire.routes[
        "/v1/appStoreVersions/v1.4.0/appStoreReviewDetail"
    ]
    wire.routes[answers.localizations_of(name)] = wire.routes[answers.localizations_of("1.4.0")]
    assert found() == {("version", code)}


@pytest.mark.parametrize("state", ["READY_FOR_DISTRIBUTION", "REPLACED_WITH_NEW_VERSION"])
def test_an_earlier_version_is_not_in_the_way(wire, state):
    answers.tell(wire, answers.version("1.3.9", state))
    assert found() == set()


@pytest.mark.parametrize(
    ("number", "code", "level"),
    [
        ("57", "already_submitted", Level.WARNING),
        ("56", "other_build_submitted", Level.ERROR),
    ],
)
def test_what_somebody_submitted_by_hand_is_told(wire, number, code, level):
    own = answers.version(state="WAITING_FOR_REVIEW", attached=answers.build(number))
    answers.tell(wire, own, submissions=[answers.submission("WAITING_FOR_REVIEW", own)])
    assert one(code).level is level
    assert found(notes={}) == {("version", code)}


OTHER = answers.version("1.4.5", "REJECTED")
OWN = answers.version(state="REJECTED")


@pytest.mark.parametrize(
    ("state", "inside", "code"),
    [
        ("UNRESOLVED_ISSUES", OTHER, "unresolved_issues"),
        ("IN_REVIEW", OTHER, "other_submission"),
        ("CANCELING", OTHER, "still_withdrawing"),
        ("UNRESOLVED_ISSUES", OWN, "rejected_before"),
        ("COMPLETE", OTHER, None),
        ("IN_REVIEW", None, None),
        ("UNRESOLVED_ISSUES", None, None),
    ],
)
def test_only_a_submission_of_another_version_is_in_the_way(wire, state, inside, code):
    answers.tell(wire, OWN, submissions=[answers.submission(state, inside)])
    assert found() == ({("submission", code)} if code else set())
    if code:
        assert one(code).url.endswith("/distribution/reviewsubmissions/details/s1")


def test_a_rejected_companion_has_to_be_resolved_there(wire):
    own = answers.version(state="ACCEPTED", attached=answers.build())
    answers.tell(wire, own, submissions=[answers.submission("UNRESOLVED_ISSUES", own)])
    assert one("other_item_rejected").level is Level.ERROR


def test_other_items_of_the_submission_being_prepared_are_told(wire):
    answers.tell(wire, OWN, submissions=[answers.submission("READY_FOR_REVIEW", OWN)])
    items = [answers.item("READY_FOR_REVIEW", OWN), answers.item("READY_FOR_REVIEW", None, "i2")]
    wire.routes["/v1/reviewSubmissions/s1/items"] = document(items)
    assert one("other_items").level is Level.WARNING
    wire.routes["/v1/reviewSubmissions/s1/items"] = document(items[:1])
    assert found() == set()


@pytest.mark.parametrize(
    ("notes", "codes"),
    [
        ({"en-US": "x" * 4000, "de-DE": "y"}, set()),
        ({"en-US": "x" * 4001, "de-DE": "y"}, {("notes_too_long", "en-US")}),
        ({"en-US": "x"}, {("notes_missing", "de-DE")}),
        ({"en-US": "x", "de-DE": " "}, {("notes_missing", "de-DE")}),
        ({**NOTES, "fr-FR": "z"}, {("locale_unknown", "fr-FR")}),
        ({}, {("notes_missing", "de-DE"), ("notes_missing", "en-US")}),
    ],
)
def test_every_language_says_what_is_new(notes, codes):
    assert {(c.code, c.subject) for c in checks(notes=notes) if not c.ok} == codes


def test_texts_that_the_version_has_are_kept(wire):
    answers.tell(wire, answers.version())
    there = [answers.localization("en-US", "Faster."), answers.localization("de-DE", "Neu.")]
    wire.routes[answers.localizations_of("1.5.0")] = document(there)
    assert found(notes={}) == set()


@pytest.mark.parametrize(
    ("states", "code", "level"),
    [
        ([], "screenshots_missing", Level.ERROR),
        (["COMPLETE", "FAILED"], "screenshots_failed", Level.ERROR),
        (["UPLOAD_COMPLETE", "COMPLETE"], "screenshots_processing", Level.WARNING),
    ],
)
def test_screenshots_of_the_first_language_are_there_and_processed(wire, states, code, level):
    wire.routes[answers.SHOTS] = answers.shots(*states)
    assert found() == {("screenshots", code)}
    assert one(code).level is level


def test_a_first_version_has_nothing_new_and_no_phases(wire):
    wire.routes[VERSIONS] = document([answers.version()])
    assert found(notes={}) == set()
    assert found() == {("notes", "first_version")}
    assert found(notes={}, phased=True) == {("release_type", "phased_first_version")}


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (None, {("release_type", "release_date")}),
        (datetime(2020, 1, 1, tzinfo=UTC), {("release_type", "release_date")}),
        (answers.LATER, set()),
    ],
)
def test_a_scheduled_release_needs_a_time_in_the_future(at, expected):
    assert found(release_type=ReleaseType.SCHEDULED, release_at=at) == expected


def test_a_phased_release_of_another_hand_is_told(wire):
    answers.tell(wire, answers.version(phased=answers.phased("INACTIVE")))
    assert found() == {("release_type", "phased_outside")}
    assert found(phased=True) == set()


def test_open_questions_of_the_app_are_all_named(wire):
    wire.routes[f"{APP}/appInfos"] = document(
        [answers.info(category="", lootBox=None, advertising=None)]
    )
    wire.routes[APP] = document(answers.about(contentRightsDeclaration=None))
    wire.routes["/v1/appStoreVersions/v1.4.0/appStoreReviewDetail"] = document(None)
    assert found() == {
        ("age_rating", "age_rating_unanswered"),
        ("app_information", "category_missing"),
        ("app_information", "content_rights_missing"),
        ("review_contact", "contact_missing"),
    }
    assert "advertising, loot boxes." in one("age_rating_unanswered").message
    urls = {check.url for check in checks() if not check.ok}
    assert all(url.startswith("https://appstoreconnect.apple.com/apps/6400000002/") for url in urls)


def test_somebody_has_the_copyright(wire):
    wire.routes[VERSIONS] = document([answers.LIVE, answers.version(copyright=None)])
    assert found() == {("app_information", "copyright_missing")}


def test_a_demo_account_is_missing_only_if_there_is_a_login(wire):
    detail = {**answers.CONTACT, "demoAccountRequired": True}
    route = "/v1/appStoreVersions/v1.4.0/appStoreReviewDetail"
    wire.routes[route] = document(answers.resource("appStoreReviewDetails", "r1", **detail))
    assert "demo account" in one("contact_missing").message


def test_internal_testers_need_nothing_else():
    assert found(groups=["Team"]) == set()


@pytest.mark.parametrize(
    ("path", "reply", "code"),
    [
        (GROUPS, document([answers.group("Public")]), "group_missing"),
        (f"{APP}/betaAppReviewDetail", document(None), "beta_contact_missing"),
        (f"{APP}/betaAppLocalizations", document([]), "beta_information_missing"),
    ],
)
def test_external_testers_need_more(wire, path, reply, code):
    wire.routes[path] = reply
    assert found(groups=["Team", "Public"]) == {("testers", code)}


def test_another_build_in_beta_review_is_told(wire):
    def builds(seen):
        is_review = "filter[betaAppReviewSubmission.betaReviewState]" in seen.query
        return document([answers.build("56" if is_review else "57")])

    wire.routes[BUILDS] = builds
    assert one("another_build_in_review", groups=["Public"]).level is Level.WARNING


@pytest.mark.parametrize(
    ("reply", "code", "page"),
    [
        (
            refusal(("FORBIDDEN.REQUIRED_AGREEMENTS_MISSING_OR_EXPIRED", ""), status=403),
            "agreement_missing",
            "/business",
        ),
        (refusal(("FORBIDDEN_ERROR", ""), status=403), "forbidden", "/access/integrations/api"),
        (
            refusal(("NOT_AUTHORIZED", ""), status=401),
            "bad_credentials",
            "/access/integrations/api",
        ),
        (Reply(status=503), "server_error", "/apps"),
    ],
)
def test_without_the_app_nothing_else_is_asked(wire, reply, code, page):
    wire.routes[APP] = reply
    [check] = checks()
    assert (check.name, check.code) == ("app", code)
    assert check.url == f"https://appstoreconnect.apple.com{page}"
    assert len(wire.seen) == 1


def test_one_failed_request_hides_no_other_check(wire):
    wire.routes[SUBMISSIONS] = Reply(status=503)
    wire.routes[BUILDS] = document([])
    assert found() == {
        ("submission", "server_error"),
        ("build", "build_missing"),
        ("encryption", "encryption_unanswered"),
    }


def test_an_unknown_app_id_is_looked_up(wire):
    app = answers.about()
    wire.routes["/v1/apps"] = document([answers.about(bundleId="com.example.app.beta"), app])
    assert [c.code for c in make(app_id="").preflight(plan(notes=NOTES)) if not c.ok] == []
    wire.routes["/v1/apps"] = document([])
    [check] = make(app_id="").preflight(plan())
    assert check.code == "app_not_visible"


def in_languages(wire, pictures):
    """`pictures`: for each language the states of the pictures of each device."""
    answers.tell(wire, answers.version())
    listed = []
    for locale, devices in pictures.items():
        text = answers.localization(locale, "Faster.")
        sets = [answers.shots_of(device, states) for device, states in devices.items()]
        listed.append({**text, "relationships": {"appScreenshotSets": {"data": sets}}})
        wire.routes[f"/v1/appStoreVersionLocalizations/l-{locale}/appScreenshotSets"] = document(
            sets
        )
    wire.routes[answers.localizations_of("1.5.0")] = document(listed)


def shots_found():
    return {(c.code, c.subject): c for c in checks(notes={}) if c.name == "screenshots"}


IPHONE, IPAD = "APP_IPHONE_67", "APP_IPAD_PRO_3GEN_129"


def test_screenshots_of_every_language_and_device_are_looked_at(wire):
    in_languages(
        wire,
        {
            "en-US": {IPHONE: ["COMPLETE"], IPAD: ["COMPLETE"]},
            "de-DE": {IPHONE: ["FAILED"]},
            "fr-FR": {IPHONE: ["UPLOAD_COMPLETE"], IPAD: ["COMPLETE"]},
            "it-IT": {},
        },
    )
    seen = shots_found()
    assert set(seen) == {
        ("screenshots_failed", "de-DE"),
        ("screenshots_of_first_language", "de-DE"),
        ("screenshots_processing", "fr-FR"),
        ("ok", ""),
    }
    assert "iPhone" in seen["screenshots_failed", "de-DE"].message
    assert "iPad 13″" in seen["screenshots_of_first_language", "de-DE"].message
    assert seen["screenshots_processing", "fr-FR"].is_temporary
    assert seen["ok", ""].message.endswith("it-IT")


def test_the_looks_at_screenshots_are_bounded(wire):
    many = {f"x{n:02}-XX": {IPHONE: ["COMPLETE"]} for n in range(40)}
    in_languages(wire, {"en-US": {IPHONE: ["COMPLETE"]}, **many})
    seen = shots_found()
    assert len([one for one in wire.seen if one.path.endswith("/appScreenshotSets")]) == 12
    assert set(seen) == {("not_testable", "")}
    assert "29 more languages" in seen["not_testable", ""].message
