import base64
import json
from datetime import UTC, datetime
from urllib.parse import quote

import pytest

from delivr.outbound import OutboundError
from integrations.providers.base import Check, Level, Outcome, ProviderError
from integrations.providers.http import (
    Budget,
    before_effect,
    check_header_value,
    error_from_outbound,
    error_from_status,
    guarded,
    parse_object,
    retry_after_seconds,
    vendor_words,
)
from integrations.providers.tests.wire import everything_in
from integrations.providers.verifying import first_contact, try_in_order

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SECRET = 'ATATT-canary+/="0123456789'


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("30", 30.0),
        (" 0 ", 0.0),
        ("9" * 5000, 86400.0),
        ("Sun, 22 Nov 2026 12:01:00 GMT", 60.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
        ("Sun, 22 Nov 2037 12:00:00 GMT", 86400.0),
        ("Sun, 22 Nov 2026 12:01:00 -0000", 60.0),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("inf", None),
        ("Sun, 99 Nov 2026 99:99:99 GMT", None),
    ],
)
def test_retry_after_is_read_in_both_forms_and_never_raises(header, seconds):
    assert retry_after_seconds(header, now=NOW) == seconds


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (400, Outcome.REFUSED),
        (404, Outcome.REFUSED),
        (409, Outcome.REFUSED),
        (410, Outcome.REFUSED),
        (422, Outcome.REFUSED),
        (301, Outcome.REFUSED),
        (401, Outcome.CREDENTIALS),
        (403, Outcome.CREDENTIALS),
        (429, Outcome.RATE_LIMITED),
        (408, Outcome.UNCERTAIN),
        (500, Outcome.UNCERTAIN),
        (503, Outcome.UNCERTAIN),
        (599, Outcome.UNCERTAIN),
        (204, Outcome.UNCERTAIN),
    ],
)
def test_each_status_has_its_outcome_and_words(status, outcome):
    error = error_from_status("Jenkins", status, retry_after="7")
    assert error.outcome is outcome
    assert error.message.startswith("Jenkins ")
    assert error.retry_after == 7.0


def test_a_providers_messages_replace_the_general_ones():
    error = error_from_status("Jenkins", 404, code="no_job", message="No such job.", hint="Look.")
    assert (error.code, error.message, error.hint) == ("no_job", "No such job.", "Look.")


@pytest.mark.parametrize(
    ("code", "sent", "outcome"),
    [
        ("connect", False, Outcome.NOT_SENT),
        ("dns", False, Outcome.NOT_SENT),
        ("address_refused", False, Outcome.NOT_SENT),
        ("timeout", False, Outcome.NOT_SENT),
        ("timeout", True, Outcome.UNCERTAIN),
        ("reset", True, Outcome.UNCERTAIN),
        ("too_large", True, Outcome.UNCERTAIN),
        ("garbage", True, Outcome.UNCERTAIN),
        ("redirect", True, Outcome.REFUSED),
    ],
)
def test_a_failed_connection_is_uncertain_only_if_something_was_sent(code, sent, outcome):
    error = error_from_outbound(
        OutboundError(code, "It failed.", hint="Mend it.", sent=sent), "Slack"
    )
    assert (error.code, error.outcome, error.hint) == (code, outcome, "Mend it.")
    assert "Slack" in error.message


def fail_with(error):
    def fail():
        try:
            raise ValueError(SECRET)
        except ValueError as cause:
            raise error from cause

    return fail


@pytest.mark.parametrize(
    "error",
    [
        ProviderError("x", "words", outcome=Outcome.REFUSED),
        OutboundError("reset", "It broke.", sent=True),
        RuntimeError(SECRET),
        AssertionError(),
    ],
)
def test_only_provider_errors_are_raised_and_without_a_cause(error):
    with pytest.raises(ProviderError) as failure:
        guarded("Slack", fail_with(error))
    assert SECRET not in everything_in(failure.value)


def test_an_unexpected_error_is_uncertain_and_logged_without_its_text(caplog):
    with pytest.raises(ProviderError) as failure:
        guarded("Slack", fail_with(RuntimeError(SECRET)))
    assert failure.value.outcome is Outcome.UNCERTAIN
    assert "RuntimeError" in caplog.text
    assert SECRET not in caplog.text


def test_a_failure_before_the_effect_is_not_uncertain():
    with pytest.raises(ProviderError) as failure:
        before_effect("Jira", fail_with(OutboundError("reset", "It broke.", sent=True)))
    assert failure.value.outcome is Outcome.NOT_SENT
    assert SECRET not in everything_in(failure.value)


def test_a_budget_that_is_used_up_ends_the_task_before_sending():
    with pytest.raises(ProviderError) as failure:
        Budget("Jira", 0.0).left()
    assert failure.value.outcome is Outcome.NOT_SENT
    assert 0 < Budget("Jira", 5.0).left() <= 5.0


@pytest.mark.parametrize("value", ["", "a b", "a\nb", "a\r", "tökén", "“x”", "\x7f"])
def test_a_secret_that_fits_in_no_header_is_refused_without_showing_it(value):
    with pytest.raises(ProviderError) as failure:
        check_header_value(value, label="Slack", what="bot token")
    assert failure.value.outcome is Outcome.CREDENTIALS
    assert not value or value not in everything_in(failure.value)


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b"\xff\xfe", b"[" * 100_000, b'"x"', b"{"])
def test_anything_but_a_json_object_is_none(body):
    assert parse_object(body) is None


@pytest.mark.parametrize(
    "echo",
    [
        SECRET,
        f"Bearer {SECRET}",
        quote(SECRET, safe=""),
        json.dumps({"token": SECRET}),
        *(base64.b64encode(b"x" * pad + SECRET.encode() + b":y").decode() for pad in range(4)),
    ],
)
def test_text_that_contains_a_secret_in_any_spelling_is_not_shown(echo):
    assert vendor_words(f"bad: {echo}", secrets=[SECRET]) == ""


def test_a_line_of_a_secret_file_is_a_secret_too():
    assert vendor_words("near line-two-of-key", secrets=["line-one\nline-two-of-key\n"]) == ""


def test_other_text_is_one_line_of_limited_length():
    assert vendor_words("a\n b\x00\t c", secrets=[SECRET]) == "a b c"
    assert vendor_words("x" * 500, secrets=[SECRET], limit=10) == "x" * 9 + "…"
    assert vendor_words(None, secrets=[]) == ""


def warn():
    yield Check(name="warned", ok=False, level=Level.WARNING)


def test_checks_go_on_after_a_warning_and_end_after_an_error():
    refused = fail_with(ProviderError("x", "No.", outcome=Outcome.REFUSED))
    steps = [("a", list), ("b", warn), ("c", refused), ("d", list)]
    checks = try_in_order("Slack", steps)
    assert [(check.name, check.ok) for check in checks] == [
        ("a", True),
        ("warned", False),
        ("c", False),
    ]


@pytest.mark.parametrize(
    ("outcome", "name", "passing"),
    [
        (Outcome.CREDENTIALS, "credentials", False),
        (Outcome.RATE_LIMITED, "credentials", True),
        (Outcome.NOT_SENT, "address", True),
        (Outcome.UNCERTAIN, "address", True),
        (Outcome.REFUSED, "address", False),
    ],
)
def test_the_first_request_distinguishes_address_and_credentials(outcome, name, passing):
    checks = first_contact("Slack", fail_with(ProviderError("x", "No.", outcome=outcome)))
    assert (checks[-1].name, checks[-1].ok, checks[-1].is_temporary) == (name, False, passing)
