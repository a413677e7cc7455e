"""Templates in a pipeline's parameters, from the form to the CI server."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.utils import timezone

from builds.activity.content import content_of
from builds.testbuilds.operations import start_test
from builds.tests.polling import polled
from delivr.effects.models import Effect
from delivr.effects.runner import run_effect
from delivr.tests.wired import (
    Wired,
    fresh,
    trigger_of,
    wire_actions,
    wire_any_ci,
    wire_pipelines,
    wired_to,
)
from integrations.verification import verify

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]

NOTES = "{{ release.version }} of {{release.branch}} at {{ release.commit }}\nfor {{ platform }}"


@pytest.fixture
def templated(tenant: Any, sandbox: Any) -> Wired:
    wired = wired_to(tenant, sandbox, jobs={"ios": "/job/ios-typed"})
    wired.pipelines["ios"].parameters = {"NOTES": NOTES, "SIGNING_KEY": "{{ build.id }}"}
    wired.pipelines["ios"].save()
    return wired


def head_of(sandbox: Any, branch: str) -> str:
    github = sandbox.state.github
    found: str = github.head_to_build(github.find("dream11", "app"), f"refs/heads/{branch}")
    return found


def test_a_build_gets_the_values_and_its_page_shows_what_was_sent(
    templated: Wired, sandbox: Any
) -> None:
    build = templated.build("ios")
    assert build.parameters["NOTES"].startswith("1.5.1 of release/1.5.1 at {{ release.commit }}")
    run_effect(trigger_of(build).pk)
    row = polled(build, 2)
    commit = head_of(sandbox, "release/1.5.1")
    notes = f"1.5.1 of release/1.5.1 at {commit}\nfor IOS"
    sent = sandbox.state.jenkins.build("ios-typed", row.number).parameters
    assert (sent["NOTES"], sent["SIGNING_KEY"]) == (notes, build.pk)
    shown = content_of(trigger_of(build), row.release_pipeline.release, row, "")
    assert shown is not None
    assert dict(shown.parameters)["NOTES"] == notes


def test_a_trigger_waits_for_a_commit_that_is_not_known(templated: Wired, sandbox: Any) -> None:
    build = templated.build("ios")
    sandbox.state.faults.add("status", provider="github", status=503, count=20)
    run_effect(trigger_of(build).pk)
    effect = trigger_of(build)
    assert (effect.state, effect.last_error_code, effect.attempts) == (
        "PENDING",
        "commit_unknown",
        0,
    )
    assert "release/1.5.1" in effect.last_error
    assert not sandbox.state.ledger.of("build.queued")
    sandbox.state.faults.clear()
    Effect.objects.update(next_at=timezone.now())
    run_effect(effect.pk)
    assert fresh(build).status == "QUEUED"


def test_a_test_build_gets_the_values_too(templated: Wired, sandbox: Any) -> None:
    test = start_test(
        pipeline=templated.pipelines["ios"], actor=None, version="0.0.1", branch="main"
    )
    run_effect(Effect.objects.get(kind="build.test").pk)
    [item] = sandbox.state.jenkins.queue.values()
    assert item.parameters["NOTES"] == f"0.0.1 of main at {head_of(sandbox, 'main')}\nfor IOS"
    assert fresh(test).parameters == {**test.parameters, "NOTES": item.parameters["NOTES"]}


def test_a_workflow_gets_the_values(tenant: Any, sandbox: Any) -> None:
    workflow = sandbox.state.actions.workflows["beta.yml"]
    workflow.text = re.sub("track: {.*}", "track: {type: string}", workflow.text)
    wired = wire_actions(tenant, sandbox.url, {"ios": "beta.yml"})
    wired.pipelines["ios"].parameters = {"track": "{{ platform }}/{{ release.version }}"}
    wired.pipelines["ios"].save()
    build = wired.build("ios")
    run_effect(trigger_of(build).pk)
    assert fresh(build).status == "QUEUED"
    [run] = sandbox.state.actions.newest("beta.yml")
    assert run.inputs["track"] == "IOS/1.5.1"


def test_a_pipeline_gets_the_values_in_the_types_of_its_inputs(tenant: Any, sandbox: Any) -> None:
    markets = '["{{ platform }}", "{{ release.commit }}"]'
    wired = wire_pipelines(tenant, sandbox.url)
    wired.pipelines["ios"].parameters = {"markets": markets}
    wired.pipelines["ios"].save()
    assert verify(wired.pipelines["ios"]).verification_status == "VALID"
    build = wired.build("ios")
    sandbox.state.faults.add("status", provider="gitlab", status=503, count=20)
    run_effect(trigger_of(build).pk)
    assert trigger_of(build).last_error_code == "commit_unknown"
    sandbox.state.faults.clear()
    Effect.objects.update(next_at=timezone.now())
    run_effect(trigger_of(build).pk)
    [made] = sandbox.state.pipelines.pipelines.values()
    assert made.inputs["markets"] == ["IOS", made.sha]


def test_a_receiver_gets_the_values(tenant: Any, sandbox: Any) -> None:
    wired = wire_any_ci(tenant, sandbox.url)
    wired.pipelines["ios"].parameters = {"NOTES": NOTES}
    wired.pipelines["ios"].save()
    build = wired.build("ios")
    run_effect(trigger_of(build).pk)
    [taken] = sandbox.state.receivers.builds
    commit = head_of(sandbox, "release/1.5.1")
    assert taken.data["parameters"] == {"NOTES": f"1.5.1 of release/1.5.1 at {commit}\nfor IOS"}
    assert taken.data["commit"] == commit
