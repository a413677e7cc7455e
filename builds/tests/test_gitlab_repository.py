"""A project on GitLab through the product: connected, verified, and a release's part in it."""

from __future__ import annotations

from typing import Any

import pytest

from builds.tests.polling import polled
from builds.triggering import trigger_builds
from delivr.effects.models import Effect, EffectState
from delivr.effects.operations import retry_effect
from delivr.effects.runner import run_effect
from delivr.effects.sweeper import sweep_until_idle
from delivr.tests.wired import Wired, fresh, trigger_of, wire_actions, wired_to
from integrations.models import PipelineIntegration, ScmIntegration
from releases.api import present_release
from releases.models import Release
from releases.repository.notes import notes_of
from releases.tests.pages import text_of
from sandbox import accounts
from sandbox.history import digest
from sandbox.projects import APP, NOBODY, Protected

pytestmark = [pytest.mark.django_db, pytest.mark.on_sqlite]

SCM, API = "/api/v1/integrations/scm", "/api/v1"
MAIN = digest(accounts.GITLAB_PROJECT, "main")
EVERYTHING = {"createBranch": True, "tag": True, "draftRelease": True}


@pytest.fixture
def gitlab(sandbox: Any) -> Any:
    return sandbox.state.gitlab


@pytest.fixture
def api(tenant: Any, api_for: Any) -> Any:
    return api_for(tenant)


@pytest.fixture
def wired(tenant: Any, sandbox: Any, sandbox_values: Any, api: Any) -> Wired:
    """Jenkins builds a project on GitLab."""
    found = wired_to(tenant, sandbox)
    made = api.post(SCM, sandbox_values["gitlab"], format="json").json()
    verified = api.post(f"{SCM}/{made['id']}/verify").json()
    assert verified["verificationStatus"] == "VALID", verified["checks"]
    found.scm = ScmIntegration.objects.get(pk=made["id"])
    PipelineIntegration.objects.update(scm=found.scm)
    return found


def release_of(wired: Wired, api: Any, version: str) -> Release:
    """For iOS, with all steps in the repository."""
    values = {
        "version": version,
        "scmIntegrationId": wired.scm.pk,
        "targets": [wired.targets["ios"].pk],
        "pipelines": [wired.pipelines["ios"].pk],
        "repository": EVERYTHING,
    }
    answer = api.post(f"{API}/releases", values, format="json")
    assert answer.status_code == 201, answer.content
    return Release.objects.get(pk=answer.json()["id"])


def run(release: Release, kind: str) -> Effect:
    effects = Effect.objects.filter(release_id=release.pk, kind=kind)
    run_effect(effects.get().pk)
    return effects.get()


def build(release: Release, sandbox: Any) -> None:
    (build,) = trigger_builds(release=fresh(release), actor=None, again=True)
    run_effect(trigger_of(build).pk)
    sandbox.state.advance(60)
    sandbox.state.jenkins.finish("ios-prod", polled(build, 3).number, "SUCCESS")
    polled(build)
    sweep_until_idle()


def take_through(wired: Wired, api: Any, sandbox: Any, version: str) -> Release:
    release = release_of(wired, api, version)
    sweep_until_idle()
    build(release, sandbox)
    return fresh(release)


def test_a_release_has_its_branch_changes_tag_and_release(
    wired: Wired, api: Any, sandbox: Any, gitlab: Any, client_for: Any, owner: Any
) -> None:
    app = gitlab.projects[APP]
    take_through(wired, api, sandbox, "1.5.0")
    head = gitlab.push(app, "main", message="MOBILE-140 Show the score", pull=True)
    release = take_through(wired, api, sandbox, "1.6.0")

    shown: Any = present_release(release.tenant_id, release.pk)
    page = f"{sandbox.url}/gitlab/{accounts.GITLAB_PROJECT}/-"
    assert (shown["commit"], shown["tag"]) == (head, "v1.6.0")
    assert shown["tagUrl"] == f"{page}/tags/v1.6.0"
    assert shown["scmReleaseUrl"] == f"{page}/releases/v1.6.0"
    assert gitlab.refs[APP]["refs/heads/release/1.6.0"] == head == gitlab.commit(app, "v1.6.0")
    changes = shown["changes"]
    assert (changes["from"], changes["commits"], changes["complete"]) == ("1.5.0", 1, True)
    (change,) = changes["items"]
    assert (change["sha"], change["url"]) == (head, f"{page}/commit/{head}")
    assert change["pullRequest"]["url"] == f"{page}/merge_requests/23"
    assert change["tickets"] == ["MOBILE-140"]
    assert not Effect.objects.exclude(state=EffectState.DONE).exists()

    made = gitlab.history_of(app).releases[-1]
    assert (made.tag, made.released_at > sandbox.state.clock()) == ("v1.6.0", True)
    assert made.body == notes_of(release)
    assert "- MOBILE-140 Show the score !23" in made.body
    text = text_of(client_for(owner).get(f"/releases/{release.pk}"))
    assert "1 commit in 1 merge request since 1.5.0" in text
    assert "Upcoming release of v1.6.0" in text
    assert "!23" in text


def test_a_protected_branch_is_told_and_retried(
    wired: Wired, api: Any, gitlab: Any, client_for: Any, owner: Any
) -> None:
    app = gitlab.projects[APP]
    app.protected.append(Protected("release/*", level=NOBODY))
    release = release_of(wired, api, "1.5.0")
    effect = run(release, "scm.create_branch")
    assert (effect.state, effect.last_error_code) == (EffectState.DEAD, "rule_forbids")
    text = text_of(client_for(owner).get(f"/releases/{release.pk}"))
    assert "The protected branch release/* does not allow creating release/1.5.0." in text
    assert "Protected branches, allow the token" in text
    app.protected.pop()
    retry_effect(effect=effect, actor=None)
    assert run(release, "scm.create_branch").state == EffectState.DONE
    assert gitlab.refs[APP]["refs/heads/release/1.5.0"] == MAIN


def test_the_form_and_the_settings_say_what_a_draft_is_there(
    wired: Wired, client_for: Any, owner: Any
) -> None:
    web = client_for(owner)
    for path in ("/releases/new", "/settings/releases"):
        assert "GitLab has no drafts: delivr creates an upcoming release" in text_of(web.get(path))


def test_a_server_that_moved_below_a_path_is_found_again(
    wired: Wired, api: Any, sandbox: Any
) -> None:
    """What the verification found is kept, and used without asking again."""
    assert wired.scm.options["server"] == f"{sandbox.url}/gitlab"
    provider = sandbox.state.requests.count("gitlab", "GET", "/api/v4/version")
    changed = {"repositoryUrl": f"{sandbox.url}/gitlab/dream11/backend"}
    answer = api.patch(f"{SCM}/{wired.scm.pk}", changed, format="json")
    assert answer.status_code == 200, answer.content
    assert "server" not in fresh(wired.scm).options
    assert api.post(f"{SCM}/{wired.scm.pk}/verify").json()["verificationStatus"] == "VALID"
    assert fresh(wired.scm).options["server"] == f"{sandbox.url}/gitlab"
    assert sandbox.state.requests.count("gitlab", "GET", "/api/v4/version") == provider + 1


def test_another_vendors_workflow_cannot_build_it(
    tenant: Any, sandbox: Any, sandbox_values: Any, api: Any
) -> None:
    wired = wire_actions(tenant, sandbox.url)
    scm = api.post(SCM, sandbox_values["gitlab"], format="json").json()
    values = {
        "pipelineType": "GITHUB_ACTIONS",
        "scmIntegrationId": scm["id"],
        "targetIntegrationId": wired.targets["ios"].pk,
        "workflow": "ios.yml",
    }
    answer = api.post(f"{API}/integrations/pipelines", values, format="json")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["scmIntegrationId"])


def test_an_address_without_a_project_lists_its_projects(
    tenant: Any, sandbox: Any, client_for: Any, owner: Any
) -> None:
    answer = client_for(owner).post(
        "/integrations/scm/options?field=repository_url",
        {
            "kind": "GITLAB",
            "access_token": accounts.GITLAB_TOKEN,
            "repository_url": f"{sandbox.url}/gitlab",
        },
    )
    values = [option["value"] for option in answer.json()["options"]]
    assert f"{sandbox.url}/gitlab/{accounts.GITLAB_PROJECT}" in values
