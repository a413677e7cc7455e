"""A trigger: what is sent, and what each answer says of it."""

import pytest

from integrations.providers.base import Outcome, ProviderError
from integrations.providers.ci import BuildState, BuildStatus
from integrations.providers.jenkins.tests.answers import (
    BUILD_PERMISSION,
    LOCATION,
    PATH,
    TRIGGER,
    HastyJenkins,
    ok,
    page,
    payload,
    trigger,
)
from integrations.providers.tests.wire import LOGIN_PAGE, Reply


def test_a_trigger_sends_only_declared_parameters_and_takes_the_number_of_the_item(jenkins, wire):
    assert trigger(jenkins()) == BuildState(status=BuildStatus.QUEUED, queue_id=7041)
    seen = wire.last(TRIGGER)
    assert seen.query == {"delay": "0sec"}
    assert seen.form == {
        "VERSION": "1.5.0",
        "BRANCH": "release/1.5.0",
        "DELIVR_BUILD_ID": "bld_sought",
    }
    assert wire.count(TRIGGER) == 1


def test_a_job_without_parameters_is_triggered_by_build(jenkins, wire):
    wire.routes[f"{PATH}/api/json"] = ok(payload("job__never_run"))
    assert trigger(jenkins()).queue_id == 7041
    assert (wire.count(f"{PATH}/build"), wire.count(TRIGGER)) == (1, 0)
    assert wire.last(f"{PATH}/build").form == {}


def test_a_resent_trigger_that_was_merged_is_ours(jenkins, wire):
    wire.routes[TRIGGER] = ok(b"", 303, **LOCATION)
    assert trigger(jenkins()) == BuildState(status=BuildStatus.QUEUED, queue_id=7041)


def test_a_merge_without_our_id_may_be_with_somebody_elses(jenkins, wire):
    wire.routes[f"{PATH}/api/json"] = ok(payload("job__without_build_id"))
    wire.routes[TRIGGER] = ok(b"", 303, **LOCATION)
    assert trigger(jenkins()).is_shared
    wire.routes[TRIGGER] = ok(b"", 201, **LOCATION)
    assert not trigger(jenkins()).is_shared


def test_a_silent_merge_of_a_job_without_parameters_is_noticed(jenkins, wire):
    wire.routes[f"{PATH}/api/json"] = ok(payload("job__queued"))
    assert trigger(jenkins()).is_shared


CRUMB = page("No valid crumb was included in the request", 403)


@pytest.mark.parametrize(
    ("reply", "code", "outcome"),
    [
        (ok(b"", 201), "no_queue_id", Outcome.UNCERTAIN),
        (ok(b"", 201, Location="http://x/job/ios/"), "no_queue_id", Outcome.UNCERTAIN),
        (ok(b"", 201, Location="http://x/queue/item/x/"), "no_queue_id", Outcome.UNCERTAIN),
        (ok(b"", 303, Location="http://x/queue/item/7/../../"), "no_queue_id", Outcome.UNCERTAIN),
        (ok(b"", 302, Location="."), "not_scheduled", Outcome.REFUSED),
        (ok(b"", 307, Location="http://169.254.169.254/"), "not_scheduled", Outcome.REFUSED),
        (page("ios is not parameterized", 400), "parameters_changed", Outcome.NOT_SENT),
        (page("This build is not parameterized!", 500), "parameters_changed", Outcome.NOT_SENT),
        (page("Nothing is submitted", 400), "parameters_changed", Outcome.NOT_SENT),
        (page("Bad Request", 400), "refused", Outcome.REFUSED),
        (page("Invalid token", 401), "bad_credentials", Outcome.CREDENTIALS),
        (page("Access Denied", 403, **BUILD_PERMISSION), "forbidden", Outcome.CREDENTIALS),
        (CRUMB, "crumb_required", Outcome.CREDENTIALS),
        (page("Not Found", 404), "job_unreadable", Outcome.NOT_SENT),
        (page("This URL requires POST", 405, Allow="POST"), "refused", Outcome.REFUSED),
        (page("ios is not buildable", 409), "disabled", Outcome.REFUSED),
        (page("Illegal choice for parameter TRACK: x", 500), "illegal_choice", Outcome.REFUSED),
        (page("Oops! A problem occurred", 500), "server_error", Outcome.UNCERTAIN),
        (Reply(b"Bad Gateway", 502), "server_error", Outcome.UNCERTAIN),
        (Reply(b"", 503, {"Retry-After": "30"}), "server_error", Outcome.UNCERTAIN),
        (Reply(b"", 429, {"Retry-After": "30"}), "rate_limited", Outcome.RATE_LIMITED),
        (page("Console", 200), "garbage", Outcome.UNCERTAIN),
        (LOGIN_PAGE, "garbage", Outcome.UNCERTAIN),
        (Reply(fault="reset"), "reset", Outcome.UNCERTAIN),
    ],
)
def test_each_answer_to_a_trigger_says_whether_it_may_have_happened(
    jenkins, wire, reply, code, outcome
):
    wire.routes[TRIGGER] = reply
    with pytest.raises(ProviderError) as caught:
        trigger(jenkins())
    assert (caught.value.code, caught.value.outcome) == (code, outcome)
    assert caught.value.message
    assert wire.count(TRIGGER) == 1  # and it is never sent twice


def test_a_rate_limit_says_for_how_long(jenkins, wire):
    wire.routes[TRIGGER] = Reply(b"", 429, {"Retry-After": "30"})
    with pytest.raises(ProviderError) as caught:
        trigger(jenkins())
    assert caught.value.retry_after == 30


def test_an_answer_that_never_comes_is_uncertain(jenkins, wire):
    wire.routes[TRIGGER] = Reply(fault="hang")
    with pytest.raises(ProviderError) as caught:
        trigger(jenkins(HastyJenkins))
    assert (caught.value.code, caught.value.outcome) == ("timeout", Outcome.UNCERTAIN)


@pytest.mark.parametrize(
    ("reply", "code", "outcome"),
    [
        (Reply(fault="reset"), "reset", Outcome.NOT_SENT),
        (Reply(b"", 502), "server_error", Outcome.NOT_SENT),
        (LOGIN_PAGE, "not_jenkins", Outcome.NOT_SENT),
        (page("Invalid token", 401), "bad_credentials", Outcome.CREDENTIALS),
        (page("Not Found", 404), "job_unreadable", Outcome.NOT_SENT),
        (ok(payload("job__disabled")), "disabled", Outcome.REFUSED),
        (ok(payload("job__folder")), "not_a_job", Outcome.REFUSED),
        (ok(payload("job__without_version")), "parameters_missing", Outcome.REFUSED),
    ],
)
def test_trouble_before_the_trigger_is_never_uncertain(jenkins, wire, reply, code, outcome):
    wire.routes[f"{PATH}/api/json"] = reply
    with pytest.raises(ProviderError) as caught:
        trigger(jenkins())
    assert (caught.value.code, caught.value.outcome) == (code, outcome)
    assert all(seen.method == "GET" for seen in wire.seen)


def with_choices(*choices, kind="ChoiceParameterDefinition"):
    names = ("VERSION", "BRANCH", "DELIVR_BUILD_ID")
    definitions = [{"name": name, "type": "StringParameterDefinition"} for name in names]
    definitions[1] |= {"type": kind, "choices": list(choices)}
    return ok({**payload("job__ready"), "property": [{"parameterDefinitions": definitions}]})


def test_a_value_that_the_list_lacks_is_refused_by_name_and_nothing_is_sent(jenkins, wire):
    wire.routes[f"{PATH}/api/json"] = with_choices("main", "develop")
    with pytest.raises(ProviderError, match="BRANCH") as caught:
        trigger(jenkins())
    assert (caught.value.code, caught.value.outcome) == ("illegal_choice", Outcome.REFUSED)
    assert wire.count(TRIGGER) == 0


@pytest.mark.parametrize(
    "job",
    [
        with_choices("main", "release/1.5.0"),
        with_choices(),
        with_choices("main", kind="ExtensibleChoiceParameterDefinition"),
        with_choices(*map(str, range(500))),
    ],
    ids=["listed", "no list", "another kind", "a list that was cut"],
)
def test_what_jenkins_may_take_is_sent(jenkins, wire, job):
    wire.routes[f"{PATH}/api/json"] = job
    assert trigger(jenkins()).queue_id == 7041


LOGIN = {"Location": "https://ci.example.com/ci/securityRealm/commenceLogin?from=%2F"}


@pytest.mark.parametrize("path", [f"{PATH}/api/json", TRIGGER])
def test_a_login_that_takes_no_notice_of_the_token_is_about_credentials(jenkins, wire, path):
    wire.routes[path] = ok(b"", 302, **LOGIN)
    with pytest.raises(ProviderError) as caught:
        trigger(jenkins())
    assert (caught.value.code, caught.value.outcome) == ("login_redirect", Outcome.CREDENTIALS)


def test_a_jenkins_whose_headers_a_proxy_hides_is_known_by_its_json(jenkins, wire):
    wire.routes[f"{PATH}/api/json"] = Reply(payload("job__ready"))
    assert trigger(jenkins()).queue_id == 7041


def test_what_a_build_can_be_given_is_listed(jenkins, wire):
    wire.routes[f"{PATH}/api/json"] = ok(payload("job__version_is_choice"))
    listed = {parameter.name: parameter for parameter in jenkins().parameters()}
    assert set(listed) == {"VERSION", "BRANCH", "DELIVR_BUILD_ID"}
    assert listed["VERSION"].kind == "choice"
    assert list(listed["VERSION"].choices) == ["1.4.0", "1.3.9"]
    assert (listed["BRANCH"].default, listed["BRANCH"].choices) == ("main", [])
