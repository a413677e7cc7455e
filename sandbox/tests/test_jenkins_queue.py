"""From the queue to a build, driven only by the clock."""

from __future__ import annotations

import threading

import pytest

from sandbox.server import SandboxServer

TRIGGER = "/job/ios-prod/buildWithParameters"
ITEM = "/queue/item/1001/api/json"
NAMES = "_class,id,why,blocked,buildable,stuck,cancelled,inQueueSince"
TREE = f"{NAMES},executable[number,url],task[url]"
BUILDS = (
    "builds[number,queueId,building,result,timestamp,url,"
    "actions[parameters[name,value],causes[userId]]]{0,50}"
)


def state(answer) -> str:
    return answer.json()["_class"].removeprefix("hudson.model.Queue$")


def test_an_item_waits_out_the_quiet_period(sandbox, jenkins):
    jenkins.post(TRIGGER)
    item = jenkins.get(ITEM)
    assert state(item) == "WaitingItem"
    assert item.json()["why"].startswith("In the quiet period. Expires in ")
    assert "executable" not in item.json()
    assert "cancelled" not in item.json()
    sandbox.state.advance(5)
    assert state(jenkins.get(ITEM)) == "LeftItem"


def test_without_a_delay_a_build_starts_at_once(sandbox, jenkins):
    jenkins.post(f"{TRIGGER}?delay=0sec")
    assert state(jenkins.get(ITEM)) == "LeftItem"
    assert sandbox.state.jenkins.build("ios-prod", 245).building


def test_the_first_read_of_an_item_that_left_shows_no_build_yet(jenkins):
    jenkins.post(f"{TRIGGER}?delay=0sec")
    first, second = jenkins.get(ITEM).json(), jenkins.get(ITEM).json()
    assert (first["cancelled"], first["executable"]) == (False, None)
    assert second["executable"]["number"] == 245


def test_an_item_waits_for_an_executor(sandbox, jenkins):
    sandbox.state.jenkins.job("ios-prod").executors = 1
    jenkins.post(f"{TRIGGER}?delay=0sec&VERSION=1")
    jenkins.post(f"{TRIGGER}?delay=0sec&VERSION=2")
    item = jenkins.get("/queue/item/1002/api/json")
    assert state(item) == "BuildableItem"
    assert item.json()["why"] == "Waiting for next available executor"
    sandbox.state.jenkins.finish("ios-prod", 245)
    assert state(jenkins.get("/queue/item/1002/api/json")) == "LeftItem"
    assert sandbox.state.jenkins.build("ios-prod", 246).queue_id == 1002


def test_a_job_that_runs_alone_blocks_the_next(sandbox, jenkins):
    sandbox.state.jenkins.job("ios-prod").concurrent = False
    jenkins.post(f"{TRIGGER}?delay=0sec&VERSION=1")
    jenkins.post(f"{TRIGGER}?delay=0sec&VERSION=2")
    item = jenkins.get("/queue/item/1002/api/json")
    assert state(item) == "BlockedItem"
    assert item.json()["why"] == "Build #245 is already in progress (ETA: N/A)"
    assert (item.json()["blocked"], item.json()["buildable"]) == (True, False)


def test_an_item_that_left_is_forgotten_after_five_minutes(sandbox, jenkins):
    jenkins.post(f"{TRIGGER}?delay=0sec")
    sandbox.state.advance(299)
    assert jenkins.get(ITEM).status_code == 200
    sandbox.state.advance(2)
    assert jenkins.get(ITEM).status_code == 404


def test_a_forgotten_item_is_found_in_the_build_list(sandbox, jenkins):
    jenkins.post(f"{TRIGGER}?delay=0sec", data={"DELIVR_BUILD_ID": "bld_7"})
    sandbox.state.jenkins.forget_left_items()
    assert jenkins.get(ITEM).status_code == 404
    (build,) = jenkins.get(f"/job/ios-prod/api/json?tree={BUILDS}").json()["builds"]
    assert build["queueId"] == 1001
    causes, parameters, checkout = build["actions"]
    assert checkout == {"_class": "hudson.plugins.git.util.BuildData"}
    assert causes["causes"][0]["userId"] == "delivr"
    values = {p["name"]: p["value"] for p in parameters["parameters"]}
    assert values["DELIVR_BUILD_ID"] == "bld_7"


def test_the_queue_lists_waiting_items_with_their_parameters(jenkins):
    jenkins.post(TRIGGER, data={"DELIVR_BUILD_ID": "bld_8"})
    tree = "items[id,task[url],actions[parameters[name,value],causes[userId]]]"
    (item,) = jenkins.get(f"/queue/api/json?tree={tree}").json()["items"]
    assert item["id"] == 1001
    assert item["task"]["url"].endswith("/jenkins/job/ios-prod/")
    values = {p["name"]: p["value"] for p in item["actions"][1]["parameters"]}
    assert values["DELIVR_BUILD_ID"] == "bld_8"


def test_a_waiting_item_can_be_cancelled(sandbox, jenkins):
    jenkins.post(TRIGGER)
    assert jenkins.post("/queue/cancelItem?id=1001").status_code == 204
    item = jenkins.get(ITEM).json()
    assert (item["cancelled"], item["executable"]) == (True, None)
    sandbox.state.advance(60)
    assert not sandbox.state.ledger.of("build.started")


def test_cancelling_an_item_that_left_or_never_existed(jenkins):
    jenkins.post(f"{TRIGGER}?delay=0sec")
    assert jenkins.post("/queue/cancelItem?id=1001").status_code == 422
    assert jenkins.post("/queue/cancelItem?id=4711").status_code == 404
    assert jenkins.get("/queue/cancelItem?id=1001").status_code == 405


def test_the_tree_names_what_the_item_shows(jenkins):
    jenkins.post(f"{TRIGGER}?delay=0sec")
    jenkins.get(ITEM)
    item = jenkins.get(f"{ITEM}?tree={TREE}").json()
    assert set(item) == {*NAMES.split(","), "executable", "task"}
    assert set(item["executable"]) == {"_class", "number", "url"}


@pytest.mark.parametrize("leap", [60, 3600])
def test_a_jump_of_the_clock_applies_everything_in_order(tmp_path, leap):
    """One executor and builds of ten seconds: they run one after the other, whenever the state is
    read."""
    start = 1_800_000_000.0
    with SandboxServer(state_dir=tmp_path, auto_finish=10, clock=lambda: start) as server:
        ci = server.state.jenkins
        job = ci.job("ios-prod")
        job.executors = 1
        for number in range(3):
            ci.enqueue(job, {"VERSION": str(number)}, user="delivr")
        server.state.advance(leap)
        spans = [
            (b.started_at - 1_800_000_000, b.ended_at - 1_800_000_000)
            for b in ci.builds["ios-prod"]
        ]
    assert spans == [(5, 15), (15, 25), (25, 35)]


def test_a_build_is_queued_only_while_nothing_iterates_over_the_queue(sandbox):
    jenkins = sandbox.state.jenkins
    job = jenkins.job("ios-prod")
    late = threading.Thread(target=jenkins.enqueue, args=(job, {}), kwargs={"user": "someone"})
    with sandbox.state.lock:
        late.start()
        late.join(0.2)
        assert jenkins.queue == {}
    late.join()
    assert len(jenkins.queue) == 1
