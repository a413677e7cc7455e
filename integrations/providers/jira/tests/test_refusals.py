"""Jira's reasons are told apart by their words; what is not Jira's says nothing about it."""

import pytest

from integrations.providers.base import Outcome, ProviderError
from integrations.providers.jira.tests.answers import API, TOKEN, create, failed, payload
from integrations.providers.tests.wire import Reply

pytestmark = pytest.mark.usefixtures("jira_is_here")

ALLOWLIST = (
    "The IP address has been rejected because it is not on the allowed list."
    " See your admin for more information."
)
PAGE = {"Content-Type": "text/html;charset=UTF-8"}


def errors(*messages, **fields):
    return {"errorMessages": list(messages), "errors": fields}


@pytest.mark.parametrize(
    ("reply", "code", "hint"),
    [
        (Reply(errors(ALLOWLIST), 403), "ip_not_allowed", "IP allowlists"),
        (
            Reply({"code": 401, "message": "Unauthorized; scope does not match"}, 401),
            "missing_scope",
            "read:jira-work",
        ),
        (Reply({"message": "Token has expired"}, 401), "token_expired", "id.atlassian.com"),
        (
            Reply(errors("You do not have access to Jira."), 403),
            "no_product_access",
            "admin.atlassian.com > Directory",
        ),
        (
            Reply(errors("This action is blocked by an app access rule."), 403),
            "access_rule",
            "Data security policies",
        ),
        (
            Reply(status=401, headers={"X-Seraph-LoginReason": "AUTHENTICATION_DENIED"}),
            "captcha",
            "in a browser",
        ),
        (Reply(errors("A reason that nobody knows."), 403), "forbidden", "permission"),
        (Reply(status=403), "forbidden", "permission"),
    ],
)
@pytest.mark.parametrize("path", [f"{API}/myself", f"{API}/issue"])
def test_a_refusal_is_recognised_by_its_message(wire, jira, path, reply, code, hint):
    wire.routes[path] = reply
    with pytest.raises(ProviderError) as failure:
        create(jira)
    assert (failure.value.code, failure.value.outcome) == (code, Outcome.CREDENTIALS)
    assert hint in failure.value.hint
    for words in reply.body.get("errorMessages", []):
        assert words.rstrip(".") in failure.value.message


@pytest.mark.parametrize(
    "reply",
    [
        Reply({"errorMessage": "Site temporarily unavailable"}, status=404),
        Reply(errors("This site is suspended."), status=403),
        Reply(errors("The site has been deactivated."), status=401),
        Reply(b"<html>Blocked by the firewall</html>", 403, PAGE),
        Reply(b"<html>default backend - 404</html>", 404, PAGE),
        Reply(b"<html>Sign in to the proxy</html>", 401, PAGE),
        Reply(b"<html>Maintenance</html>", 503, PAGE),
        Reply(b"<html>Bad gateway</html>", 502, PAGE),
        Reply({}, 429, {"Retry-After": "5"}),
        Reply(errors("Down."), 503),
    ],
)
def test_a_temporary_failure_is_not_a_refusal(wire, jira, reply):
    wire.routes[f"{API}/myself"] = reply
    (check,) = failed(jira.verify()).values()
    assert check.is_temporary
    with pytest.raises(ProviderError) as failure:
        create(jira)
    assert failure.value.is_temporary
    assert failure.value.outcome is not Outcome.UNCERTAIN
    assert wire.count(f"{API}/issue") == 0


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(403, Outcome.NOT_SENT), (404, Outcome.NOT_SENT), (502, Outcome.UNCERTAIN)],
)
def test_a_page_of_something_else_instead_of_the_new_epic(wire, jira, status, outcome):
    wire.routes[f"{API}/issue"] = Reply(b"<html>no</html>", status, PAGE)
    with pytest.raises(ProviderError) as failure:
        create(jira)
    assert failure.value.outcome is outcome


@pytest.mark.parametrize("words", ["The session has expired.", "No scope.", ALLOWLIST])
def test_a_message_in_a_server_error_does_not_mean_that_nothing_was_created(wire, jira, words):
    wire.routes[f"{API}/issue"] = Reply(errors(words), 500)
    with pytest.raises(ProviderError) as failure:
        create(jira)
    assert failure.value.outcome is Outcome.UNCERTAIN


def test_a_page_that_is_jiras_own_is_its_refusal(wire, jira):
    headers = {**PAGE, "X-AREQUESTID": "1x1"}
    wire.routes[f"{API}/issue"] = Reply(b"<html>Oops, a dead link</html>", 404, headers)
    with pytest.raises(ProviderError) as failure:
        create(jira)
    assert (failure.value.code, failure.value.outcome) == ("not_found", Outcome.REFUSED)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"errorMessages": [None], "errors": {}}, "Jira refused the request (HTTP 400)."),
        ({"errorMessages": [None], "errors": {"summary": "Too long."}}, "summary: Too long."),
        ({"errorMessages": [7, ["x"], "One."], "errors": []}, "One."),
        ({"errorMessages": "A text.", "errors": None}, "A text."),
        ({"errors": {"summary": {"a": 1}, "labels": "No."}}, "labels: No."),
        (None, "HTTP 400"),
    ],
)
def test_unexpected_parts_of_a_refusal_do_not_make_it_uncertain(wire, jira, body, words):
    wire.routes[f"{API}/issue"] = Reply(body, status=400)
    with pytest.raises(ProviderError) as failure:
        create(jira)
    assert (failure.value.code, failure.value.outcome) == ("refused", Outcome.REFUSED)
    assert words in failure.value.message


def test_reasons_that_echo_the_token_are_not_shown(wire, jira):
    wire.routes[f"{API}/myself"] = Reply(errors(f"scope of {TOKEN}"), status=403)
    assert TOKEN not in repr(jira.verify())


# --- Jira Data Center ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "version"),
    [
        (Reply(b"<html>Dead link</html>", 404, {**PAGE, "X-AREQUESTID": "1x1"}), "9.12.5"),
        (Reply(b"<html>401</html>", 401, PAGE), "9.12.5"),
        (Reply(b"<html>Dead link</html>", 404, {**PAGE, "X-ASESSIONID": "x"}), ""),
        (
            Reply(
                b"<html>401</html>",
                401,
                {
                    **PAGE,
                    "WWW-Authenticate": 'OAuth realm="https%3A%2F%2Fjira.example.com"',
                    "X-Seraph-LoginReason": "AUTHENTICATED_FAILED",
                },
            ),
            "",
        ),
    ],
)
def test_data_center_is_recognised(wire, jira, reply, version):
    wire.routes[f"{API}/myself"] = reply
    if version:
        info = {"deploymentType": "Server", "version": version}
        wire.routes["/site/rest/api/2/serverInfo"] = Reply(info)
    check = failed(jira.verify())["address"]
    assert (check.code, check.is_temporary) == ("wrong_deployment", False)
    assert check.message == f"This is {f'Jira Data Center {version}'.strip()}."
    assert "Leave the account's email address empty" in check.hint


def test_a_cloud_site_that_refuses_a_token_is_no_data_center(wire, jira):
    realm = {"WWW-Authenticate": 'OAuth realm="https%3A%2F%2Fdream11.atlassian.net"'}
    wire.routes[f"{API}/myself"] = Reply(b"401", 401, realm)
    wire.routes["/site/rest/api/2/serverInfo"] = Reply({"deploymentType": "Cloud"})
    assert failed(jira.verify())["credentials"].code == "bad_credentials"


def test_data_center_is_asked_without_the_token(wire, jira):
    wire.routes[f"{API}/myself"] = Reply(payload("project__404"), status=404)
    jira.verify()
    assert "authorization" not in wire.last("/site/rest/api/2/serverInfo").headers
