"""Pipelines of GitLab's stand-in: python-gitlab works with them unchanged, and they are as awkward
as GitLab's."""

from __future__ import annotations

import base64
from typing import Any

import gitlab
import pytest

from sandbox import accounts, ci_files
from sandbox.server import SandboxServer
from sandbox.tests.conftest import Web

GIVEN = {"version": "1.5.0", "delivr_build_id": "bld_one"}


@pytest.fixture
def project(sandbox: SandboxServer) -> Any:
    lab = gitlab.Gitlab(f"{sandbox.url}/gitlab", private_token=accounts.GITLAB_TOKEN)
    yield lab.projects.get(accounts.GITLAB_PROJECT)
    lab.session.close()


def created(project: Any, **changes: Any) -> Any:
    return project.pipelines.create({"ref": "develop", "inputs": GIVEN, **changes})


def refused(project: Any, **changes: Any) -> str:
    with pytest.raises(gitlab.GitlabCreateError) as caught:
        created(project, **changes)
    assert caught.value.response_code == 400
    return str(caught.value)


def test_python_gitlab_takes_a_pipeline_through(sandbox: SandboxServer, project: Any) -> None:
    engine = sandbox.state.pipelines
    engine.files[4201].text = ci_files.MANUAL
    file = project.files.get(".gitlab-ci.yml", ref="develop")
    assert base64.b64decode(file.content).decode() == ci_files.MANUAL
    variables = [{"key": "VERSION", "value": "1.5.0"}]
    pipeline = created(project, inputs={}, variables=variables)
    assert pipeline.status == "created"
    assert [(v.key, v.value) for v in pipeline.variables.list(get_all=True)] == [
        ("VERSION", "1.5.0")
    ]
    engine.finish(engine.pipelines[pipeline.id], "failed")
    pipeline.retry()
    old, new = sorted(
        (j for j in pipeline.jobs.list(include_retried=True, get_all=True) if j.name == "build"),
        key=lambda job: job.id,
    )
    assert (old.status, old.failure_reason, new.status) == ("failed", "script_failure", "running")
    assert b"ARCHIVE FAILED" in project.jobs.get(old.id).trace()
    engine.finish(engine.pipelines[pipeline.id])
    pipeline.refresh()
    assert (pipeline.status, pipeline.name) == ("manual", "Build 1.5.0")
    [waiting] = [j for j in pipeline.jobs.list(get_all=True) if j.status == "manual"]
    project.jobs.get(waiting.id).play()
    engine.finish(engine.pipelines[pipeline.id])
    assert project.pipelines.get(pipeline.id).status == "success"
    assert project.jobs.get(new.id).artifacts().startswith(b"PK")
    project.jobs.get(new.id).retry()
    assert project.pipelines.get(pipeline.id).status == "running"
    project.pipelines.get(pipeline.id).cancel()
    listed = project.pipelines.list(source="api", ref="develop", get_all=True)
    assert [(p.id, p.status) for p in listed] == [(pipeline.id, "canceled")]
    project.pipelines.get(pipeline.id).delete()
    assert not project.pipelines.list(get_all=True)


def test_a_child_pipeline_is_listed_only_when_asked_for(
    sandbox: SandboxServer, project: Any
) -> None:
    sandbox.state.pipelines.files[4201].text = ci_files.WITH_CHILD
    pipeline = created(project, inputs={})
    sandbox.state.settle()
    [bridge] = pipeline.bridges.list(get_all=True)
    assert bridge.status == "running"
    assert [p.id for p in project.pipelines.list(get_all=True)] == [pipeline.id]
    [child] = project.pipelines.list(source="parent_pipeline", get_all=True)
    assert bridge.downstream_pipeline["id"] == child.id
    sandbox.state.pipelines.finish(sandbox.state.pipelines.pipelines[pipeline.id], "failed")
    assert project.pipelines.get(pipeline.id).status == "failed"


@pytest.mark.parametrize(
    ("text", "changes", "words"),
    [
        ("", {"inputs": {}}, "required value has not been provided"),
        ("", {"inputs": {**GIVEN, "nothing": "x"}}, "not defined in the `spec`"),
        ("", {"inputs": {**GIVEN, "upload": "true"}}, "not a boolean"),
        ("", {"inputs": {**GIVEN, "track": "alpha"}}, "not in the list"),
        ("", {"ref": "nowhere"}, "Reference not found"),
        (ci_files.ONLY_PUSHED, {"inputs": {}}, "filtered out by workflow rules"),
        ("build: [", {"inputs": {}}, "Invalid configuration"),
    ],
)
def test_it_refuses_as_gitlab_does(
    sandbox: SandboxServer, project: Any, text: str, changes: dict[str, Any], words: str
) -> None:
    file = sandbox.state.pipelines.files[4201]
    file.text = text or file.text
    assert words in refused(project, **changes)
    assert not sandbox.state.pipelines.pipelines


def test_variables_take_a_role_and_an_older_gitlab_ignores_inputs(
    sandbox: SandboxServer, project: Any
) -> None:
    variables = [{"key": "A", "value": "b"}]
    project_state = sandbox.state.gitlab.projects[4201]
    project_state.variables_role = "no_one_allowed"
    assert "Insufficient permissions to set" in refused(project, variables=variables)
    assert created(project).id
    sandbox.state.gitlab.version = "17.9.0-ee"
    assert "required value has not been provided" in refused(project)


def test_a_webhook_is_switched_off_after_four_refusals(
    sandbox: SandboxServer, project: Any
) -> None:
    made = project.hooks.create({"url": "http://127.0.0.1:1/x", "pipeline_events": True})
    hook = sandbox.state.pipelines.hooks[made.id]
    for _n in range(3):
        hook.answered(500, sandbox.state.clock())
    assert project.hooks.get(made.id).alert_status == "executable"
    hook.answered("ConnectionError", sandbox.state.clock())
    assert project.hooks.get(made.id).alert_status == "temporarily_disabled"
    sandbox.state.advance(61)
    assert project.hooks.get(made.id).alert_status == "executable"
    for _n in range(36):
        hook.answered(404, sandbox.state.clock())
    assert project.hooks.get(made.id).alert_status == "disabled"
    assert "token" not in project.hooks.get(made.id).attributes


def test_pipelines_outlive_a_restart(sandbox: SandboxServer, project: Any) -> None:
    pipeline = created(project)
    dumped = sandbox.state.pipelines.dump()
    sandbox.state.pipelines.load(dumped)
    assert project.pipelines.get(pipeline.id).name == "Build 1.5.0 bld_one"
    assert created(project).id == pipeline.id + 1


def test_the_board_plays_ends_and_retries(sandbox: SandboxServer, web: Web, project: Any) -> None:
    sandbox.state.pipelines.files[4201].text = ci_files.MANUAL
    pipeline = created(project, inputs={}, variables=[{"key": "VERSION", "value": "1.5.0"}])
    act = "/sandbox/pipelines"
    web("POST", f"{act}/finish", data={"pipeline": pipeline.id, "result": "success"})
    board = web("GET", "/sandbox/board").text
    assert "Start approve" in board
    [job] = [j for j in pipeline.jobs.list(get_all=True) if j.status == "manual"]
    web("POST", f"{act}/play", data={"pipeline": pipeline.id, "job": job.id})
    web("POST", f"{act}/finish", data={"pipeline": pipeline.id, "result": "failed"})
    assert "Retry" in web("GET", "/sandbox/board").text
    web("POST", f"{act}/retry", data={"pipeline": pipeline.id})
    assert project.pipelines.get(pipeline.id).status == "running"
    page = web("GET", f"/gitlab/{accounts.GITLAB_PROJECT}/-/pipelines/{pipeline.id}").text
    assert "ARCHIVE SUCCEEDED" in page
    answer = web("POST", f"{act}/play", data={"pipeline": pipeline.id, "job": 1})
    assert answer.status_code == 400


def test_it_is_driven_by_the_control_api(sandbox: SandboxServer, web: Web) -> None:
    jobs = f"/sandbox/api/gitlab_ci/jobs/{accounts.GITLAB_PROJECT}"
    hook = {"url": "http://127.0.0.1:1/x", "secret": "s", "style": "signed"}
    changed = web("PATCH", jobs, json={"text": ci_files.MANUAL, "webhook": hook}).json()
    assert changed["webhooks"] == [{"url": "http://127.0.0.1:1/x", "failures": 0}]
    made = web("POST", f"{jobs}/builds", json={"variables": {"VERSION": "1"}}).json()
    one = f"{jobs}/builds/{made['number']}"
    assert web("POST", f"{one}/finish", json={"result": "failure"}).json()["status"] == "failed"
    assert web("POST", f"{one}/retry", json={}).json()["status"] == "running"
    assert web("POST", f"{one}/finish", json={}).json()["status"] == "manual"
    assert web("POST", f"{one}/play", json={}).json()["status"] == "running"
    [listed] = web("GET", "/sandbox/api/gitlab_ci/jobs").json()["jobs"]
    assert [b["number"] for b in listed["builds"]] == [made["number"]]
    assert web("DELETE", one).status_code == 200
