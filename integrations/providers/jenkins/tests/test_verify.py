"""What a verification of a connection finds, one trouble after the other."""

import base64

import pytest

from integrations.providers.base import Level
from integrations.providers.jenkins.tests.answers import (
    PATH,
    WHO,
    HastyJenkins,
    failed,
    ok,
    page,
    payload,
)
from integrations.providers.tests.wire import LOGIN_PAGE, Reply


def test_a_good_connection_passes_every_check_in_order(jenkins, wire):
    checks = jenkins().verify()
    assert [check.name for check in checks] == [
        "address",
        "credentials",
        "account",
        "availability",
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
        (ok(payload("whoami__anonymous")), "credentials", "anonymous", "anonymous"),
        (ok({"name": "delivr"}), "credentials", "anonymous", "anonymous"),
        (
            ok({"name": "somebody", "anonymous": False}),
            "account",
            "wrong_account",
            "a name other than",
        ),
    ],
)
def test_each_sign_in_failure_has_its_own_check_and_code(jenkins, wire, reply, name, code, words):
    wire.routes[WHO] = reply
    checks = jenkins().verify()
    assert list(failed(checks)) == [name]
    failure = failed(checks)[name]
    assert (failure.code, failure.level) == (code, Level.ERROR)
    assert words in failure.message
    assert failure.hint
    assert checks[-1] is failure  # nothing behind it is tried


def test_user_names_are_compared_without_case(jenkins, wire):
    wire.routes[WHO] = ok({"name": "Delivr", "anonymous": False})
    assert failed(jenkins().verify()) == {}


def test_a_closed_port_is_a_temporary_failure_of_the_address(jenkins):
    check = failed(jenkins(url="http://127.0.0.1:9").verify())["address"]
    assert (check.code, check.is_temporary) == ("connect", True)


def test_a_private_address_is_refused_with_a_message(jenkins):
    check = failed(jenkins(url="http://169.254.169.254/").verify())["address"]
    assert check.code == "address_refused"
    assert "OUTBOUND_ALLOW" in check.hint


def test_a_hanging_server_is_a_temporary_failure(jenkins, wire):
    wire.routes[WHO] = Reply(fault="hang")
    check = failed(jenkins(HastyJenkins).verify())["address"]
    assert (check.code, check.is_temporary) == ("timeout", True)


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
        (ok(payload("job__multibranch")), "job", "no_branches"),
        (ok(payload("job__disabled")), "job", "disabled"),
        (page("Dashboard", 200), "job", "not_jenkins"),
        (ok(payload("job__without_version")), "parameters", "parameters_missing"),
    ],
)
def test_each_failure_of_the_job_is_an_error(jenkins, wire, reply, name, code):
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
def test_drawbacks_of_a_job_are_warnings(jenkins, wire, job, codes):
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


def test_a_login_that_ignores_the_token_fails_the_credentials(jenkins, wire):
    location = "https://ci.example.com/ci/securityRealm/commenceLogin?from=%2F"
    wire.routes[WHO] = ok(b"", 302, Location=location)
    check = failed(jenkins().verify())["credentials"]
    assert check.code == "login_redirect"
    assert "without a session" in check.hint


def test_a_jenkins_whose_headers_a_proxy_hides_passes(jenkins, wire):
    who = {**payload("whoami__user"), "_class": "hudson.security.WhoAmI"}
    wire.routes[WHO] = Reply(who)
    wire.routes[f"{PATH}/api/json"] = Reply(payload("job__ready"))
    assert failed(jenkins().verify()) == {}


def test_own_parameters_that_jenkins_would_drop_are_named(jenkins):
    provider = jenkins(parameters={"TRACK": "production", "FLAVOR": "free", "track": "x"})
    check = failed(provider.verify())["own_parameters"]
    assert (check.code, check.level) == ("undeclared", Level.WARNING)
    assert "FLAVOR and track" in check.message


def test_a_value_that_the_job_would_refuse_is_an_error_before_the_first_build(jenkins):
    check = failed(jenkins(parameters={"TRACK": "beta"}).verify())["own_parameters"]
    assert (check.code, check.level) == ("illegal_choice", Level.ERROR)
    template = jenkins(parameters={"TRACK": "{{ release.version }}"})
    assert failed(template.verify()) == {}
