import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from integrations.providers.ci import BuildReport, BuildStatus
from integrations.providers.jenkins.webhook import parse

PAYLOADS = Path(__file__).parent / "payloads"


def report(name: str) -> BuildReport:
    return parse((PAYLOADS / f"{name}.json").read_bytes())


def test_the_body_of_a_pipeline_step_is_read():
    assert report("step__success") == BuildReport(
        status=BuildStatus.SUCCESS, number=245, artifact_url="s3://builds/ios-245.ipa"
    )


def test_the_optional_fields_of_a_step_are_read():
    assert report("step__failure_with_ids") == BuildReport(
        status=BuildStatus.FAILURE,
        build_id="bld_sought",
        queue_id=7041,
        number=246,
        url="https://jenkins.example.com/job/ios-prod/246/",
        job_path="/job/ios-prod",
    )


def test_the_body_of_the_notification_plugin_is_read():
    assert report("notification__finalized_success") == BuildReport(
        status=BuildStatus.SUCCESS,
        build_id="bld_sought",
        queue_id=7041,
        number=245,
        url="https://jenkins.example.com/job/mobile/job/ios/245/",
        job_path="/job/mobile/job/ios",
        artifact_url="https://jenkins.example.com/job/mobile/job/ios/245/artifact/app.ipa",
        phase="FINALIZED",
        at=datetime(2025, 11, 22, 9, 0, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("notification__queued", BuildStatus.QUEUED),
        ("notification__started", BuildStatus.RUNNING),
        ("notification__completed_failure", BuildStatus.FAILURE),
        ("notification__finalized_not_built", BuildStatus.ABORTED),
        ("notification__unknown_phase", None),
        ("step__unknown_status", None),
        ("event__of_another_plugin", None),
    ],
)
def test_words_of_jenkins_become_ours(name, status):
    assert report(name).status == status


@pytest.mark.parametrize("unknown", [-1, 0, "-1"])
def test_a_queue_id_that_jenkins_does_not_know_is_none(unknown):
    build = {"number": 245, "phase": "FINALIZED", "status": "SUCCESS", "queue_id": unknown}
    step = {"buildNumber": 245, "status": "SUCCESS", "queueId": unknown}
    for body in ({"build": build}, step):
        report = parse(json.dumps(body).encode())
        assert (report.status, report.number, report.queue_id) == (BuildStatus.SUCCESS, 245, None)


@pytest.mark.parametrize(
    "body",
    [
        {"buildNumber": 245, "status": None},
        {"buildNumber": 245, "status": "null"},
        {"build": {"number": 245, "phase": "FINISHED", "status": "SUCCESS"}},
        {"build": {"number": 245, "phase": "NONE", "status": "SUCCESS"}},
    ],
)
def test_what_names_a_build_and_claims_nothing_is_a_reason_to_ask(body):
    report = parse(json.dumps(body).encode())
    assert (report.status, report.number, report.asks) == (None, 245, True)


def test_an_address_that_cannot_be_shown_is_left_out():
    build = {"number": 245, "phase": "FINALIZED", "status": "SUCCESS"}
    build |= {"url": "job/ios/245/", "full_url": "http://ci.example.com/\u200b"}
    report = parse(json.dumps({"build": build}).encode())
    assert (report.status, report.url, report.job_path) == (BuildStatus.SUCCESS, "", "/job/ios")


def test_an_id_that_is_a_number_is_the_pipelines_own():
    report = parse(b'{"buildNumber": 245, "buildId": 12, "status": "SUCCESS"}')
    assert (report.number, report.build_id) == (245, "")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe\xfd",
        b"buildNumber=245",
        b"[1]",
        b"null",
        b'"SUCCESS"',
        b'{"buildNumber": 245',
        b'{"buildNumber": NaN, "status": "SUCCESS"}',
        b'{"buildNumber": 245, "status": "SUCCESS", "x": Infinity}',
        b'{"buildNumber": ' + b"9" * 5000 + b', "status": "SUCCESS"}',
        b'{"buildNumber": ' + b"9" * 30 + b', "status": "SUCCESS"}',
        b'{"buildNumber": 24.5, "status": "SUCCESS"}',
        b'{"buildNumber": true, "status": "SUCCESS"}',
        b'{"buildNumber": -1, "status": "SUCCESS"}',
        b'{"buildNumber": 0, "status": "SUCCESS"}',
        b'{"buildNumber": "two", "status": "SUCCESS"}',
        '{"buildNumber": "２４５", "status": "SUCCESS"}'.encode(),
        b'{"buildNumber": [245], "status": "SUCCESS"}',
        b'{"buildNumber": 245}',
        b'{"buildNumber": 245, "status": ["SUCCESS"]}',
        b'{"buildNumber": 245, "status": "SUC\\u0000CESS"}',
        b'{"buildNumber": 245, "status": "SUCCESS", "artifactUrl": "s3://a\\u0000b"}',
        b'{"buildNumber": 245, "status": "SUCCESS", "artifactUrl": "s3://a\\ud800"}',
        b'{"buildNumber": 245, "status": "SUCCESS", "artifactUrl": "' + b"a" * 2001 + b'"}',
        b'{"buildNumber": null, "status": "SUCCESS"}',
        b'{"buildId": "bld_../x", "status": "SUCCESS"}',
        b'{"build": {"phase": "STARTED"}}',
        b'{"build": {"number": "x", "phase": "STARTED"}}',
        b'{"a":' * 100_000,
        b'{"build": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_an_unreadable_body_is_refused_in_words(body):
    with pytest.raises(ValueError, match=r"^[A-Za-z_]+( [^ ]+)+\.$") as caught:
        parse(body)
    assert type(caught.value) is ValueError


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "file:///etc/passwd",
        "data:text/html,x",
        "//elsewhere.example/x",
        "s3:",
        "https://[::1",
        "ftp://a/b",
    ],
)
def test_an_artifact_that_is_no_link_to_a_file_is_dropped_and_the_rest_is_kept(url):
    body = json.dumps(
        {"buildNumber": 245, "status": "SUCCESS", "artifactUrl": url, "buildUrl": url}
    )
    assert parse(body.encode()) == BuildReport(status=BuildStatus.SUCCESS, number=245)


@pytest.mark.parametrize("artifacts", [None, [], "x", {"a": None}, {"a": {}}, {"a": {"s3": ""}}])
def test_odd_artifacts_of_a_notification_do_not_matter(artifacts):
    body = json.loads((PAYLOADS / "notification__finalized_success.json").read_bytes())
    body["build"]["artifacts"] = artifacts
    assert parse(json.dumps(body).encode()).artifact_url == ""


def test_of_a_notifications_artifacts_the_app_is_the_best():
    body = json.loads((PAYLOADS / "notification__finalized_success.json").read_bytes())
    body["build"]["artifacts"] = {
        name: {"archive": f"https://ci.example.com/{name}"} for name in ("build.log", "app.aab")
    }
    assert parse(json.dumps(body).encode()).artifact_url == "https://ci.example.com/app.aab"


@pytest.mark.parametrize("timestamp", [None, 0, -1, True, "now", 2**62, 2**70])
def test_an_odd_time_of_a_notification_does_not_matter(timestamp):
    body = json.loads((PAYLOADS / "notification__started.json").read_bytes())
    body["build"]["timestamp"] = timestamp
    assert parse(json.dumps(body).encode()).at is None
