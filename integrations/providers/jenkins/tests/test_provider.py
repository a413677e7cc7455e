"""Against a server that answers from payload files: each answer and what it leads to."""

import base64
from datetime import UTC, datetime, timedelta

import pytest

from integrations.providers.base import BuildState, BuildStatus, Level, Outcome, ProviderError
from integrations.providers.jenkins.provider import Jenkins
from integrations.providers.tests.wire import LOGIN_PAGE, Reply, everything_in, payloads

TOKEN = "11canary0123456789token"
PATH = "/ci/job/mobile/job/ios"
TRIGGER = f"{PATH}/buildWithParameters"
QUEUE = "/ci/queue/api/json"
ITEM = "/ci/queue/item/7041/api/json"
LOCATION = {"Location": "http://jenkins.internal:8080/ci/queue/item/7041/"}
SINCE = datetime(2025, 11, 22, 9, 0, tzinfo=UTC)
GIVEN = {"VERSION": "1.5.0", "BRANCH": "release/1.5.0", "FLAVOUR": "free"}
payload = payloads(__file__)


class HastyJenkins(Jenkins):
    deadline = 0.5


def ok(body, status=200, **headers):
    return Reply(body, status, {"X-Jenkins": "2.541.1", **headers})


def page(text, status, **headers):
    kind = {"Content-Type": "text/html"}
    return ok(f"<html><body>{text}</body></html>".encode(), status, **kind, **headers)


@pytest.fixture(autouse=True)
def jenkins_is_here(wire):
    wire.routes = {
        "/ci/whoAmI/api/json": ok(payload("whoami__user")),
        f"{PATH}/api/json": ok(payload("job__ready")),
        TRIGGER: ok(b"", 201, **LOCATION),
        f"{PATH}/build": ok(b"", 201, **LOCATION),
        QUEUE: ok(payload("queue__empty")),
    }


@pytest.fixture
def jenkins(wire):
    def make(kind=Jenkins, **changes) -> Jenkins:
        given = {"url": f"{wire.url}/ci/", "username": "delivr", "api_token": TOKEN}
        return kind(**{**given, "job_path": "mobile/ios", **changes})

    return make


def trigger(jenkins):
    return jenkins.trigger(build_id="bld_sought", parameters=GIVEN)


def find(jenkins):
    return jenkins.find(build_id="bld_sought", parameters=GIVEN, since=SINCE)


def read(jenkins, queue_id=None, number=None):
    return jenkins.read(queue_id=queue_id, number=number, build_id="bld_sought")


def failed(checks):
    return {check.name: check for check in checks if not check.ok}


# --- verify -----------------------------------------------------------------------------------


def test_a_good_connection_passes_every_check_in_order(jenkins, wire):
    checks = jenkins().verify()
    assert [check.name for check in checks] == [
        "address",
        "credentials",
        "account",
        "job",
        "permission",
        "parameters",
        "correlation",
    ]
    assert failed(checks) == {}
    assert {seen.method for seen in wire.seen} == {"GET"}


def test_user_and_token_are_sent_in_utf_8(jenkins, wire):
    jenkins(username="jürgen", api_token="11токен").verify()
    sent = wire.seen[0].headers["authorization"].removeprefix("Basic ")
    assert base64.b64decode(sent).decode() == "jürgen:11токен"


WHO = "/ci/whoAmI/api/json"


@pytest.mark.parametrize(
    ("reply", "name", "code", "words"),
    [
        (LOGIN_PAGE, "address", "not_jenkins", "not Jenkins"),
        (page("Sign in", 200), "address", "not_jenkins", "not Jenkins"),
        (Reply({"name": "delivr", "anonymous": False}), "address", "not_jenkins", "not Jenkins"),
        (ok([]), "address", "not_jenkins", "not Jenkins"),
        (Reply(b"Not Found", 404), "address", "not_jenkins", "HTTP 404"),
        (Reply(b"", 302, {"Location": "/login"}), "address", "redirect", "redirects"),
        (Reply(b"Bad Gateway", 502), "address", "server_error", "502"),
        (
            page("Invalid password/token for user: delivr", 401),
            "credentials",
            "bad_credentials",
            "",
        ),
        (
            Reply(b"", 401, {"WWW-Authenticate": 'Basic realm="Jenkins"'}),
            "credentials",
            "bad_credentials",
            "refused the token for user delivr",
        ),
        (Reply(b"", 401, {"WWW-Authenticate": "Negotiate"}), "address", "not_jenkins", "401"),
        (ok(payload("whoami__anonymous")), "credentials", "anonymous", "stranger"),
        (ok({"name": "delivr"}), "credentials", "anonymous", "stranger"),
        (ok({"name": "somebody", "anonymous": False}), "account", "wrong_account", "another name"),
    ],
)
def test_each_trouble_of_signing_in_is_told_apart(jenkins, wire, reply, name, code, words):
    wire.routes[WHO] = reply
    checks = jenkins().verify()
    assert list(failed(checks)) == [name]
    failure = failed(checks)[name]
    assert (failure.code, failure.level) == (code, Level.ERROR)
    assert words in failure.message
    assert failure.hint
    assert checks[-1] is failure  # nothing behind it is tried


def test_names_of_users_differ_by_more_than_case(jenkins, wire):
    wire.routes[WHO] = ok({"name": "Delivr", "anonymous": False})
    assert failed(jenkins().verify()) == {}


def test_a_closed_port_is_a_passing_trouble_of_the_address(jenkins):
    check = failed(jenkins(url="http://127.0.0.1:9").verify())["address"]
    assert (check.code, check.passing) == ("connect", True)


def test_a_private_address_is_refused_in_words(jenkins):
    check = failed(jenkins(url="http://169.254.169.254/").verify())["address"]
    assert check.code == "address_refused"
    assert "OUTBOUND_ALLOW" in check.hint


def test_a_server_that_hangs_is_a_passing_trouble(jenkins, wire):
    wire.routes[WHO] = Reply(fault="hang")
    check = failed(jenkins(HastyJenkins).verify())["address"]
    assert (check.code, check.passing) == ("timeout", True)


@pytest.mark.parametrize(
    ("reply", "name", "code"),
    [
        (page("Not Found", 404), "job", "job_not_found"),
        (
            page("Access Denied", 403, **{"X-Required-Permission": "hudson.model.Item.Read"}),
            "job",
            "forbidden",
        ),
        (ok(payload("job__folder")), "job", "not_a_job"),
        (ok(payload("job__multibranch")), "job", "not_a_job"),
        (ok(payload("job__disabled")), "job", "disabled"),
        (page("Dashboard", 200), "job", "not_jenkins"),
        (ok(payload("job__without_version")), "parameters", "parameters_missing"),
    ],
)
def test_each_trouble_of_the_job_is_an_error(jenkins, wire, reply, name, code):
    wire.routes[f"{PATH}/api/json"] = reply
    failure = failed(jenkins().verify())[name]
    assert (failure.code, failure.level) == (code, Level.ERROR)
    assert failure.hint


@pytest.mark.parametrize(
    ("job", "codes"),
    [
        ("job__never_run", {"parameters": "no_parameters", "correlation": "no_build_id"}),
        ("job__without_build_id", {"correlation": "no_build_id"}),
        ("job__version_is_choice", {"parameters": "closed_choice"}),
    ],
)
def test_what_makes_a_job_worse_is_a_warning(jenkins, wire, job, codes):
    wire.routes[f"{PATH}/api/json"] = ok(payload(job))
    warnings = failed(jenkins().verify())
    assert {name: check.code for name, check in warnings.items()} == codes
    assert {check.level for check in warnings.values()} == {Level.WARNING}


def test_the_missing_permission_is_named_as_jenkins_pages_name_it(jenkins, wire):
    header = {"X-Required-Permission": "hudson.model.Item.Read"}
    wire.routes[f"{PATH}/api/json"] = page("Access Denied", 403, **header)
    assert "Job/Read" in failed(jenkins().verify())["job"].message


def test_a_job_path_that_cannot_be_read_is_a_check(jenkins):
    assert failed(jenkins(job_path="../ios").verify())["job"].code == "bad_job_path"


# --- trigger ----------------------------------------------------------------------------------


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
BUILD_PERMISSION = {"X-Required-Permission": "hudson.model.Item.Build"}


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
        (page("Not Found", 404), "job_not_found", Outcome.REFUSED),
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
        (page("Not Found", 404), "job_not_found", Outcome.REFUSED),
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


# --- find -------------------------------------------------------------------------------------


def test_a_lost_build_is_found_in_the_queue(jenkins, wire):
    wire.routes[QUEUE] = ok(payload("queue__ours_behind_others"))
    state = find(jenkins())
    assert (state.status, state.queue_id) == (BuildStatus.QUEUED, 7041)
    assert state.queue_reason == "Build #244 is already in progress"


def test_a_lost_build_is_found_among_the_builds_after_the_queue_was_looked_at(jenkins, wire):
    wire.routes[f"{PATH}/api/json"] = job_or_builds("builds__ours_second")
    state = find(jenkins())
    assert (state.status, state.number, state.queue_id) == (BuildStatus.SUCCESS, 245, 7041)
    order = [seen.path for seen in wire.seen]
    assert order.index(QUEUE) < len(order) - 1


def test_a_build_that_is_not_there_is_none(jenkins, wire):
    wire.routes[f"{PATH}/api/json"] = job_or_builds("builds__none")
    assert find(jenkins()) is None


def test_a_child_job_that_was_handed_our_parameters_is_not_our_build(jenkins, wire):
    wire.routes[QUEUE] = ok(payload("queue__child_job_with_our_parameters"))
    wire.routes[f"{PATH}/api/json"] = job_or_builds("builds__none")
    assert find(jenkins()) is None


def test_a_job_that_does_not_carry_our_id_cannot_be_searched(jenkins, wire):
    wire.routes[f"{PATH}/api/json"] = ok(payload("job__without_build_id"))
    with pytest.raises(ProviderError) as caught:
        find(jenkins())
    assert (caught.value.code, caught.value.outcome) == ("cannot_correlate", Outcome.REFUSED)


@pytest.mark.parametrize("path", [QUEUE, f"{PATH}/api/json"])
def test_a_search_that_failed_is_no_absence(jenkins, wire, path):
    wire.routes[path] = Reply(b"", 503)
    with pytest.raises(ProviderError):
        find(jenkins())


def test_the_search_goes_back_to_the_time_of_the_trigger(jenkins, wire):
    """A busy job: ours is the 120th of the builds, all of them younger than the trigger."""
    wire.routes[f"{PATH}/api/json"] = busy_job(ours=120, age=timedelta())
    assert find(jenkins()).number == 120


def test_the_search_does_not_go_further_back_than_that(jenkins, wire):
    wire.routes[f"{PATH}/api/json"] = busy_job(ours=120, age=timedelta(days=1))
    assert find(jenkins()) is None


def test_the_search_allows_for_a_clock_of_jenkins_that_is_behind(jenkins, wire):
    wire.routes[f"{PATH}/api/json"] = busy_job(ours=120, age=timedelta(minutes=6))
    assert find(jenkins()).number == 120


def test_what_was_found_counts_though_there_is_more_to_look_at(jenkins, wire):
    wire.routes[f"{PATH}/api/json"] = busy_job(ours=20, age=timedelta())
    assert find(jenkins()).number == 20


def test_too_many_builds_to_look_at_are_not_taken_for_an_absence(jenkins, wire):
    wire.routes[f"{PATH}/api/json"] = busy_job(ours=900, age=timedelta())
    with pytest.raises(ProviderError) as caught:
        find(jenkins())
    assert caught.value.code == "cannot_correlate"


def job_or_builds(name):
    def answer(seen):
        return ok(payload(name if "uilds[" in seen.query["tree"] else "job__ready"))

    return answer


def busy_job(ours, age):
    """1000 builds; the last number of a `tree` range says which are asked for."""
    stamp = int((SINCE + timedelta(minutes=1) - age).timestamp() * 1000)

    def build(number):
        value = "bld_sought" if number == ours else f"bld_{number}"
        parameters = [{"name": "DELIVR_BUILD_ID", "value": value}]
        return {"number": number, "timestamp": stamp, "actions": [{"parameters": parameters}]}

    def answer(seen):
        name, _, rest = seen.query["tree"].partition("[")
        if "uilds" not in name:
            return ok(payload("job__ready"))
        first, last = rest[rest.rindex("{") + 1 : -1].split(",")
        end = min(int(last), 100) if name == "builds" else int(last)
        return ok({name: [build(number) for number in range(int(first), end)]})

    return answer


# --- read -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "status", "reason"),
    [
        ("waiting", BuildStatus.QUEUED, "In the quiet period. Expires in 4.9 sec"),
        ("blocked", BuildStatus.QUEUED, "Build #244 is already in progress (ETA: 3 min 2 sec)"),
        ("buildable", BuildStatus.QUEUED, "Waiting for next available executor on ‘mac’"),
        ("left_no_build_yet", BuildStatus.QUEUED, ""),
        ("cancelled", BuildStatus.ABORTED, ""),
    ],
)
def test_a_place_in_the_queue_is_read(jenkins, wire, item, status, reason):
    wire.routes[ITEM] = ok(payload(f"queue_item__{item}"))
    assert read(jenkins(), queue_id=7041) == BuildState(
        status=status, queue_id=7041, queue_reason=reason
    )


@pytest.mark.parametrize(
    ("build", "status"),
    [
        ("running", BuildStatus.RUNNING),
        ("result_while_building", BuildStatus.RUNNING),
        ("archiving", BuildStatus.RUNNING),
        ("success_with_artifacts", BuildStatus.SUCCESS),
        ("failure", BuildStatus.FAILURE),
        ("unstable", BuildStatus.UNSTABLE),
        ("aborted", BuildStatus.ABORTED),
        ("not_built", BuildStatus.ABORTED),
    ],
)
def test_an_item_that_became_a_build_is_read_as_that(jenkins, wire, build, status):
    wire.routes[ITEM] = ok(payload("queue_item__left"))
    wire.routes[f"{PATH}/245/api/json"] = ok(payload(f"build__{build}"))
    state = read(jenkins(), queue_id=7041)
    assert (state.status, state.number, state.queue_id) == (status, 245, 7041)
    assert state == read(jenkins(), number=245)


def test_urls_of_a_build_are_made_from_our_own_address(jenkins, wire):
    wire.routes[f"{PATH}/245/api/json"] = ok(payload("build__success_with_artifacts"))
    state = read(jenkins(), number=245)
    assert state.url == f"{wire.url}{PATH}/245/"
    assert state.artifact_url == f"{state.url}artifact/build/outputs/app%20release.ipa"
    assert (state.duration_ms, state.estimated_ms) == (324447, 197743)
    assert state.started_at == SINCE


def test_a_forgotten_place_in_the_queue_is_found_among_the_builds(jenkins, wire):
    wire.routes[ITEM] = page("Not Found", 404)
    wire.routes[f"{PATH}/api/json"] = job_or_builds("builds__ours_second")
    assert read(jenkins(), queue_id=7041).number == 245
    wire.routes[f"{PATH}/api/json"] = job_or_builds("builds__without_parameters")
    assert read(jenkins(), queue_id=7041).number == 12


def test_a_queue_id_that_another_job_has_now_is_not_ours(jenkins, wire):
    wire.routes[ITEM] = ok(payload("queue_item__other_job"))
    wire.routes[f"{PATH}/api/json"] = job_or_builds("builds__none")
    assert read(jenkins(), queue_id=7041) is None


def test_a_number_that_another_release_has_now_is_not_ours(jenkins, wire):
    wire.routes[f"{PATH}/245/api/json"] = ok(payload("build__of_another_release"))
    assert read(jenkins(), number=245) is None


def test_a_build_that_was_started_by_hand_can_be_adopted(jenkins, wire):
    wire.routes[f"{PATH}/245/api/json"] = ok(payload("build__started_by_hand"))
    assert read(jenkins(), number=245).status is BuildStatus.SUCCESS


def test_a_deleted_build_is_none_and_a_broken_server_is_not(jenkins, wire):
    wire.routes[f"{PATH}/245/api/json"] = page("Not Found", 404)
    assert read(jenkins(), number=245) is None
    wire.routes[f"{PATH}/245/api/json"] = Reply(b"Not Found", 404)  # a proxy's, not Jenkins'
    with pytest.raises(ProviderError):
        read(jenkins(), number=245)


def test_without_numbers_our_id_is_looked_for(jenkins, wire):
    wire.routes[f"{PATH}/api/json"] = job_or_builds("builds__ours_second")
    assert read(jenkins()).number == 245


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"number": "245"},
        {"number": -1},
        {"number": 2**64},
        {"number": 245, "timestamp": 10**18, "actions": 7, "artifacts": {"x": 1}, "result": 7},
        {"number": 245, "result": None, "artifacts": [None, {"relativePath": None}]},
        {"number": 245, "actions": [None, {"parameters": [None, 7, {"name": []}]}]},
    ],
)
def test_odd_builds_are_read_without_an_accident(jenkins, wire, body):
    wire.routes[f"{PATH}/245/api/json"] = ok(body)
    state = read(jenkins(), number=245)
    assert state is None or (state.status, state.artifact_url) == (BuildStatus.RUNNING, "")


# --- cancel -----------------------------------------------------------------------------------

CANCEL = "/ci/queue/cancelItem"
STOP = f"{PATH}/245/stop"


@pytest.mark.parametrize("status", [204, 302])
def test_a_queued_build_is_taken_out_of_the_queue(jenkins, wire, status):
    wire.routes |= {CANCEL: ok(b"", status), ITEM: ok(payload("queue_item__cancelled"))}
    jenkins().cancel(queue_id=7041, number=None)
    assert wire.last(CANCEL).form == {"id": "7041"}
    assert wire.count(STOP) == 0


@pytest.mark.parametrize("status", [204, 404, 422])
def test_a_build_that_just_left_the_queue_is_stopped(jenkins, wire, status):
    wire.routes |= {
        CANCEL: ok(b"", status),
        ITEM: ok(payload("queue_item__left")),
        f"{PATH}/245/api/json": ok(payload("build__running")),
        STOP: ok(b"", 302, Location="."),
    }
    jenkins().cancel(queue_id=7041, number=None)
    assert wire.count(STOP) == 1


def test_a_build_that_ended_is_left_alone(jenkins, wire):
    wire.routes[f"{PATH}/245/api/json"] = ok(payload("build__failure"))
    jenkins().cancel(queue_id=7041, number=245)
    wire.routes[f"{PATH}/245/api/json"] = page("Not Found", 404)
    jenkins().cancel(queue_id=None, number=245)
    assert all(seen.method == "GET" for seen in wire.seen)


def test_a_refused_stop_says_why(jenkins, wire):
    header = {"X-Required-Permission": "hudson.model.Item.Cancel"}
    wire.routes |= {
        f"{PATH}/245/api/json": ok(payload("build__running")),
        STOP: page("Access Denied", 403, **header),
    }
    with pytest.raises(ProviderError, match="Job/Cancel"):
        jenkins().cancel(queue_id=None, number=245)


def test_an_item_that_may_not_be_cancelled_says_so(jenkins, wire):
    wire.routes |= {CANCEL: ok(b"", 422), ITEM: ok(payload("queue_item__blocked"))}
    with pytest.raises(ProviderError) as caught:
        jenkins().cancel(queue_id=7041, number=None)
    assert caught.value.outcome is Outcome.REFUSED


@pytest.mark.parametrize("status", [404, 422])
def test_an_item_that_left_without_a_number_yet_is_tried_again(jenkins, wire, status):
    left = {**payload("queue_item__left"), "executable": None}
    wire.routes |= {CANCEL: ok(b"", status), ITEM: ok(left)}
    with pytest.raises(ProviderError) as caught:
        jenkins().cancel(queue_id=7041, number=None)
    assert (caught.value.code, caught.value.outcome) == ("just_left", Outcome.NOT_SENT)
    assert wire.count(STOP) == 0


# --- jobs -------------------------------------------------------------------------------------


def test_jobs_are_listed_through_their_folders_by_name(jenkins, wire):
    wire.routes |= {
        "/ci/api/json": ok(payload("jobs__top")),
        "/ci/job/mobile/api/json": ok(payload("jobs__mobile")),
        "/ci/job/app/api/json": ok(payload("jobs__app")),
        "/ci/job/secret/api/json": page("Access Denied", 403, **BUILD_PERMISSION),
    }
    assert {option.value: option.label for option in jenkins(job_path="").jobs()} == {
        "/job/app/job/release%252F1.5.0": "app/release/1.5.0",
        "/job/mobile/job/ios": "mobile/ios",
        "/job/nightly%20build": "nightly build",
    }


def test_folders_without_end_are_walked_within_bounds(jenkins, wire):
    inside = {"jobs": [{"_class": "x.Folder", "name": "a"}, {"_class": "x.Folder", "name": "b"}]}
    wire.routes = dict.fromkeys(all_folders(), ok(inside))
    assert jenkins().jobs() == []
    assert len(wire.seen) <= 30


def all_folders(depth=7):
    paths = [""]
    for path in paths:
        if path.count("/job/") < depth:
            paths += [f"{path}/job/a", f"{path}/job/b"]
    return [f"/ci{path}/api/json" for path in paths]


def test_a_list_that_may_not_be_seen_at_all_is_an_error(jenkins, wire):
    wire.routes["/ci/api/json"] = page("Invalid token", 401)
    with pytest.raises(ProviderError) as caught:
        jenkins().jobs()
    assert caught.value.outcome is Outcome.CREDENTIALS


# --- secrets ----------------------------------------------------------------------------------


def test_no_error_carries_the_token_that_the_server_echoes(jenkins, wire):
    def echo(seen):
        sent = seen.headers["authorization"]
        plain = base64.b64decode(sent.removeprefix("Basic ")).decode()
        return page(f"{sent} {plain}", 500, **{"X-Echo": sent, "X-Required-Permission": sent})

    wire.routes = dict.fromkeys([TRIGGER, WHO, QUEUE], echo)
    wire.routes[f"{PATH}/api/json"] = ok(payload("job__ready"))
    for attempt in (trigger, find):
        with pytest.raises(ProviderError) as caught:
            attempt(jenkins())
        shown = everything_in(caught.value)
        encoded = base64.b64encode(f"delivr:{TOKEN}".encode()).decode()
        assert TOKEN not in shown
        assert encoded not in shown
    assert TOKEN not in repr(jenkins().verify())


def test_a_connection_is_read_through_its_secrets():
    class Secret:
        def reveal(self):
            return TOKEN

    class Connection:
        jenkins_url, jenkins_username = "https://jenkins.example.com", "delivr"
        jenkins_api_token, jenkins_job_path = Secret(), "/job/ios"

    provider = Jenkins.from_connection(Connection())
    assert provider._token == TOKEN
    assert TOKEN not in repr(provider)
