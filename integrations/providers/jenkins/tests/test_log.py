"""The end of a log, however long it is."""

import pytest

from integrations.providers.base import Outcome, ProviderError
from integrations.providers.ci import BuildHandle
from integrations.providers.jenkins.log import TAIL
from integrations.providers.jenkins.provider import Jenkins
from integrations.providers.tests.wire import LOGIN_PAGE, Reply

WHERE = "/ci/job/mobile/job/ios/245/logText/progressiveText"


class HastyJenkins(Jenkins):
    deadline = 0.5


@pytest.fixture
def tail(wire):
    def read(kind=Jenkins):
        given = {"url": f"{wire.url}/ci/", "username": "delivr", "api_token": "11canary0123456789"}
        return kind(**given, job_path="mobile/ios").log_tail(BuildHandle(number=245))

    return read


def serve(wire, log, **headers):
    """A progressive log as Stapler's LargeText gives it out."""

    def answer(seen):
        start = int(seen.query.get("start", 0))
        start = 0 if start > len(log) else start
        sent = {"X-Jenkins": "2.541.1", "X-Text-Size": str(len(log)), **headers}
        return Reply(log[start:], headers=sent)

    wire.routes[WHERE] = answer


def test_a_short_log_is_read_whole(tail, wire):
    serve(wire, b"one\ntwo\n")
    found = tail()
    assert (found.text, found.is_final) == ("one\ntwo\n", True)
    assert [(seen.method, seen.query) for seen in wire.seen] == [
        ("HEAD", {"start": "0"}),
        ("GET", {"start": "0"}),
    ]


def test_of_a_long_log_the_end_alone_is_asked_for(tail, wire):
    log = b"".join(b"line %d\n" % n for n in range(100_000))
    serve(wire, log)
    found = tail()
    assert found.text.endswith("line 99999\n")
    assert found.text.startswith("line ")  # whole lines
    assert len(found.text) <= TAIL
    assert wire.seen[-1].query == {"start": str(len(log) - TAIL)}


def test_a_log_that_is_still_written_says_so(tail, wire):
    serve(wire, b"so far\n", **{"X-More-Data": "true"})
    assert not tail().is_final


def test_a_log_that_was_replaced_meanwhile_is_cut(tail, wire):
    """An offset beyond the end is taken for 0: all of it comes."""
    log = b"old\n" * (TAIL // 2)
    serve(wire, log, **{"X-Text-Size": str(10 * len(log))})
    found = tail()
    assert len(found.text) <= TAIL
    assert found.text.startswith("old\n")


def test_bytes_that_are_no_text_do_not_hurt(tail, wire):
    serve(wire, b"\xff\xfe\x00 text\n")
    assert "text" in tail().text


@pytest.mark.parametrize(
    ("reply", "code", "outcome"),
    [
        (Reply(b"", 404, {"X-Jenkins": "2"}), "log_gone", Outcome.REFUSED),
        (Reply(b"", 404), "not_jenkins", Outcome.NOT_SENT),
        (Reply(b"", 500, {"X-Jenkins": "2"}), "server_error", Outcome.UNCERTAIN),
        (Reply(b"log"), "no_log_size", Outcome.REFUSED),
        (Reply(b"log", headers={"X-Text-Size": "-1"}), "no_log_size", Outcome.REFUSED),
        (Reply(b"log", headers={"X-Text-Size": "9" * 400}), "no_log_size", Outcome.REFUSED),
        (LOGIN_PAGE, "no_log_size", Outcome.REFUSED),
        (Reply(fault="reset"), "reset", Outcome.UNCERTAIN),
        (Reply(fault="hang"), "timeout", Outcome.UNCERTAIN),
    ],
)
def test_each_trouble_is_told_apart(tail, wire, reply, code, outcome):
    wire.routes[WHERE] = reply
    with pytest.raises(ProviderError) as caught:
        tail(HastyJenkins)
    assert (caught.value.code, caught.value.outcome) == (code, outcome)


def test_a_log_beyond_all_bounds_is_not_taken_in(tail, wire):
    wire.routes[WHERE] = Reply(b"x" * 3_000_000, headers={"X-Text-Size": "10"})
    with pytest.raises(ProviderError) as caught:
        tail()
    assert caught.value.code == "too_large"
