"""A build whose answer was lost is looked for."""

from datetime import timedelta

import pytest

from integrations.providers.base import Outcome, ProviderError
from integrations.providers.ci import BuildHandle, BuildStatus
from integrations.providers.jenkins.tests.answers import (
    PATH,
    QUEUE,
    SINCE,
    find,
    job_or_builds,
    ok,
    payload,
)
from integrations.providers.tests.wire import Reply


def test_a_lost_build_is_found_in_the_queue(jenkins, wire):
    wire.routes[QUEUE] = ok(payload("queue__ours_behind_others"))
    state = find(jenkins())
    assert (state.status, state.queue_id) == (BuildStatus.QUEUED, 7041)
    assert state.queue_reason == "Build #244 is already in progress"


def test_a_lost_build_is_found_among_the_builds_after_the_queue_was_looked_at(jenkins, wire):
    wire.routes[f"{PATH}/api/json"] = job_or_builds("builds__ours_second")
    wire.routes[f"{PATH}/245/api/json"] = ok(payload("build__success_with_artifacts"))
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


# --- Retries that somebody made on the server -----------------------------------------------------

OURS = [{"name": "DELIVR_BUILD_ID", "value": "bld_sought"}]
REBUILD = "com.sonyericsson.rebuild.RebuildCause"
NAGINATOR = "com.chikli.hudson.plugin.naginator.NaginatorCause"


def listed(number, *causes, parameters=(), commit=None):
    actions = [{"parameters": list(parameters)}, {"causes": list(causes)}, {}]
    if commit is not None:
        actions.append({"lastBuiltRevision": {"SHA1": commit}})
    return {"number": number, "result": "SUCCESS", "actions": actions}


def retries(jenkins, wire, *builds):
    wire.routes[f"{PATH}/api/json"] = ok({"builds": list(builds)})
    return jenkins.retries(BuildHandle(number=245), build_id="bld_sought", since=SINCE)


def test_what_carries_our_id_under_a_later_number_is_a_retry(jenkins, wire):
    by = {"userId": "dana", "userName": "Dana\nMills"}
    [retry] = retries(
        jenkins(),
        wire,
        listed(247, {"_class": NAGINATOR}, by, parameters=OURS, commit="a" * 40),
        listed(246, parameters=[{"name": "DELIVR_BUILD_ID", "value": "bld_another"}]),
        listed(245, parameters=OURS),
        listed(244, parameters=OURS),
    )
    assert (retry.state.number, retry.state.status) == (247, BuildStatus.SUCCESS)
    assert (retry.started_by, retry.commit) == ("Dana Mills", "a" * 40)


def test_a_rebuild_of_a_job_without_our_id_names_its_origin(jenkins, wire):
    found = retries(
        jenkins(),
        wire,
        listed(249, {"_class": REBUILD, "upstreamBuild": 245}),
        listed(248, {"_class": REBUILD, "upstreamBuild": 244}),
        listed(247, {"_class": "hudson.model.Cause$UpstreamCause", "upstreamBuild": 245}),
        listed(246),
    )
    assert [retry.state.number for retry in found] == [249]


def test_of_odd_causes_and_revisions_nothing_is_told(jenkins, wire):
    odd = [None, {"userName": 7}, {"userId": None}]
    [retry] = retries(jenkins(), wire, listed(246, *odd, parameters=OURS, commit="<b>"))
    assert (retry.started_by, retry.commit) == ("", "")


def test_retries_are_told_as_far_back_as_they_are_listed(jenkins, wire):
    wire.routes[f"{PATH}/api/json"] = busy_job(ours=120, age=timedelta())
    found = jenkins().retries(BuildHandle(number=1), build_id="bld_sought", since=SINCE)
    assert [retry.state.number for retry in found] == [120]


# --- Builds of a branch, whoever started them -----------------------------------------------------


def of_branch(number, *names, told=None):
    checkout = {"SHA1": "a" * 40, "branch": [{"name": name} for name in names]}
    parameters = [{"name": "BRANCH", "value": told}] if told else []
    by = {"causes": [{"userId": "dana", "userName": "Dana Mills"}]}
    actions = [{"parameters": parameters}, by, {"lastBuiltRevision": checkout} if names else {}]
    return {"number": number, "result": "SUCCESS", "actions": actions}


def test_builds_of_a_branch_are_told_with_who_started_them(jenkins, wire):
    wire.routes[f"{PATH}/api/json"] = ok(
        {
            "builds": [
                of_branch(250, told="origin/release/1.5.0"),
                of_branch(249, "refs/remotes/origin/release/1.5.0"),
                of_branch(248, "refs/remotes/origin/release/1.5.0", told="main"),
                of_branch(247, "refs/remotes/origin/main"),
                of_branch(246, "refs/remotes/origin/main", "refs/remotes/origin/release/1.5.0"),
                of_branch(245),
            ]
        }
    )
    found = jenkins().builds_of("release/1.5.0", since=SINCE)
    named = {state.number: (state.branch, state.commit[:1]) for state in found}
    assert named == {
        250: ("release/1.5.0", ""),
        249: ("release/1.5.0", "a"),
        246: ("release/1.5.0", "a"),
        245: ("", ""),
    }
    assert {state.started_by for state in found} == {"Dana Mills"}
