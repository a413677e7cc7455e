"""A sandbox that was stopped or killed and started again."""

from __future__ import annotations

import stat

import requests

from sandbox import accounts
from sandbox.chat import Message
from sandbox.server import SandboxServer
from sandbox.state import SandboxState


def trigger(server: SandboxServer) -> requests.Response:
    auth = (accounts.JENKINS_USER, accounts.JENKINS_API_TOKEN)
    url = f"{server.url}/jenkins/job/ios-prod/buildWithParameters?delay=0sec"
    return requests.post(url, data={"VERSION": "1.5.0"}, auth=auth, timeout=5)


def test_a_restarted_sandbox_keeps_its_state(tmp_path):
    with SandboxServer(state_dir=tmp_path) as server:
        trigger(server)
        server.state.slack.post(Message("C123", "", "hello", metadata={"event_type": "x"}))
        project = server.state.jira.project("MOBILE")
        epic = project.issue_type({"name": "Epic"})
        server.state.jira.create(project, epic, summary="Release 1.5.0", labels=["delivr-1"])
        server.state.github.create_ref(
            server.state.github.find("dream11", "app"), "refs/heads/x", "1"
        )
        ledger = list(server.state.ledger)
    with SandboxServer(state_dir=tmp_path) as server:
        state = server.state
        assert state.jenkins.build("ios-prod", 245).parameters["VERSION"] == "1.5.0"
        assert state.slack.messages[0].metadata == {"event_type": "x"}
        assert state.jira.issue("MOBILE-1").labels == ["delivr-1"]
        assert state.github.refs["dream11/app"]["refs/heads/x"] == "1"
        assert list(state.ledger) == ledger
        assert state.requests.count("jenkins", "POST") == 1


def test_numbers_continue_after_a_restart(tmp_path):
    with SandboxServer(state_dir=tmp_path) as server:
        trigger(server)
    with SandboxServer(state_dir=tmp_path) as server:
        server.state.jenkins.finish("ios-prod", 245)
        assert trigger(server).headers["Location"].endswith("/queue/item/1002/")
        assert [b.number for b in server.state.jenkins.builds_of("ios-prod")] == [246, 245]
        assert [b.number for b in server.state.jenkins.running("ios-prod")] == [246]


def test_a_deleted_message_stays_deleted(tmp_path):
    first = SandboxState(tmp_path)
    message = first.slack.post(Message("C123", "", "hello"))
    first.slack.delete(message)
    first.save()
    second = SandboxState(tmp_path)
    assert second.slack.messages == []
    assert second.slack.was_deleted("C123", message.ts)


def test_settings_of_jobs_and_the_clock_survive(tmp_path):
    first = SandboxState(tmp_path, auto_finish=20)
    first.jenkins.job("ios-prod").executors = 3
    first.jenkins.job("ios-prod").webhook.secret = "whsec_x"
    first.advance(100)
    first.save()
    second = SandboxState(tmp_path, auto_finish=None)
    assert second.jenkins.job("ios-prod").executors == 3
    assert second.jenkins.job("ios-prod").webhook.secret == "whsec_x"
    assert second.jenkins.job("ios-prod").auto_finish_seconds == 20
    assert second.offset == 100


def test_a_build_that_was_due_to_end_meanwhile_has_ended(tmp_path):
    moment = [1_800_000_000.0]
    with SandboxServer(state_dir=tmp_path, auto_finish=20, clock=lambda: moment[0]) as server:
        trigger(server)
    moment[0] += 3600
    with SandboxServer(state_dir=tmp_path, auto_finish=20, clock=lambda: moment[0]) as server:
        server.state.settle()
        build = server.state.jenkins.build("ios-prod", 245)
        assert (build.result, build.ended_at) == ("SUCCESS", 1_800_000_020.0)


def test_the_snapshot_is_private(tmp_path):
    state = SandboxState(tmp_path)
    state.save()
    assert stat.S_IMODE((tmp_path / "state.json").stat().st_mode) == 0o600


def test_an_unreadable_snapshot_is_renamed(tmp_path):
    (tmp_path / "state.json").write_text('{"version": 1, "oh')
    state = SandboxState(tmp_path)
    assert len(state.ledger) == 0
    assert (tmp_path / "state.broken").exists()


def test_no_snapshot_is_written_without_a_change(tmp_path):
    state = SandboxState(tmp_path)
    state.save_if_due()
    assert not (tmp_path / "state.json").exists()
    state.touch()
    state.save_if_due()
    assert (tmp_path / "state.json").exists()


def test_reset_keeps_only_the_accounts(tmp_path):
    with SandboxServer(state_dir=tmp_path) as server:
        key = server.accounts.apple_api_key
        trigger(server)
        server.state.faults.add("status")
        server.state.reset()
        assert len(server.state.ledger) == len(server.state.requests) == 0
        assert server.state.faults.active() == []
        assert trigger(server).headers["Location"].endswith("/1001/")
        assert server.accounts.apple_api_key == key


def test_without_a_directory_no_state_is_kept(tmp_path):
    with SandboxServer() as server:
        directory = server.state_dir
        trigger(server)
    assert not directory.exists()
