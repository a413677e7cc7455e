"""A bundle on its way from the CI server to Google Play, against the strict stand-in."""

import dataclasses
import io
import json
import os
import tracemalloc
import zipfile

import pytest

from integrations.providers.base import Outcome, ProviderError
from integrations.providers.play_store import uploads
from integrations.providers.play_store.provider import PlayStore
from integrations.providers.stores import UPLOAD, BuildFile, SubmissionPlan
from integrations.providers.tests.sandbox import failed
from sandbox import accounts
from sandbox.play import bundles
from sandbox.play.acts import ACTS

pytestmark = pytest.mark.slow

PLAN = SubmissionPlan(version="1.5.0", build="245", shares=(5, 20), file="app.aab")
UPLOADS = "*/upload/*/bundles"


class Parts:
    """An open download."""

    def __init__(self, content):
        self._file, self.closed = io.BytesIO(content), False

    def __iter__(self):
        return self

    def __next__(self):
        if part := self._file.read(64 * 1024):
            return part
        raise StopIteration

    def close(self):
        self.closed = True


def bundle(code=245, *, padding=0, package=accounts.APP_IDENTIFIER):
    raw = io.BytesIO(bundles.make(package, code, "1.5.0"))
    with zipfile.ZipFile(raw, "a") as archive:
        archive.writestr("base/assets/padding", os.urandom(padding))
    return raw.getvalue()


class Source:
    def __init__(self, content, *, pieces=1000):
        self.content, self.opened, self._pieces = content, [], pieces

    def open(self):
        self.opened.append(Parts(self.content))
        return self.opened[-1]

    def may_go_on(self):
        self._pieces -= 1
        return self._pieces >= 0

    @property
    def file(self):
        return BuildFile(name="app.aab", open=self.open, may_go_on=self.may_go_on)


@pytest.fixture
def store(sandbox):
    account = json.dumps(sandbox.accounts.google_service_account)
    return PlayStore(service_account=account, app_identifier=accounts.APP_IDENTIFIER)


@pytest.fixture
def play(sandbox):
    return sandbox.state.stores.play


def uploaded(sandbox):
    return [entry["code"] for entry in sandbox.state.ledger.of("bundle.uploaded")]


def refused(store, source, plan=PLAN):
    with pytest.raises(ProviderError) as caught:
        store.upload(plan, source.file)
    assert all(parts.closed for parts in source.opened)
    return caught.value


def test_a_bundle_is_uploaded_in_pieces_and_released(sandbox, store, play):
    source = Source(bundle(padding=2 * uploads.PIECE))
    done = store.upload(PLAN, source.file)
    assert (done["status"], done["fraction"]) == ("inProgress", "0.05")
    assert uploaded(sandbox) == [245]
    assert sandbox.state.requests.count(method="PUT", path=UPLOADS) == 3
    assert play.edits.open == {}
    assert all(parts.closed for parts in source.opened)
    assert store.find_step(UPLOAD, PLAN) is not None


def test_memory_holds_a_few_pieces_and_not_the_file():
    """The stand-in runs in another thread of the same process: so only the pieces are looked at."""
    tracemalloc.start()
    try:
        size = sum(len(piece) for piece, _ in uploads.pieces(b"x" * 65536 for _ in range(3200)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size == 3200 * 65536
    assert peak < 6 * uploads.PIECE


@pytest.mark.parametrize("size", [1, uploads.PIECE, uploads.PIECE + 1, 3 * uploads.PIECE])
def test_pieces_are_of_one_size_and_the_last_one_is_known(size):
    found = list(uploads.pieces(iter([b"x" * size])))
    assert sum(len(piece) for piece, _ in found) == size
    assert [is_last for _, is_last in found] == [False] * (len(found) - 1) + [True]
    assert {len(piece) for piece, is_last in found if not is_last} <= {uploads.PIECE}


@pytest.mark.parametrize("fault", ["drop_before", "drop_after"])
@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_piece_whose_response_is_lost_is_uploaded_once(sandbox, store, fault, after):
    source = Source(bundle(padding=2 * uploads.PIECE))
    count = 0

    def may_go_on():
        nonlocal count
        if count == after:
            sandbox.state.faults.add(fault, method="PUT", path=UPLOADS, count=1)
        count += 1
        return True

    store.upload(PLAN, dataclasses.replace(source.file, may_go_on=may_go_on))
    assert store.find_step(UPLOAD, PLAN) is not None
    assert (uploaded(sandbox), play_codes(sandbox)) == ([245], [245])


def play_codes(sandbox):
    app = sandbox.state.stores.play.apps[accounts.APP_IDENTIFIER]
    codes = [code for release in app.tracks["production"] for code in release["versionCodes"]]
    return [int(code) for code in codes if int(code) == 245]


def test_an_upload_gives_way_and_leaves_nothing(sandbox, store, play):
    error = refused(store, Source(bundle(padding=2 * uploads.PIECE), pieces=1))
    assert (error.code, error.outcome) == ("interrupted", Outcome.NOT_YET)
    assert uploaded(sandbox) == []
    assert play.edits.open == {}
    assert store.find_step(UPLOAD, PLAN) is None


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"not a zip file", "not_a_bundle"),
        (b"", "not_a_bundle"),
        (bundle(code=246), "other_version_code"),
        (b"PK\x03\x04 but no bundle", "artifact"),
        (bundle(package="com.example.other"), "artifact"),
    ],
)
def test_another_file_is_refused_in_words(sandbox, store, play, content, code):
    error = refused(store, Source(content))
    assert (error.code, error.outcome) == (code, Outcome.REFUSED)
    assert error.message
    assert error.hint
    assert play.edits.open == {}
    assert play_codes(sandbox) == []


def test_what_google_has_is_not_uploaded_again(sandbox, store, play):
    ACTS["upload"](play, {"version": "1.5.0", "number": 245})
    before = uploaded(sandbox)
    source = Source(bundles.make(accounts.APP_IDENTIFIER, 245, "1.5.0"))
    store.upload(PLAN, source.file)
    assert uploaded(sandbox) == before
    assert play_codes(sandbox) == [245]


def test_another_bundle_of_the_same_version_code_is_not_released(sandbox, store, play):
    ACTS["upload"](play, {"version": "1.5.0", "number": 245})
    error = refused(store, Source(bundle(padding=10)))
    assert (error.code, error.outcome) == ("other_bundle", Outcome.REFUSED)
    assert play_codes(sandbox) == []


def test_a_file_that_the_ci_server_no_longer_has_is_refused(store, play):
    def gone():
        raise ProviderError.refused("not_found", "Jenkins no longer has app.aab.", "Build again.")

    file = BuildFile(name="app.aab", open=gone, may_go_on=lambda: True)
    with pytest.raises(ProviderError) as caught:
        store.upload(PLAN, file)
    assert caught.value.message == "Jenkins no longer has app.aab."
    assert play.edits.open == {}


def test_the_address_of_an_upload_is_one_of_the_api(sandbox, store, monkeypatch):
    monkeypatch.setattr(
        "sandbox.providers.google_play.uploads.own_url", lambda name: "http://127.0.0.1:9/evil"
    )
    error = refused(store, Source(bundle()))
    assert error.code == "garbage"


def test_the_preflight_says_that_it_will_be_uploaded(store):
    checks = {check.name: check for check in store.preflight(PLAN)}
    assert failed(checks.values()) == {}
    assert checks["build"].message == "app.aab will be uploaded."
    without = failed(store.preflight(dataclasses.replace(PLAN, file="")))
    assert without["build"].code == "version_code_unknown"
    assert "have delivr upload it" in without["build"].hint
