"""The check of a release's branch: in a dry run, after the creation, and before a trigger."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from builds.testbuilds.operations import start_test
from builds.triggering import trigger_builds
from delivr.effects.health import OPEN_AFTER
from delivr.effects.models import Effect, IntegrationHealth
from delivr.effects.operations import retry_effect
from delivr.effects.runner import run_effect
from delivr.effects.sweeper import sweep_until_idle
from delivr.tests.wired import Wired, fresh, trigger_of, wired_to
from integrations.models import ScmIntegration
from releases import branches
from releases.forms import NONE
from releases.models import Release
from releases.tests.pages import text_of
from sandbox.repositories import fake_sha

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]

RELEASE, HEAD = "release/1.5.1", fake_sha("dream11/app", "refs/heads/release/1.5.1")
MISSING = "does not exist in github.com/dream11/app."


@pytest.fixture
def wired(tenant: Any, sandbox: Any) -> Wired:
    return wired_to(tenant, sandbox)


@pytest.fixture
def github(sandbox: Any) -> Any:
    return sandbox.state.github


@pytest.fixture
def no_branch(github: Any) -> Any:
    github.cuts_releases = False
    return github


def cut(github: Any, name: str) -> None:
    github.create_ref(github.find("dream11", "app"), f"refs/heads/{name}", HEAD)


def requests_to_github(sandbox: Any) -> int:
    return sandbox.state.requests.count("github", "GET", "/repos/*")


def body(wired: Wired, **changes: Any) -> dict[str, Any]:
    return {
        "version": "1.5.1",
        "scmIntegrationId": wired.scm.pk,
        "targets": [wired.targets["ios"].pk],
        "pipelines": [wired.pipelines["ios"].pk],
        **changes,
    }


# --- The dry run ----------------------------------------------------------------------------------


def dry_run(api: Any, wired: Wired, **changes: Any) -> Any:
    answer = api.post("/api/v1/releases?dryRun=true", body(wired, **changes), format="json")
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_a_dry_run_shows_the_head_of_the_branch(wired: Wired, api_for: Any) -> None:
    found = dry_run(api_for(wired.tenant), wired)
    assert found["branchRelease"] == RELEASE
    assert found["branch"] == {
        "name": RELEASE,
        "exists": True,
        "commit": HEAD,
        "title": f"Prepare {RELEASE}",
        "suggestions": [],
        "message": "",
    }
    assert found["warnings"] == []
    assert not Release.objects.exists()


def test_a_missing_branch_is_a_warning_with_the_nearest_names(
    wired: Wired, no_branch: Any, api_for: Any
) -> None:
    found = dry_run(api_for(wired.tenant), wired)
    assert found["branch"]["exists"] is False
    assert found["branch"]["message"] == f"{RELEASE} {MISSING}"
    assert found["branch"]["suggestions"] == ["release/1.4.0"]
    [warning] = found["warnings"]
    assert MISSING in warning
    assert "release/1.4.0" in warning


@pytest.mark.parametrize(
    ("creates", "looked_up", "is_missing"),
    [(True, "develop", False), (True, "next", True), (False, RELEASE, True)],
)
def test_a_dry_run_looks_up_the_base_only_if_the_branch_is_cut_from_it(
    wired: Wired, no_branch: Any, api_for: Any, creates: bool, looked_up: str, is_missing: bool
) -> None:
    wish = {"baseBranch": looked_up if creates else "develop"}
    wish |= {"repository": {"createBranch": creates}}
    found = dry_run(api_for(wired.tenant), wired, **wish)
    assert found["branch"]["name"] == looked_up
    assert found["branch"]["exists"] is not is_missing
    assert bool(found["warnings"]) is is_missing


@pytest.mark.parametrize(
    "fault",
    [{"kind": "status", "status": 503}, {"kind": "drop_before"}, {"kind": "html_200"}],
    ids=str,
)
def test_if_github_does_not_answer_the_branch_is_unknown(
    wired: Wired, sandbox: Any, api_for: Any, fault: dict[str, Any]
) -> None:
    sandbox.state.faults.add(provider="github", **fault)
    found = dry_run(api_for(wired.tenant), wired)
    assert (found["branch"]["exists"], found["warnings"]) == (None, [])
    assert "Could not check" in found["branch"]["message"]


@pytest.mark.slow
def test_a_hanging_github_delays_a_dry_run_only_briefly(
    wired: Wired, sandbox: Any, api_for: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(branches, "REQUEST_TIMEOUT", 0.3)
    sandbox.state.faults.add("timeout", provider="github", seconds=3)
    assert dry_run(api_for(wired.tenant), wired)["branch"]["exists"] is None


def test_a_dry_run_beyond_the_rate_limit_skips_the_branch(
    wired: Wired, api_for: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(branches, "DRY_RUNS_PER_MINUTE", 1)
    api = api_for(wired.tenant)
    assert dry_run(api, wired)["branch"]["exists"] is True
    found = dry_run(api, wired)
    assert found["branch"]["exists"] is None
    assert "was not checked" in found["branch"]["message"]


def test_an_invalid_dry_run_does_not_call_github(wired: Wired, sandbox: Any, api_for: Any) -> None:
    answer = api_for(wired.tenant).post(
        "/api/v1/releases?dryRun=true", body(wired, version="?"), format="json"
    )
    assert answer.status_code == 400
    assert requests_to_github(sandbox) == 0


def test_the_page_warns_and_offers_the_nearest_names(
    wired: Wired, no_branch: Any, owner: Any, client_for: Any
) -> None:
    sent = {
        "version": "1.5.1",
        "branch": "",
        "scm": wired.scm.pk,
        "targets": [wired.targets["ios"].pk],
        "pipelines": [wired.pipelines["ios"].pk],
        "ticket": NONE,
    }
    page = client_for(owner).post("/releases/new/preview", sent, HTTP_HX_REQUEST="true")
    assert f"{RELEASE} {MISSING}" in text_of(page)
    assert 'data-value="release/1.4.0"' in page.content.decode()
    cut(no_branch, RELEASE)
    page = client_for(owner).post("/releases/new/preview", sent, HTTP_HX_REQUEST="true")
    assert MISSING not in text_of(page)
    assert HEAD[:7] in text_of(page)


# --- After the creation of a release --------------------------------------------------------------


def head(api: Any, release: Release) -> Any:
    return api.get(f"/api/v1/releases/{release.pk}").json()["branchHead"]


def test_creating_a_release_calls_nobody_and_the_job_checks_the_branch(
    wired: Wired, sandbox: Any, api_for: Any
) -> None:
    api = api_for(wired.tenant)
    answer = api.post("/api/v1/releases", body(wired), format="json")
    assert answer.status_code == 201
    assert requests_to_github(sandbox) == 0
    made = answer.json()["branchHead"]
    assert (made["exists"], made["checkedAt"]) == (None, None)
    sweep_until_idle()
    release = Release.objects.get()
    found = head(api, release)
    assert (found["exists"], found["commit"], found["message"]) == (True, HEAD, "")
    assert found["checkedAt"]
    assert release.branch_look_at is None
    assert requests_to_github(sandbox) == 1


def test_a_check_of_the_branch_does_not_touch_the_release(wired: Wired) -> None:
    release = wired.release("ios")
    branches.check_branch(release.pk)
    assert fresh(release).updated_at == release.updated_at
    assert fresh(release).branch_exists is True


def test_each_release_is_handed_to_one_worker(wired: Wired) -> None:
    release = wired.release("ios")
    assert branches.due() == [release.pk]
    assert branches.due() == []


def test_the_pages_show_the_commit_or_what_is_missing(
    wired: Wired, no_branch: Any, owner: Any, client_for: Any
) -> None:
    release, client = wired.release("ios"), client_for(owner)
    branches.check_branch(release.pk)
    text = text_of(client.get(f"/releases/{release.pk}"))
    assert "Why is this not moving?" in text
    assert f"{RELEASE} {MISSING}" in text
    assert "Did you mean release/1.4.0?" in text
    cut(no_branch, RELEASE)
    Release.objects.update(branch_look_at=timezone.now())
    branches.check_branch(release.pk)
    text = text_of(client.get(f"/releases/{release.pk}"))
    assert MISSING not in text
    assert re.search(rf"{RELEASE} is at {HEAD[:7]}", text)


def test_a_missing_branch_is_checked_again_until_the_first_trigger(
    wired: Wired, no_branch: Any
) -> None:
    release = wired.release("ios")
    branches.check_branch(release.pk)
    wait = fresh(release).branch_look_at - timezone.now()
    assert timedelta(minutes=4) < wait <= timedelta(minutes=5)
    Release.objects.update(status="BUILD_FAILED", branch_look_at=timezone.now())
    branches.check_branch(release.pk)
    assert fresh(release).branch_look_at is None


def test_a_failed_check_keeps_the_last_result(wired: Wired, sandbox: Any, api_for: Any) -> None:
    release = wired.release("ios")
    branches.check_branch(release.pk)
    Release.objects.update(branch_look_at=timezone.now())
    sandbox.state.faults.add("status", provider="github", status=503)
    branches.check_branch(release.pk)
    found = head(api_for(wired.tenant), release)
    assert (found["exists"], found["commit"]) == (True, HEAD)
    assert "Could not check" in found["message"]
    assert fresh(release).branch_look_at > timezone.now()


def test_nobody_sees_the_branch_of_another_workspace(
    wired: Wired, stranger: Any, client_for: Any
) -> None:
    release = wired.release("ios")
    branches.check_branch(release.pk)
    assert client_for(stranger).get(f"/releases/{release.pk}").status_code == 404


# --- The trigger ----------------------------------------------------------------------------------


def queued(sandbox: Any) -> int:
    return len(sandbox.state.ledger.of("build.queued"))


def test_a_trigger_from_a_missing_branch_is_refused_and_suggests_names(
    wired: Wired, no_branch: Any, sandbox: Any, owner: Any, client_for: Any
) -> None:
    build = wired.build("ios")
    run_effect(trigger_of(build).pk)
    effect = trigger_of(build)
    assert (effect.state, effect.last_error_code) == ("DEAD", "branch_missing")
    assert effect.last_error == f"{RELEASE} {MISSING}"
    assert "Did you mean release/1.4.0?" in effect.last_error_hint
    assert fresh(build).status == "TRIGGER_FAILED"
    assert queued(sandbox) == 0
    page = text_of(client_for(owner).get(f"/releases/{build.release_pipeline.release_id}"))
    assert f"{RELEASE} {MISSING}" in page
    assert "Did you mean release/1.4.0?" in page


def test_a_retry_works_once_the_branch_exists(wired: Wired, no_branch: Any, sandbox: Any) -> None:
    build = wired.build("ios")
    run_effect(trigger_of(build).pk)
    cut(no_branch, RELEASE)
    retry_effect(effect=trigger_of(build), actor=None)
    run_effect(trigger_of(build).pk)
    assert (trigger_of(build).state, fresh(build).status) == ("DONE", "QUEUED")
    release = fresh(build.release_pipeline.release)
    assert (release.branch_exists, release.branch_commit) == (True, HEAD)
    assert queued(sandbox) == 1


def test_another_trigger_works_once_the_branch_exists(
    wired: Wired, no_branch: Any, sandbox: Any
) -> None:
    build = wired.build("ios")
    run_effect(trigger_of(build).pk)
    cut(no_branch, RELEASE)
    [again] = trigger_builds(release=build.release_pipeline.release, actor=None)
    run_effect(trigger_of(again).pk)
    assert (trigger_of(again).state, queued(sandbox)) == ("DONE", 1)


@pytest.mark.parametrize(
    "trouble",
    [
        {"kind": "status", "status": 503},
        {"kind": "status", "status": 429},
        {"kind": "status", "status": 403},
        {"kind": "status", "status": 404},
        {"kind": "drop_before"},
        {"kind": "html_200"},
        {"kind": "redirect"},
    ],
    ids=str,
)
def test_if_github_cannot_tell_the_ci_server_decides(
    wired: Wired, no_branch: Any, sandbox: Any, trouble: dict[str, Any]
) -> None:
    sandbox.state.faults.add(provider="github", **trouble)
    build = wired.build("ios")
    run_effect(trigger_of(build).pk)
    assert (trigger_of(build).state, queued(sandbox)) == ("DONE", 1)
    assert fresh(build.release_pipeline.release).branch_exists is None


@pytest.mark.parametrize("token", ["ghp_revoked", ""])
def test_a_refused_token_does_not_block_the_trigger(
    wired: Wired, no_branch: Any, sandbox: Any, token: str
) -> None:
    scm = ScmIntegration.objects.get(pk=wired.scm.pk)
    scm.access_token = token
    scm.save()
    build = wired.build("ios")
    run_effect(trigger_of(build).pk)
    assert (trigger_of(build).state, queued(sandbox)) == ("DONE", 1)


def test_the_reason_that_github_gives_is_shown(wired: Wired, github: Any, api_for: Any) -> None:
    github.refuses = "`dream11` forbids access via a personal access token (classic)."
    release = wired.release("ios")
    branches.check_branch(release.pk)
    assert github.refuses in head(api_for(wired.tenant), release)["message"]


@pytest.mark.parametrize("name", ["origin/main", "refs/heads/main", "v1.5.0", "refs/tags/v1.5.0"])
def test_refs_other_than_branches_are_not_missing(
    wired: Wired, github: Any, sandbox: Any, name: str
) -> None:
    github.refs["dream11/app"]["refs/tags/v1.5.0"] = HEAD
    build = wired.build("ios", branch=name)
    run_effect(trigger_of(build).pk)
    assert (trigger_of(build).state, queued(sandbox)) == ("DONE", 1)


def test_failures_of_github_do_not_count_against_jenkins(wired: Wired, sandbox: Any) -> None:
    sandbox.state.faults.add("status", provider="github", status=503)
    for _n in range(3):
        run_effect(trigger_of(wired.build("ios")).pk)
    failing = IntegrationHealth.objects.exclude(failures=0)
    assert [(row.integration_id, row.failures) for row in failing] == [(wired.scm.pk, 3)]


@pytest.mark.parametrize(
    "fault",
    [{"status": 500, "count": OPEN_AFTER}, {"status": 429, "retry_after": 60, "count": 1}],
    ids=["breaker", "Retry-After"],
)
def test_a_paused_github_is_not_asked_for_a_branch(
    wired: Wired, sandbox: Any, owner: Any, fault: dict[str, Any]
) -> None:
    release = wired.release("ios")
    sandbox.state.faults.add("status", provider="github", **fault)
    for _n in range(OPEN_AFTER):
        branches.look_up(wired.scm, RELEASE, within=5)
    asked = requests_to_github(sandbox)
    found = branches.look_up_for_dry_run(wired.scm, RELEASE, user=owner)
    assert (found.exists, found.is_temporary) == (None, True)
    assert "Calls are paused" in found.message
    branches.check_branch(release.pk)
    assert "Calls are paused" in fresh(release).branch_trouble
    build = wired.build("ios")
    run_effect(trigger_of(build).pk)  # Jenkins decides
    assert (trigger_of(build).state, requests_to_github(sandbox)) == ("DONE", asked)
    IntegrationHealth.objects.update(open_until=None, rate_limited_until=None)
    assert branches.look_up(wired.scm, RELEASE, within=5).exists is True
    assert not IntegrationHealth.objects.exclude(failures=0).exists()


def test_a_test_build_from_a_missing_branch_is_refused_too(
    wired: Wired, no_branch: Any, sandbox: Any
) -> None:
    test = start_test(pipeline=wired.pipelines["ios"], actor=None, version="1.5.1", branch=RELEASE)
    run_effect(Effect.objects.get(kind="build.test").pk)
    assert fresh(test).status == "TRIGGER_FAILED"
    assert MISSING in fresh(test).error
    assert queued(sandbox) == 0
