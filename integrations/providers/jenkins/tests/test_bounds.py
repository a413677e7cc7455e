"""No size of a build, a job or a server makes it unreadable: answers are asked for in bounds, and
in smaller parts where one is larger than what is read."""

import re

import pytest

from integrations.providers.base import Outcome, ProviderError
from integrations.providers.ci import BuildHandle, BuildStatus
from integrations.providers.jenkins.tests.answers import (
    GIVEN,
    ITEM,
    PATH,
    QUEUE,
    SINCE,
    find,
    job_or_builds,
    ok,
    payload,
    read,
    trigger,
)
from integrations.providers.tests.wire import Reply
from sandbox.providers.jenkins_export import parse_tree

pytestmark = pytest.mark.slow

MEGABYTE = "x" * 1024 * 1024
JOB, BUILD = f"{PATH}/api/json", f"{PATH}/245/api/json"
RANGE = re.compile(r"\{(\d+),(\d+)\}$")
LISTS = {"actions", "parameters", "parameterDefinitions", "property", "choices", "causes"}
LISTS |= {"items", "builds", "allBuilds", "artifacts", "jobs"}


def build(number, ours=245, size=0):
    named = {"DELIVR_BUILD_ID": "bld_sought" if number == ours else "bld_other", "LONG": "x" * size}
    parameters = [{"name": name, "value": value} for name, value in named.items()]
    stamp = int(SINCE.timestamp() * 1000)
    return {
        "number": number,
        "queueId": number,
        "building": False,
        "result": "SUCCESS",
        "timestamp": stamp,
        "actions": [{"parameters": parameters}],
    }


def part_of(name, everything, without="actions"):
    """Answers a `tree` with what it asks for of a list."""

    def answer(seen):
        tree = seen.query["tree"]
        if not tree.startswith(f"{name}["):
            return ok(payload("job__ready"))
        start, end = map(int, RANGE.search(tree).groups())
        chosen = everything[start:end]
        if without not in tree:
            chosen = [{k: v for k, v in one.items() if k != without} for one in chosen]
        return ok({name: chosen})

    return answer


def test_every_list_is_requested_with_limits(jenkins, wire):
    wire.routes[BUILD] = ok(build(245))
    wire.routes[JOB] = job_or_builds("builds__none")
    wire.routes[ITEM] = ok({"id": 7041, "why": "waits"})
    wire.routes["/ci/api/json"] = ok({"jobs": []})
    ours = jenkins()
    ours.verify(), ours.jobs(), trigger(ours), find(ours), read(ours, number=245)
    read(ours, queue_id=7041)
    for handle in (BuildHandle(number=245), BuildHandle(queue_id=7041)):
        ours.duplicate(handle, build_id="bld_sought")
    trees = {seen.query["tree"] for seen in wire.seen if "tree" in seen.query}
    assert len(trees) > 8
    for tree in trees:
        assert not LISTS & set(unbounded(parse_tree(tree))), tree


def unbounded(tree):
    for name, branch in tree.items():
        yield from unbounded(branch.below)
        if branch.last is None:
            yield name


@pytest.mark.parametrize("size", [30_000, 600_000])
def test_a_page_of_builds_that_is_too_large_is_requested_in_smaller_ones(jenkins, wire, size):
    builds = [build(number, size=size) for number in range(260, 200, -1)]
    wire.routes[JOB] = part_of("builds", builds)
    wire.routes[BUILD] = ok(build(245))
    found = find(jenkins())
    assert (found.status, found.number) == (BuildStatus.SUCCESS, 245)


def test_a_build_that_is_too_large_alone_hides_no_other(jenkins, wire):
    builds = [build(246, size=len(MEGABYTE)), build(245)]
    wire.routes[JOB] = part_of("builds", builds)
    wire.routes[BUILD] = ok(build(245))
    assert find(jenkins()).number == 245


def test_a_build_that_is_not_in_smaller_pages_either_is_missing(jenkins, wire):
    builds = [build(number, ours=None, size=200_000) for number in range(20, 0, -1)]
    wire.routes[JOB] = part_of("builds", builds)
    assert find(jenkins()) is None
    starts = [RANGE.search(seen.query["tree"]) for seen in wire.seen if seen.path == JOB]
    assert len([start for start in starts if start]) < 40


def test_a_build_with_more_files_than_are_read_at_once_has_its_app(jenkins, wire):
    paths = [f"reports/{'x' * 400}/{n}.html" for n in range(4000)] + ["build/App.ipa"]
    artifacts = [{"relativePath": path} for path in paths]
    by_itself = part_of("artifacts", artifacts)

    def answer(seen):
        tree = seen.query["tree"]
        if tree.startswith("artifacts["):
            return by_itself(seen)
        return ok(build(245) | ({"artifacts": artifacts} if "artifacts" in tree else {}))

    wire.routes[BUILD] = answer
    state = read(jenkins(), number=245)
    assert (state.carried_id, state.artifact_url.endswith("/build/App.ipa")) == ("bld_sought", True)


def without_the_long(tree_has, long, short):
    return lambda seen: ok(long if tree_has in seen.query["tree"] else short)


def test_a_build_whose_parameters_are_too_long_is_read_without_them(jenkins, wire):
    plain = {k: v for k, v in build(245).items() if k != "actions"} | {"artifacts": []}
    long = build(245, size=len(MEGABYTE))
    wire.routes[BUILD] = without_the_long("actions", long, plain)
    state = read(jenkins(), number=245)
    assert (state.status, state.number, state.carried_id) == (BuildStatus.SUCCESS, 245, "")


def test_an_item_whose_parameters_are_too_long_is_read_without_them(jenkins, wire):
    plain = {"id": 7041, "why": "waits"}
    wire.routes[ITEM] = without_the_long("actions", plain | {"actions": [MEGABYTE]}, plain)
    state = read(jenkins(), queue_id=7041)
    assert (state.status, state.queue_reason) == (BuildStatus.QUEUED, "waits")


def test_a_job_whose_choices_are_too_many_to_be_read_is_triggered(jenkins, wire):
    names = [*GIVEN, "DELIVR_BUILD_ID"]
    declared = [{"name": name, "type": "StringParameterDefinition"} for name in names]
    choices = {"name": "DEVICE", "type": "ChoiceParameterDefinition", "choices": [MEGABYTE]}
    short = {"buildable": True, "property": [{"parameterDefinitions": declared}]}
    long = {"buildable": True, "property": [{"parameterDefinitions": [*declared, choices]}]}
    wire.routes[JOB] = without_the_long("choices", long, short)
    assert trigger(jenkins()).status is BuildStatus.QUEUED
    assert wire.last(f"{PATH}/buildWithParameters").form["VERSION"] == "1.5.0"
    assert not [check for check in jenkins().verify() if not check.ok]


def item(number, ours):
    value = "bld_sought" if number == ours else "bld_other"
    parameters = [{"name": "DELIVR_BUILD_ID", "value": value}]
    return {"id": number, "why": "waits", "actions": [{"parameters": parameters}]}


@pytest.mark.parametrize("ours", [4000, 3801, 3000, 2001])
def test_our_build_is_found_in_a_long_queue(jenkins, wire, ours):
    wire.routes[QUEUE] = part_of("items", [item(number, ours) for number in range(4000, 2000, -1)])
    wire.routes[JOB] = part_of("builds", [])
    assert find(jenkins()).queue_id == ours


def test_items_that_move_up_in_the_queue_while_it_is_read_are_not_missed(jenkins, wire):
    """Items before ours leave between two pages."""
    everything = [item(number, 400) for number in range(600, 200, -1)]

    def answer(seen):
        reply = part_of("items", list(everything))(seen)
        del everything[:15]
        return reply

    wire.routes[QUEUE] = answer
    wire.routes[JOB] = part_of("builds", [])
    assert find(jenkins()).queue_id == 400


def test_an_endless_queue_does_not_mean_that_the_build_is_missing(jenkins, wire):
    wire.routes[QUEUE] = lambda seen: ok({"items": [item(n, None) for n in range(200)]})
    wire.routes[JOB] = part_of("builds", [])
    with pytest.raises(ProviderError) as caught:
        find(jenkins())
    assert (caught.value.code, caught.value.outcome) == ("cannot_correlate", Outcome.REFUSED)


def test_a_broken_queue_does_not_mean_that_the_build_is_missing(jenkins, wire):
    wire.routes[QUEUE] = Reply(b"x" * 100, 404, {"X-Jenkins": "2.541.1"})
    with pytest.raises(ProviderError):
        find(jenkins())
