"""A build that is known is read and stopped; jobs are listed; no answer gives the token away."""

import base64

import pytest

from integrations.providers.base import Outcome, ProviderError
from integrations.providers.ci import BuildHandle, BuildState, BuildStatus
from integrations.providers.jenkins.jobs import MAX_JOBS
from integrations.providers.jenkins.provider import Jenkins
from integrations.providers.jenkins.tests.answers import (
    BUILD_PERMISSION,
    ITEM,
    PATH,
    QUEUE,
    SINCE,
    TOKEN,
    TRIGGER,
    WHO,
    find,
    job_or_builds,
    ok,
    page,
    payload,
    read,
    trigger,
)
from integrations.providers.tests.wire import Reply, everything_in

# --- read ----------------------------------------------------------------------------------------


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
    wire.routes[f"{PATH}/245/api/json"] = ok(payload("build__success_with_artifacts"))
    found = read(jenkins(), queue_id=7041)
    assert (found.number, found.artifact_url.endswith(".ipa")) == (245, True)
    wire.routes[f"{PATH}/api/json"] = job_or_builds("builds__without_parameters")
    wire.routes[f"{PATH}/12/api/json"] = ok(
        {**payload("build__success_with_artifacts"), "number": 12}
    )
    assert read(jenkins(), queue_id=7041).number == 12


def test_a_queue_id_that_another_job_has_now_is_not_ours(jenkins, wire):
    wire.routes[ITEM] = ok(payload("queue_item__other_job"))
    wire.routes[f"{PATH}/api/json"] = job_or_builds("builds__none")
    assert read(jenkins(), queue_id=7041) is None


def test_a_number_that_another_release_has_now_says_whose_it_is(jenkins, wire):
    wire.routes[f"{PATH}/245/api/json"] = ok(payload("build__of_another_release"))
    assert read(jenkins(), number=245).carried_id == "bld_other"


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
    wire.routes[f"{PATH}/245/api/json"] = ok(payload("build__success_with_artifacts"))
    assert read(jenkins()).number == 245


@pytest.mark.parametrize("app", ["App-1.5.0.ipa", "app-release.aab", "app-release.apk"])
def test_the_app_is_the_artifact_wherever_it_stands(jenkins, wire, app):
    paths = ["reports/lint.html", "mapping.txt", "App.app.dSYM.zip", f"build/{app}"]
    build = {"number": 245, "building": False, "result": "SUCCESS"}
    build["artifacts"] = [{"relativePath": path} for path in paths]
    wire.routes[f"{PATH}/245/api/json"] = ok(build)
    assert read(jenkins(), number=245).artifact_url.endswith(f"/artifact/build/{app}")


def test_an_artifacts_name_is_fit_to_be_kept_and_shown(jenkins, wire):
    """No database takes a NUL or half of a pair within JSON."""
    build = {"number": 245, "building": False, "result": "SUCCESS"}
    build["artifacts"] = [{"relativePath": "out/a\0b\ud800\u202e.ipa"}]
    wire.routes[f"{PATH}/245/api/json"] = ok(build)
    [artifact] = read(jenkins(), number=245).artifacts
    assert artifact.name == "a b  .ipa"


def test_a_queue_id_of_zero_is_none(jenkins, wire):
    wire.routes[f"{PATH}/245/api/json"] = ok({"number": 245, "building": True, "queueId": 0})
    assert read(jenkins(), number=245).queue_id is None


def test_a_job_may_be_entered_in_another_case_than_jenkins_tells_it_in(jenkins, wire):
    item = payload("queue_item__waiting")
    item["task"]["url"] = item["task"]["url"].upper().replace("/JOB/", "/job/")
    wire.routes[ITEM] = ok(item)
    assert read(jenkins(), queue_id=7041).status is BuildStatus.QUEUED


OUTPUTS = "app/build/outputs"


@pytest.mark.parametrize(
    ("worse", "best"),
    [
        ("apk/debug/app-debug.apk", "apk/release/app-release.apk"),
        ("apk/freeDebug/app.apk", "apk/freeRelease/app.apk"),
        ("apk/androidTest/free/app-androidTest.apk", "apk/free/app.apk"),
        ("apk/release/app-release-unsigned.apk", "apk/release/app-release.apk"),
        ("bundle/debug/app-debug.aab", "apk/release/app-release.apk"),
        ("Debug-iphonesimulator/App.ipa", "Release-iphoneos/App.ipa"),
        ("apk/release/app-arm64-v8a-release.apk", "apk/release/app-universal-release.apk"),
        ("apk/release/app-armeabi-v7a-release.apk", "apk/release/app-release.apk"),
        ("splits/base-x86_64.apk", "standalone.apk"),
        ("apk/app-xxhdpi-release.apk", "apk/app-universal-xxhdpi-release.apk"),
        ("apk/app-universal-debug.apk", "apk/app-x86-release.apk"),
        ("apk/debug/app-debug.apk", "apk/release/app-debugger-release.apk"),
        ("app-release.apk", "app-release.aab"),
        ("build.log", "mapping/release/mapping.txt"),
        ("a/gradle.log.gz", "lint.html"),
    ],
)
def test_the_release_for_all_devices_is_the_best_of_several(jenkins, wire, worse, best):
    """As Gradle and Xcode lay them out, whatever the order."""
    for paths in ([worse, best], [best, worse]):
        build = {"number": 245, "building": False, "result": "SUCCESS"}
        build["artifacts"] = [{"relativePath": f"{OUTPUTS}/{path}"} for path in paths]
        wire.routes[f"{PATH}/245/api/json"] = ok(build)
        urls = [artifact.url for artifact in read(jenkins(), number=245).artifacts]
        assert [url.partition(f"{OUTPUTS}/")[2] for url in urls] == [best, worse]


def test_lists_of_builds_ask_for_no_artifacts(jenkins, wire):
    wire.routes[f"{PATH}/api/json"] = job_or_builds("builds__none")
    read(jenkins())
    trees = [seen.query.get("tree", "") for seen in wire.seen]
    assert any("builds[" in str(tree) for tree in trees)
    assert not any("artifacts" in str(tree) for tree in trees)


@pytest.mark.parametrize(
    "body",
    [
        {"number": 245, "timestamp": 10**18, "actions": 7, "artifacts": {"x": 1}, "result": 7},
        {"number": 245, "result": None, "artifacts": [None, {"relativePath": None}]},
        {"number": 245, "actions": [None, {"parameters": [None, 7, {"name": []}]}]},
    ],
)
def test_odd_builds_are_read_without_an_accident(jenkins, wire, body):
    wire.routes[f"{PATH}/245/api/json"] = ok(body)
    state = read(jenkins(), number=245)
    assert (state.status, state.artifact_url) == (BuildStatus.RUNNING, "")


@pytest.mark.parametrize("number", [None, "245", -1, 2**64])
def test_what_is_no_build_is_not_taken_for_an_absence(jenkins, wire, number):
    wire.routes[f"{PATH}/245/api/json"] = ok({"number": number})
    with pytest.raises(ProviderError) as caught:
        read(jenkins(), number=245)
    assert caught.value.code == "garbage"


# --- cancel --------------------------------------------------------------------------------------


CANCEL = "/ci/queue/cancelItem"
STOP = f"{PATH}/245/stop"


@pytest.mark.parametrize("status", [204, 302])
def test_a_queued_build_is_taken_out_of_the_queue(jenkins, wire, status):
    wire.routes |= {CANCEL: ok(b"", status), ITEM: ok(payload("queue_item__cancelled"))}
    jenkins().cancel(BuildHandle(queue_id=7041))
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
    jenkins().cancel(BuildHandle(queue_id=7041))
    assert wire.count(STOP) == 1


def test_a_build_that_ended_is_left_alone(jenkins, wire):
    wire.routes[f"{PATH}/245/api/json"] = ok(payload("build__failure"))
    jenkins().cancel(BuildHandle(queue_id=7041, number=245))
    wire.routes[f"{PATH}/245/api/json"] = page("Not Found", 404)
    jenkins().cancel(BuildHandle(number=245))
    assert all(seen.method == "GET" for seen in wire.seen)


def test_a_refused_stop_says_why(jenkins, wire):
    header = {"X-Required-Permission": "hudson.model.Item.Cancel"}
    wire.routes |= {
        f"{PATH}/245/api/json": ok(payload("build__running")),
        STOP: page("Access Denied", 403, **header),
    }
    with pytest.raises(ProviderError, match="Job/Cancel"):
        jenkins().cancel(BuildHandle(number=245))


def test_an_item_that_may_not_be_cancelled_says_so(jenkins, wire):
    wire.routes |= {CANCEL: ok(b"", 422), ITEM: ok(payload("queue_item__blocked"))}
    with pytest.raises(ProviderError) as caught:
        jenkins().cancel(BuildHandle(queue_id=7041))
    assert caught.value.outcome is Outcome.REFUSED


@pytest.mark.parametrize("status", [404, 422])
def test_an_item_that_left_without_a_number_yet_is_tried_again(jenkins, wire, status):
    left = {**payload("queue_item__left"), "executable": None}
    wire.routes |= {CANCEL: ok(b"", status), ITEM: ok(left)}
    with pytest.raises(ProviderError) as caught:
        jenkins().cancel(BuildHandle(queue_id=7041))
    assert (caught.value.code, caught.value.outcome) == ("just_left", Outcome.NOT_SENT)
    assert wire.count(STOP) == 0


# --- jobs ----------------------------------------------------------------------------------------


def test_jobs_are_listed_through_their_folders_by_name(jenkins, wire):
    wire.routes |= {
        "/ci/api/json": ok(payload("jobs__top")),
        "/ci/job/mobile/api/json": ok(payload("jobs__mobile")),
        "/ci/job/app/api/json": ok(payload("jobs__app")),
        "/ci/job/secret/api/json": page("Access Denied", 403, **BUILD_PERMISSION),
    }
    assert {option.value: option.label for option in jenkins(job_path="").jobs()} == {
        "/job/app": "app (the job of the release's branch)",
        "/job/app/job/release%252F1.5.0": "app/release/1.5.0",
        "/job/mobile/job/ios": "mobile/ios",
        "/job/nightly%20build": "nightly build",
    }


def test_folders_without_end_are_walked_within_bounds(jenkins, wire):
    inside = {"jobs": [{"_class": "x.Folder", "name": "a"}, {"_class": "x.Folder", "name": "b"}]}
    wire.routes = dict.fromkeys(all_folders(), ok(inside))
    found = jenkins().jobs()
    assert (found, len(wire.seen)) == ([], 30)
    assert "There are more" in found.note


def test_of_too_many_jobs_those_with_the_typed_words_are_offered(jenkins, wire):
    kind = "org.jenkinsci.plugins.workflow.job.WorkflowJob"
    many = [{"_class": kind, "name": f"job-{n}"} for n in range(MAX_JOBS)]
    deep = [{"_class": kind, "name": "ios-release"}]
    folder = {"_class": "x.Folder", "name": "z", "jobs": [{"_class": "x.Folder", "name": "y"}]}
    wire.routes["/ci/api/json"] = ok({"jobs": [*many, folder]})
    wire.routes["/ci/job/z/job/y/api/json"] = ok({"jobs": deep})
    found = jenkins(job_path="iOS").jobs()
    assert (found[0].label, len(found)) == ("z/y/ios-release", MAX_JOBS)
    assert found.note
    assert len(wire.seen) == 2


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


# --- secrets -------------------------------------------------------------------------------------


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
        server_url, username = "https://jenkins.example.com", "delivr"
        api_token, job, parameters = Secret(), "/job/ios", {}

    provider = Jenkins.from_connection(Connection())
    assert provider._token == TOKEN
    assert TOKEN not in repr(provider)
