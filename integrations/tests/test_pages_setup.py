"""The wizard in a browser without JavaScript, against the providers' stand-ins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from delivr.audit.models import AuditEvent
from delivr.tenants.models import Role, Tenant
from delivr.tests import factories as make
from integrations.choices import Verification
from integrations.models import PipelineIntegration, ScmIntegration, TargetIntegration
from integrations.providers.registry import PROVIDERS, ProviderKey, fields_of

pytestmark = pytest.mark.on_sqlite

Typed = Callable[..., dict[str, Any]]
STEPS = ["scm", "targets", "pipelines", "communication", "tickets"]


def test_the_five_steps_lead_to_the_end(web: Client, tenant: Tenant, typed: Typed) -> None:
    def step(key: str, kind: str, **more: Any) -> None:
        assert web.get("/setup")["Location"] == f"/setup/{key}"
        assert web.get(f"/setup/{key}").status_code == 200
        answer = web.post(f"/setup/{key}", typed(kind, **more))
        assert answer.status_code == (200 if key == "pipelines" else 302)

    step("scm", "GITHUB")
    step("targets", "APP_STORE")
    web.post("/setup/targets", typed("PLAY_STORE"))
    scm, targets = ScmIntegration.objects.get(), TargetIntegration.objects.all()
    step("pipelines", "JENKINS", scm=scm.pk, target=targets[0].pk)
    second = typed("JENKINS", scm=scm.pk, target=targets[1].pk, jenkins_job_path="android-prod")
    web.post("/setup/pipelines", second)
    step("communication", "SLACK")
    step("tickets", "JIRA")
    assert web.get("/setup")["Location"] == "/setup/done"
    done = web.get("/setup/done").content.decode()
    assert 'href="/releases/new"' in done
    assert done.count("Verified") == 7
    assert "connected and working" in done
    PipelineIntegration.objects.filter(target=targets[1]).update(verification_status="INVALID")
    done = web.get("/setup/done").content.decode()
    assert "Not every connection works." in done
    assert "connected and working" not in done


@pytest.mark.parametrize("later", STEPS[1:])
def test_a_step_opens_after_those_before_it(web: Client, later: str) -> None:
    assert web.get(f"/setup/{later}")["Location"] == "/setup/scm"
    assert web.get("/setup/done")["Location"] == "/setup/scm"


def test_a_step_that_is_not_open_stores_nothing(web: Client, typed: Typed) -> None:
    assert web.post("/setup/targets", typed("APP_STORE"))["Location"] == "/setup/scm"
    assert not TargetIntegration.objects.exists()


def test_an_unknown_step_is_not_found(web: Client) -> None:
    assert web.get("/setup/coffee").status_code == 404


def test_a_finished_step_can_be_opened_again(web: Client, tenant: Tenant) -> None:
    make.ScmFactory(tenant=tenant)
    make.AppStoreFactory(tenant=tenant)
    html = web.get("/setup/scm").content.decode()
    assert "github.com/dream11/app" in html
    assert 'href="/setup/targets"' in html


def test_people_who_return_continue_where_they_left_off(
    tenant: Tenant, web_as: Callable[[Role], Client]
) -> None:
    make.ScmFactory(tenant=tenant)
    assert web_as(Role.ADMIN).get("/setup")["Location"] == "/setup/targets"


def test_a_step_says_how_long_it_takes_and_what_it_needs(web: Client, tenant: Tenant) -> None:
    html = " ".join(web.get("/setup/scm").content.decode().split())
    assert "This step takes about 3 minutes. You need an account on GitHub" in html
    assert "about 21 minutes left" in html
    make.ScmFactory(tenant=tenant)
    html = " ".join(web.get("/setup/scm").content.decode().split())
    assert "You need an account on GitHub" not in html
    assert "about 18 minutes left" in html


# --- What a step shows ---------------------------------------------------------------------------


def test_a_wrong_token_shows_what_failed_and_what_to_do(web: Client, typed: Typed) -> None:
    web.post("/setup/scm", typed("GITHUB", access_token="ghp_wrong_canary"))
    html = web.get("/setup/scm").content.decode()
    assert "GitHub refused the access token." in html
    assert "Create a new one in GitHub" in html
    assert "ghp_wrong_canary" not in html
    assert web.get("/setup")["Location"] == "/setup/scm"


def test_a_failed_connection_is_fixed_in_place(web: Client, typed: Typed) -> None:
    web.post("/setup/scm", typed("GITHUB", access_token="ghp_wrong"))
    failed = ScmIntegration.objects.get()
    html = web.get("/setup/scm").content.decode()
    assert f'name="connection" value="{failed.pk}"' in " ".join(html.split())
    web.post("/setup/scm", typed("GITHUB", connection=failed.pk))
    assert ScmIntegration.objects.get().is_valid
    assert web.get("/setup")["Location"] == "/setup/targets"


def test_errors_keep_the_entered_text_but_not_the_secret(web: Client, typed: Typed) -> None:
    data = typed("GITHUB", repository_url="not a repository", access_token="ghp_canary")
    answer = web.post("/setup/scm", data)
    html = answer.content.decode()
    assert "Enter the repository like https://github.com/owner/name." in html
    assert "not a repository" in html
    assert html.count("Enter it again: secrets are not sent back") == 1
    assert "ghp_canary" not in html
    assert "no-store" in answer["Cache-Control"]
    assert not ScmIntegration.objects.exists()


def test_a_step_offers_each_kind_of_its_family(web: Client, tenant: Tenant) -> None:
    make.ScmFactory(tenant=tenant)
    html = web.get("/setup/targets").content.decode()
    assert 'href="?kind=APP_STORE"' in html
    assert 'href="?kind=PLAY_STORE"' in html
    assert (
        'name="google_service_account"'
        in web.get("/setup/targets?kind=PLAY_STORE").content.decode()
    )
    assert web.get("/setup/targets?kind=GITHUB").status_code == 404


def test_a_target_without_pipeline_is_named_and_suggested(web: Client, tenant: Tenant) -> None:
    pipeline = make.PipelineFactory(tenant=tenant)
    other = make.PlayStoreFactory(tenant=tenant, app_identifier="com.dream11.other")
    assert (
        "Nothing builds for Play Store · com.dream11.other"
        in web.get("/setup/pipelines").content.decode()
    )
    form = web.get("/setup/pipelines?kind=JENKINS").context["form"]
    assert form["target"].value() == other.pk != pipeline.target_id


def test_a_name_with_markup_is_shown_as_text(web: Client, tenant: Tenant) -> None:
    make.ScmFactory(tenant=tenant, display_name="<script>alert(1)</script>")
    for path in ("/setup/scm", "/integrations"):
        assert "<script>alert(1)" not in web.get(path).content.decode()


# --- Skipping ------------------------------------------------------------------------------------


def test_optional_steps_can_be_skipped_and_opened_again(web: Client, tenant: Tenant) -> None:
    make.PipelineFactory(tenant=tenant)
    assert web.get("/setup")["Location"] == "/setup/communication"
    assert web.post("/setup/communication/skip")["Location"] == "/setup"
    assert web.get("/setup")["Location"] == "/setup/tickets"
    web.post("/setup/tickets/skip")
    assert web.get("/setup")["Location"] == "/setup/done"
    assert "Connect Jira" in web.get("/setup/done").content.decode()
    again = " ".join(web.get("/setup/tickets").content.decode().split())
    assert "You need an account in Jira" in again


def test_required_steps_cannot_be_skipped(web: Client, tenant: Tenant) -> None:
    assert web.post("/setup/scm/skip").status_code == 404
    tenant.refresh_from_db()
    assert tenant.skipped_steps == []


def test_skipping_is_a_post(web: Client, tenant: Tenant) -> None:
    assert web.get("/setup/tickets/skip").status_code == 405
    tenant.refresh_from_db()
    assert tenant.skipped_steps == []


# --- Who may -------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MEMBER])
def test_lower_roles_can_only_read(
    web_as: Callable[[Role], Client], tenant: Tenant, typed: Typed, role: Role
) -> None:
    client = web_as(role)
    html = client.get("/setup/scm").content.decode()
    assert "A workspace admin can connect it." in html
    assert 'name="access_token"' not in html
    before = AuditEvent.objects.count()
    assert client.post("/setup/scm", typed("GITHUB")).status_code == 403
    assert client.post("/setup/tickets/skip").status_code == 403
    assert not ScmIntegration.objects.exists()
    assert AuditEvent.objects.count() == before


def test_strangers_are_sent_to_sign_in(client: Client, db: None) -> None:
    assert client.get("/setup/scm")["Location"].startswith("/accounts/login/")


def test_another_workspaces_connection_cannot_be_edited_here(
    web: Client, tenant: Tenant, typed: Typed
) -> None:
    foreign = make.ScmFactory(repository_url="https://github.com/foreign/app")
    answer = web.post("/setup/scm", typed("GITHUB", connection=foreign.pk))
    assert answer.status_code == 404
    assert web.get(f"/setup/scm?edit={foreign.pk}").status_code == 404
    foreign.refresh_from_db()
    assert foreign.repository_url == "https://github.com/foreign/app"
    assert foreign.verification_status == Verification.VALID


# --- The demo's help -----------------------------------------------------------------------------


@pytest.fixture
def demo(settings: Any, sandbox: Any, data_dir: Any) -> Any:
    settings.SANDBOX_URL = sandbox.url
    return sandbox


def test_the_sandboxs_values_fill_the_form(web: Client, demo: Any) -> None:
    assert "Use the sandbox" in web.get("/setup/scm").content.decode()
    answer = web.get("/setup/scm?kind=GITHUB&sandbox=1")
    assert "ghp_sandbox_push_token" in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]


def test_the_job_of_the_targets_platform_is_filled_in(
    web: Client, demo: Any, tenant: Tenant
) -> None:
    make.PipelineFactory(tenant=tenant)
    make.PlayStoreFactory(tenant=tenant)
    form = web.get("/setup/pipelines?kind=JENKINS&sandbox=1").context["form"]
    assert form["jenkins_job_path"].value() == "/job/android-prod"


@pytest.mark.parametrize("key", sorted(PROVIDERS), ids=str)
def test_values_are_offered_where_there_are_any(web: Client, demo: Any, key: ProviderKey) -> None:
    answer = web.get(f"/integrations/{key[0]}/new?kind={key[1]}&sandbox=1")
    assert answer.status_code == 200
    values = [bound.value() for bound in answer.context["form"] if bound.name in names_of(key)]
    assert ("Use the sandbox" in answer.content.decode()) is any(values)


def names_of(key: ProviderKey) -> set[str]:
    return {field.name for field in fields_of(key)}


def test_without_a_sandbox_nothing_is_filled_in(web: Client, sandbox: Any) -> None:
    html = web.get("/setup/scm?kind=GITHUB&sandbox=1").content.decode()
    assert "ghp_sandbox_push_token" not in html
    assert "Use the sandbox" not in html


def test_the_demos_values_are_not_shown_to_roles_that_may_not_connect(
    web_as: Callable[[Role], Client], demo: Any
) -> None:
    html = web_as(Role.VIEWER).get("/setup/scm?kind=GITHUB&sandbox=1").content.decode()
    assert "ghp_sandbox_push_token" not in html


# --- Size ----------------------------------------------------------------------------------------


def test_more_connections_cost_no_more_queries(
    web: Client, tenant: Tenant, django_assert_max_num_queries: Any
) -> None:
    for _ in range(12):
        make.PipelineFactory(tenant=tenant)
    for path in ("/setup/scm", "/setup/targets", "/setup/pipelines"):
        with django_assert_max_num_queries(8):
            assert web.get(path).status_code == 200
