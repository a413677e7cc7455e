"""The same code against the stand-in, which keeps state and speaks the whole protocol."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from integrations.providers.base import Outcome, ProviderError
from integrations.providers.ci import BuildHandle, BuildRequest, BuildStatus
from integrations.providers.jenkins.provider import Jenkins
from sandbox import accounts

pytestmark = pytest.mark.slow

GIVEN = {"VERSION": "1.5.0", "BRANCH": "release/1.5.0"}


class HastyJenkins(Jenkins):
    deadline = 1.0


@pytest.fixture
def jenkins(sandbox):
    def make(job="ios-prod", kind=Jenkins, **changes) -> Jenkins:
        given = {
            "url": f"{sandbox.url}/jenkins",
            "username": accounts.JENKINS_USER,
            "api_token": accounts.JENKINS_API_TOKEN,
        }
        return kind(**{**given, "job_path": job, **changes})

    return make


def wanted(build_id, **own):
    return BuildRequest(
        build_id=build_id,
        version=GIVEN["VERSION"],
        branch=GIVEN["BRANCH"],
        platform="IOS",
        parameters={**GIVEN, **own},
    )


def start(provider, build_id="bld_one"):
    return provider.trigger(wanted(build_id))


def find(provider, build_id="bld_one"):
    since = datetime.now(UTC) - timedelta(minutes=1)
    return provider.find(wanted(build_id), since=since)


def failed(provider):
    return {check.name: check.code for check in provider.verify() if not check.ok}


def follow(provider, queue_id, build_id="bld_one"):
    """Read until it is a build: a left item shows its build a moment later."""
    for _ in range(20):
        state = provider.read(BuildHandle(queue_id=queue_id), build_id=build_id)
        if state.number is not None:
            return state
    raise AssertionError("it never became a build")


@pytest.mark.parametrize(
    ("job", "failures"),
    [
        ("/job/ios-prod", {}),
        ("mobile/ios-beta", {}),
        ("/job/app/job/release%252F1.5.0", {}),
        ("app/release%2F1.5.0", {}),
        ("ios-no-build-id", {"correlation": "no_build_id"}),
        ("ios-misnamed", {"parameters": "parameters_missing"}),
        ("nightly", {"parameters": "no_parameters", "correlation": "no_build_id"}),
        ("ios-fresh", {"parameters": "no_parameters", "correlation": "no_build_id"}),
        ("ios-disabled", {"job": "disabled"}),
        ("ios-hidden", {"job": "job_not_found"}),
        ("mobile", {"job": "not_a_job"}),
        ("app", {}),
        ("nowhere", {"job": "job_not_found"}),
    ],
)
def test_each_job_is_judged(jenkins, job, failures):
    assert failed(jenkins(job)) == failures


def test_a_wrong_token_and_a_wrong_user_are_refused(jenkins):
    assert failed(jenkins(api_token="11wrong")) == {"credentials": "bad_credentials"}
    assert failed(jenkins(username="nobody")) == {"credentials": "bad_credentials"}


def test_a_user_who_may_not_see_jobs_is_told_so(jenkins):
    guest = jenkins(username=accounts.JENKINS_GUEST, api_token=accounts.JENKINS_GUEST_API_TOKEN)
    assert list(failed(guest)) == ["job"]


def test_an_address_beside_jenkins_is_not_jenkins(jenkins, sandbox):
    assert failed(jenkins(url=f"{sandbox.url}/github")) == {"address": "not_jenkins"}


def test_a_build_is_followed_from_the_queue_to_its_artifact(jenkins, sandbox):
    provider = jenkins()
    queued = start(provider)
    running = follow(provider, queued.queue_id)
    assert (running.status, running.number) == (BuildStatus.RUNNING, 245)
    sandbox.state.jenkins.finish("ios-prod", 245, "SUCCESS")
    done = provider.read(BuildHandle(queue_id=queued.queue_id, number=245), build_id="bld_one")
    assert done.status is BuildStatus.SUCCESS
    assert done.url == f"{sandbox.url}/jenkins/job/ios-prod/245/"
    assert done.artifact_url == f"{done.url}artifact/ios-245.ipa"


@pytest.mark.parametrize(
    ("result", "status"),
    [
        ("UNSTABLE", BuildStatus.UNSTABLE),
        ("FAILURE", BuildStatus.FAILURE),
        ("ABORTED", BuildStatus.ABORTED),
        ("NOT_BUILT", BuildStatus.ABORTED),
    ],
)
def test_each_end_is_read(jenkins, sandbox, result, status):
    provider = jenkins()
    number = follow(provider, start(provider).queue_id).number
    sandbox.state.jenkins.finish("ios-prod", number, result)
    assert provider.read(BuildHandle(number=number), build_id="bld_one").status is status


def test_a_result_that_is_set_early_is_no_end(jenkins, sandbox):
    provider = jenkins()
    number = follow(provider, start(provider).queue_id).number
    sandbox.state.jenkins.set_result("ios-prod", number, "FAILURE")
    running = provider.read(BuildHandle(number=number), build_id="bld_one")
    assert running.status is BuildStatus.RUNNING


@pytest.mark.parametrize("kind", ["drop_after", "timeout_after", "no_location"])
def test_a_build_whose_answer_was_lost_is_uncertain_and_then_found_once(jenkins, sandbox, kind):
    sandbox.state.faults.add(kind, provider="jenkins", method="POST", count=1)
    with pytest.raises(ProviderError) as caught:
        start(jenkins(kind=HastyJenkins))
    assert caught.value.outcome is Outcome.UNCERTAIN
    assert find(jenkins()) is not None
    assert find(jenkins(), "bld_other") is None
    assert len(sandbox.state.jenkins.builds_of("ios-prod")) == 1


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "drop_before"},
        {"kind": "timeout"},
        {"kind": "status", "status": 500},
        {"kind": "status", "status": 503},
        {"kind": "html_200"},
        {"kind": "garbage"},
        {"kind": "oversized"},
        {"kind": "drip_headers", "seconds": 0.05},
    ],
)
def test_trouble_that_left_nothing_behind_is_uncertain_and_then_not_found(jenkins, sandbox, fault):
    sandbox.state.faults.add(**fault, provider="jenkins", method="POST", count=1)
    with pytest.raises(ProviderError) as caught:
        start(jenkins(kind=HastyJenkins))
    assert caught.value.outcome is Outcome.UNCERTAIN
    assert find(jenkins()) is None
    assert sandbox.state.jenkins.builds_of("ios-prod") == []


@pytest.mark.parametrize("concurrent", [True, False], ids=["both run", "the second waits"])
def test_the_first_with_our_id_is_found_where_it_was_run_again(jenkins, sandbox, concurrent):
    sandbox.state.jenkins.job("ios-prod").concurrent = concurrent
    first = follow(jenkins(), start(jenkins()).queue_id)
    again = start(jenkins())
    if concurrent:
        follow(jenkins(), again.queue_id)
    assert find(jenkins()).number == first.number


def test_an_item_that_waits_is_found_with_its_reason(jenkins, sandbox):
    sandbox.state.jenkins.job("ios-prod").concurrent = False
    start(jenkins(), "bld_first")
    second = start(jenkins(), "bld_second")
    found = find(jenkins(), "bld_second")
    assert (found.status, found.queue_id) == (BuildStatus.QUEUED, second.queue_id)
    assert "already in progress" in found.queue_reason


def test_a_resent_trigger_is_merged_as_long_as_it_waits_and_is_ours(jenkins, sandbox):
    sandbox.state.jenkins.job("ios-prod").concurrent = False
    start(jenkins(), "bld_first")
    once, again = start(jenkins(), "bld_second"), start(jenkins(), "bld_second")
    assert (once.queue_id, once.is_shared) == (again.queue_id, again.is_shared)
    assert start(jenkins(), "bld_third").queue_id != once.queue_id


def test_two_releases_of_a_job_without_our_id_are_not_silently_one(jenkins, sandbox):
    job = sandbox.state.jenkins.job("ios-no-build-id")
    job.concurrent = False
    start(jenkins("ios-no-build-id"))
    first, second = start(jenkins("ios-no-build-id")), start(jenkins("ios-no-build-id"))
    assert first.queue_id == second.queue_id
    assert (first.is_shared, second.is_shared) == (False, True)


def test_a_job_without_parameters_is_built_and_cannot_be_searched(jenkins, sandbox):
    provider = jenkins("nightly")
    sandbox.state.jenkins.job("nightly").concurrent = False
    started = follow(provider, start(provider).queue_id)
    assert started.number == 12
    waiting, merged = start(provider), start(provider)
    assert (waiting.is_shared, merged.is_shared) == (False, True)
    with pytest.raises(ProviderError) as caught:
        find(provider)
    assert caught.value.code == "cannot_correlate"


def test_a_build_is_read_after_jenkins_forgot_its_queue(jenkins, sandbox):
    provider = jenkins()
    queue_id = start(provider).queue_id
    follow(provider, queue_id)
    sandbox.state.jenkins.forget_left_items()
    assert provider.read(BuildHandle(queue_id=queue_id), build_id="bld_one").number == 245


def test_a_deleted_build_is_none(jenkins, sandbox):
    provider = jenkins()
    number = follow(provider, start(provider).queue_id).number
    sandbox.state.jenkins.delete_build("ios-prod", number)
    assert provider.read(BuildHandle(number=number), build_id="bld_one") is None


def test_a_queued_and_a_running_build_are_stopped(jenkins, sandbox):
    provider = jenkins()
    sandbox.state.jenkins.job("ios-prod").concurrent = False
    running = follow(provider, start(provider, "bld_a").queue_id, "bld_a")
    waiting = start(provider, "bld_b")
    provider.cancel(BuildHandle(queue_id=waiting.queue_id))
    provider.cancel(BuildHandle(number=running.number))
    for build_id, queue_id in (("bld_a", running.queue_id), ("bld_b", waiting.queue_id)):
        state = provider.read(BuildHandle(queue_id=queue_id), build_id=build_id)
        assert state.status is BuildStatus.ABORTED
    provider.cancel(BuildHandle(queue_id=waiting.queue_id))  # once more does no harm
    provider.cancel(BuildHandle(number=running.number))


def test_a_build_that_left_the_queue_is_stopped_by_its_queue_id(jenkins, sandbox):
    provider = jenkins()
    queue_id = start(provider).queue_id
    number = follow(provider, queue_id).number
    provider.cancel(BuildHandle(queue_id=queue_id))
    assert sandbox.state.jenkins.build("ios-prod", number).result == "ABORTED"


def test_a_reader_may_neither_build_nor_stop(jenkins):
    number = follow(jenkins(), start(jenkins()).queue_id).number
    reader = jenkins(username=accounts.JENKINS_READER, api_token=accounts.JENKINS_READER_API_TOKEN)
    for attempt in (
        lambda: start(reader),
        lambda: reader.cancel(BuildHandle(number=number)),
    ):
        with pytest.raises(ProviderError) as caught:
            attempt()
        assert caught.value.outcome is Outcome.CREDENTIALS
        assert "Job/" in caught.value.message


def test_a_password_in_place_of_a_token_is_told(jenkins):
    provider = jenkins(api_token=accounts.JENKINS_PASSWORD)
    with pytest.raises(ProviderError) as caught:
        start(provider)
    assert caught.value.code == "crumb_required"
    assert "API token" in caught.value.hint


def test_a_jenkins_that_believes_in_another_address_of_its_own_is_no_trouble(jenkins, sandbox):
    sandbox.state.jenkins.location_base = "http://jenkins.internal:8080"
    provider = jenkins()
    state = follow(provider, start(provider).queue_id)
    assert state.url == f"{sandbox.url}/jenkins/job/ios-prod/245/"
    assert find(provider).number == 245


def test_a_plugin_that_declines_is_no_success(jenkins, sandbox):
    sandbox.state.jenkins.job("ios-prod").refuses = True
    with pytest.raises(ProviderError) as caught:
        start(jenkins())
    assert (caught.value.code, caught.value.outcome) == ("not_scheduled", Outcome.REFUSED)


def test_a_value_that_a_choice_does_not_allow_is_named(jenkins):
    provider = jenkins("mobile/ios-beta")
    with pytest.raises(ProviderError) as caught:
        provider.trigger(wanted("bld_one", TRACK="beta"))
    assert (caught.value.code, caught.value.outcome) == ("illegal_choice", Outcome.REFUSED)
    assert "TRACK" in caught.value.message


def test_the_picker_offers_what_can_be_connected(jenkins):
    options = jenkins("").jobs()
    assert {"/job/ios-prod", "/job/mobile/job/ios-beta"} <= {o.value for o in options}
    assert "app/release/1.5.0" in [option.label for option in options]
    assert not {"/job/mobile", "/job/ios-hidden"} & {o.value for o in options}
    for option in options:
        assert failed(jenkins(option.value)).get("job") in (None, "disabled")


def test_twenty_triggers_at_once_are_twenty_builds(jenkins, sandbox):
    threads = [
        threading.Thread(target=start, args=(jenkins(), f"bld_{number}")) for number in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    numbers = {find(jenkins(), f"bld_{number}").queue_id for number in range(20)}
    assert len(numbers) == 20
