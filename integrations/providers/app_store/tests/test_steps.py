"""What each step sends, and that what is there already is found and not sent again."""

import pytest

from integrations.providers.app_store.provider import AppStore
from integrations.providers.base import Outcome
from integrations.providers.stores import ReleaseType
from integrations.providers.tests.wire import Reply

from . import answers
from .answers import BUILDS, GROUPS, document, plan, refusal
from .stepping import (
    DRAFT,
    NOT_FOUND,
    NOTES,
    app_store_is_here,  # noqa: F401 # a fixture
    created,
    error_of,
    find,
    linked,
    sent,
    take,
)


def test_the_steps_are_those_that_the_plan_needs():
    least = ["build", "version", "attach", "release_type", "review", "item", "submit"]
    assert list(AppStore.steps(plan())) == least
    every = plan(groups=["Team"], notes=NOTES, phased=True, uses_encryption=False)
    assert list(AppStore.steps(every)) == list(AppStore.step_names)


# --- The build ---


@pytest.mark.parametrize(
    ("builds", "outcome"),
    [
        ([], Outcome.NOT_YET),
        ([answers.build(processingState="PROCESSING")], Outcome.NOT_YET),
        ([answers.build(has_detail=False)], Outcome.NOT_YET),
        ([answers.build("570")], Outcome.NOT_YET),
        ([answers.build(processingState="INVALID")], Outcome.REFUSED),
        ([answers.build(expired=True)], Outcome.REFUSED),
    ],
)
def test_the_build_is_waited_for_until_apple_has_processed_it(wire, builds, outcome):
    answers.tell(wire)
    wire.routes[BUILDS] = document(builds)
    for call in (find, take):
        error = error_of("build", call)
        assert error.outcome is outcome
        assert bool(error.retry_after) == (outcome is Outcome.NOT_YET)


def test_an_upload_that_apple_refused_ends_the_waiting(wire):
    answers.tell(wire)
    wire.routes[BUILDS] = document([])
    state = {"state": "FAILED", "errors": [{"description": "Missing icon."}]}
    upload = answers.resource("buildUploads", "u1", state=state)
    wire.routes[f"{answers.APP}/buildUploads"] = document([upload])
    error = error_of("build")
    assert (error.outcome, "Missing icon." in error.message) == (Outcome.REFUSED, True)


@pytest.mark.parametrize("answer", [True, False])
def test_the_answer_about_encryption_is_the_persons(wire, answer):
    answers.tell(wire)
    wire.routes[BUILDS] = document([answers.build(usesNonExemptEncryption=None)])
    wire.routes["/v1/builds/b57"] = document(answers.build())
    assert find("encryption", uses_encryption=answer) is None
    take("encryption", uses_encryption=answer)
    method, path, body = sent(wire)
    assert (method, path) == ("PATCH", "/v1/builds/b57")
    assert body["data"]["attributes"] == {"usesNonExemptEncryption": answer}


def test_an_answer_that_the_build_has_is_found_or_contradicts(wire):
    answers.tell(wire)
    assert find("encryption", uses_encryption=False) == {}
    assert error_of("encryption", find, uses_encryption=True).code == "encryption_differs"


# --- TestFlight ---


def test_groups_that_lack_the_build_get_it(wire):
    answers.tell(wire)
    team, public = answers.group("Team", is_internal=True), answers.group("Public")
    everything = answers.group("All", has_all=True)
    wire.routes[GROUPS] = document([team, public, everything])
    wire.routes[BUILDS] = document([answers.build(groups=[team])])
    wire.routes["/v1/builds/b57/relationships/betaGroups"] = Reply(b"", 204)
    groups = {"groups": ["Team", "Public", "All"]}
    assert find("groups", **groups) is None
    take("groups", **groups)
    assert sent(wire)[2] == {"data": [{"type": "betaGroups", "id": "g-Public"}]}
    wire.routes[BUILDS] = document([answers.build(groups=[team, public])])
    assert find("groups", **groups) == {}


def test_a_missing_group_and_a_build_for_the_team_alone_are_refused(wire):
    answers.tell(wire)
    assert error_of("groups", groups=["Nobody"]).code == "group_missing"
    wire.routes[BUILDS] = document([answers.build(buildAudienceType="INTERNAL_ONLY")])
    assert error_of("groups", groups=["Public"]).code == "internal_only"
    assert {seen.method for seen in wire.seen} == {"GET"}


def test_what_to_test_is_written_or_created_in_each_language(wire):
    answers.tell(wire)
    texts = "/v1/builds/b57/betaBuildLocalizations"
    wire.routes[texts] = document(
        [answers.resource("betaBuildLocalizations", "t1", locale="en-US", whatsNew="Old.")]
    )
    wire.routes["/v1/betaBuildLocalizations/t1"] = document(
        answers.resource("betaBuildLocalizations", "t1")
    )
    created(wire, "betaBuildLocalizations")
    assert find("test_notes", groups=["Team"], notes=NOTES) is None
    take("test_notes", groups=["Team"], notes=NOTES)
    assert wire.last("/v1/betaBuildLocalizations/t1").json["data"]["attributes"] == {
        "whatsNew": "Faster."
    }
    assert wire.last("/v1/betaBuildLocalizations").json["data"] == {
        "type": "betaBuildLocalizations",
        "attributes": {"locale": "de-DE", "whatsNew": "Schneller."},
        "relationships": {"build": linked("builds", "b57")},
    }


@pytest.mark.parametrize(
    ("groups", "external", "expected"),
    [
        (["Team"], "READY_FOR_BETA_SUBMISSION", {}),
        (["Public"], "READY_FOR_BETA_SUBMISSION", None),
        (["Public"], "WAITING_FOR_BETA_REVIEW", {}),
        (["Public"], "IN_BETA_TESTING", {}),
    ],
)
def test_only_external_testers_need_a_beta_review(wire, groups, external, expected):
    answers.tell(wire)
    wire.routes[BUILDS] = document([answers.build(external=external)])
    assert find("beta_review", groups=groups) == expected


@pytest.mark.parametrize(
    "words",
    ["Another build is in review", "Another build of this version is in beta review."],
)
def test_beta_review_waits_for_that_of_another_build(wire, words):
    answers.tell(wire)
    wire.routes["/v1/betaAppReviewSubmissions"] = refusal(
        ("ENTITY_UNPROCESSABLE", words), status=422
    )
    error = error_of("beta_review", groups=["Public"])
    assert (error.outcome, error.code) == (Outcome.NOT_YET, "another_build_in_review")
    assert "expire" in error.hint


# --- The version ---


def test_the_version_is_created_once(wire):
    answers.tell(wire)
    created(wire, "appStoreVersions", "v9")
    assert find("version") is None
    assert take("version") == {"version_id": "v9"}
    assert sent(wire)[2]["data"] == {
        "type": "appStoreVersions",
        "attributes": {
            "platform": "IOS",
            "versionString": "1.5.0",
            "releaseType": "MANUAL",
            "earliestReleaseDate": None,
        },
        "relationships": {"app": linked("apps", "6400000002")},
    }
    answers.tell(wire, DRAFT)
    assert find("version") == {"version_id": "v1.5.0"}
    assert wire.last(answers.VERSIONS).query["filter[platform]"] == "IOS"


@pytest.mark.parametrize("number", [None, "56"])
def test_the_build_is_attached_in_place_of_another(wire, number):
    attached = answers.build(number) if number else None
    answers.tell(wire, answers.version(attached=attached))
    path = "/v1/appStoreVersions/v1.5.0/relationships/build"
    wire.routes[path] = Reply(b"", 204)
    assert find("attach") is None
    take("attach")
    assert sent(wire) == ("PATCH", path, linked("builds", "b57"))
    answers.tell(wire, answers.version(attached=answers.build()))
    assert find("attach") == {}


def test_a_scheduled_release_begins_at_the_next_full_hour(wire):
    answers.tell(wire, DRAFT)
    wire.routes["/v1/appStoreVersions/v1.5.0"] = document(DRAFT)
    scheduled = {"release_type": ReleaseType.SCHEDULED, "release_at": answers.LATER}
    assert find("release_type") == {}
    assert find("release_type", **scheduled) is None
    take("release_type", **scheduled)
    attributes = sent(wire)[2]["data"]["attributes"]
    assert attributes["earliestReleaseDate"] == "2031-05-01T10:00:00Z"
    answers.tell(
        wire,
        answers.version(releaseType="SCHEDULED", earliestReleaseDate="2031-05-01T03:00:00-07:00"),
    )
    assert find("release_type", **scheduled) == {}


def test_only_texts_that_differ_are_written_in_languages_that_are_there(wire):
    answers.tell(wire, DRAFT)
    there = [answers.localization("en-US", "Faster.\n"), answers.localization("de-DE")]
    wire.routes[answers.localizations_of("1.5.0")] = document(there)
    wire.routes["/v1/appStoreVersionLocalizations/l-de-DE"] = document(there[1])
    notes = {**NOTES, "xx": "-"}
    assert find("notes", notes=notes) is None
    take("notes", notes=notes)
    method, path, body = sent(wire)
    assert (method, path) == ("PATCH", "/v1/appStoreVersionLocalizations/l-de-DE")
    assert body["data"]["attributes"] == {"whatsNew": "Schneller."}


def test_a_first_version_gets_no_texts_of_what_is_new(wire):
    answers.tell(wire, DRAFT)
    wire.routes[answers.VERSIONS] = document([DRAFT])
    assert find("notes", notes=NOTES) == {}


@pytest.mark.parametrize("step", ["attach", "notes"])
def test_a_version_is_taken_out_of_its_submission_to_be_changed(wire, step):
    ready = answers.version(state="READY_FOR_REVIEW", attached=answers.build("56"))
    answers.tell(wire, ready, submissions=[answers.submission("READY_FOR_REVIEW", ready)])
    wire.routes["/v1/reviewSubmissions/s1/items"] = document(
        [answers.item("READY_FOR_REVIEW", ready)]
    )
    wire.routes["/v1/reviewSubmissionItems/i1"] = Reply(b"", 204)
    assert find(step, notes=NOTES) is None
    assert error_of(step, notes=NOTES).outcome is Outcome.NOT_YET
    assert sent(wire) == ("DELETE", "/v1/reviewSubmissionItems/i1", None)


def test_many_languages_are_written_in_several_calls(wire):
    answers.tell(wire, DRAFT)
    locales = [f"x{n:02}" for n in range(25)]
    there = {locale: answers.localization(locale) for locale in locales}

    def write(seen):
        locale = seen.path.rpartition("l-")[2]
        there[locale] = answers.localization(locale, seen.json["data"]["attributes"]["whatsNew"])
        return document(there[locale])

    wire.routes[answers.localizations_of("1.5.0")] = lambda _: document(list(there.values()))
    wire.routes |= {f"/v1/appStoreVersionLocalizations/l-{locale}": write for locale in locales}
    notes = dict.fromkeys(locales, "Faster.")
    error = error_of("notes", notes=notes)
    assert (error.outcome, error.code) == (Outcome.NOT_YET, "texts_remain")
    assert find("notes", notes=notes) is None
    take("notes", notes=notes)
    assert find("notes", notes=notes) == {}
    assert sum(seen.method == "PATCH" for seen in wire.seen) == 25


def test_a_version_that_was_just_created_is_waited_for(wire):
    answers.tell(wire, DRAFT)
    wire.routes[answers.localizations_of("1.5.0")] = NOT_FOUND
    wire.routes["/v1/appStoreVersions/v1.5.0/relationships/build"] = NOT_FOUND
    assert error_of("notes", notes=NOTES).outcome is Outcome.NOT_YET
    assert error_of("attach").outcome is Outcome.NOT_YET


def test_the_phased_release_is_made_before_publication(wire):
    answers.tell(wire, DRAFT)
    created(wire, "appStoreVersionPhasedReleases")
    assert find("phased", phased=True) is None
    assert take("phased", phased=True) == {"phased_id": "new"}
    assert sent(wire)[2]["data"]["attributes"] == {"phasedReleaseState": "INACTIVE"}
    answers.tell(wire, answers.version(phased=answers.phased("INACTIVE")))
    assert find("phased", phased=True) == {"phased_id": "p1"}
