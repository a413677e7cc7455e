"""Pages of lists, refusals and limits."""

import pytest
from django.test import override_settings

from integrations.providers.base import Outcome, ProviderError
from integrations.providers.tests.wire import Reply

from . import answers
from .answers import VERSIONS, document, make, plan, refusal


@pytest.fixture(autouse=True)
def app_store_is_here(wire):
    answers.tell(wire)
    with override_settings(APP_STORE_CONNECT_URL=wire.url):
        yield


def error_of(call):
    with pytest.raises(ProviderError) as caught:
        call()
    return caught.value


def test_all_pages_of_a_list_are_read_from_our_own_host(wire):
    def page(seen):
        if seen.query.get("cursor") == "two":
            return document([answers.version()])
        reply = document([answers.LIVE])
        reply.body["links"]["next"] = "https://elsewhere.example/v1/x?cursor=two&limit=200"
        return reply

    wire.routes[VERSIONS] = page
    assert make().find_step("version", plan()) == {"version_id": "v1.5.0"}
    first, second = wire.seen
    assert second.query == {**first.query, "cursor": "two"}
    assert first.query["limit"] == "200"


def test_a_list_without_an_end_is_given_up(wire):
    reply = document([answers.LIVE])
    reply.body["links"]["next"] = "https://elsewhere.example/?cursor=again"
    wire.routes[VERSIONS] = reply
    assert error_of(lambda: make().find_step("version", plan())).code == "garbage"
    assert len(wire.seen) == 10


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"X-Rate-Limit": "user-hour-lim:3600;user-hour-rem:0;"}, 600),
        ({"X-Rate-Limit": "user-hour-lim:3600;user-hour-rem:12;"}, None),
        ({"Retry-After": "7", "X-Rate-Limit": "user-hour-rem:0;"}, 7),
        ({}, None),
    ],
)
def test_an_exhausted_hour_is_waited_for(wire, headers, seconds):
    wire.routes[VERSIONS] = Reply({"errors": []}, 429, headers)
    error = error_of(lambda: make().find_step("version", plan()))
    assert (error.outcome, error.retry_after) == (Outcome.RATE_LIMITED, seconds)


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"data": 5}', b'{"data": {"type": "appStoreVersions"}}', b"<html>"]
)
def test_a_success_that_cannot_be_read_is_in_doubt(wire, body):
    wire.routes["/v1/appStoreVersions"] = Reply(body, 201)
    error = error_of(lambda: make().take_step("version", plan()))
    assert error.outcome is Outcome.UNCERTAIN


@pytest.mark.parametrize("identifier", ["../apps", "..", "a/b", "", "x?y", "%2e", 5])
def test_an_id_that_would_change_a_path_is_not_used(wire, identifier):
    wire.routes[VERSIONS] = document([{**answers.version(), "id": identifier}])
    assert error_of(lambda: make().read_submission(plan())).code == "garbage"


@pytest.mark.parametrize("errors", [5, [], [5], [{"meta": {"associatedErrors": 5}}], [{"code": 5}]])
def test_a_refusal_without_reasons_is_told_anyway(wire, errors):
    wire.routes["/v1/appStoreVersions"] = Reply({"errors": errors}, 409)
    error = error_of(lambda: make().take_step("version", plan()))
    assert error.outcome is Outcome.REFUSED
    assert "HTTP 409" in error.message


def test_what_apple_refuses_is_told_in_its_words(wire):
    words = "You cannot create a new version of the App in the current state."
    wire.routes["/v1/appStoreVersions"] = refusal(("ENTITY_ERROR.RELATIONSHIP.INVALID", words))
    error = error_of(lambda: make().take_step("version", plan()))
    assert (error.code, error.message) == ("value_refused", f"Apple says: {words}")
