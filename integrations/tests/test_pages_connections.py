"""The list of connections and the page of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from delivr.audit.models import AuditEvent
from delivr.tenants.models import Role, Tenant, User
from delivr.tests import factories as make
from integrations.models import (
    CommunicationIntegration,
    Connection,
    PipelineIntegration,
    ScmIntegration,
    TargetIntegration,
)
from integrations.throttle import VERIFICATIONS, throttle
from releases.models import ReleaseStatus

pytestmark = pytest.mark.on_sqlite

Typed = Callable[..., dict[str, Any]]
Web = Callable[[Role], Client]
FACTORIES = {
    "scm": make.ScmFactory,
    "targets": make.PlayStoreFactory,
    "pipelines": make.PipelineFactory,
    "communication": make.SlackFactory,
    "tickets": make.JiraFactory,
}


def path(connection: Connection, act: str = "") -> str:
    return f"/integrations/{connection.family}/{connection.pk}" + (f"/{act}" if act else "")


def row(connection: Connection) -> dict[str, Any]:
    """What the database holds of it, secrets encrypted."""
    values = type(connection).objects.filter(pk=connection.pk).values().get()
    return {name: getattr(value, "ciphertext", value) for name, value in values.items()}


# --- The list ------------------------------------------------------------------------------------


def test_the_list_shows_every_connection_and_its_state(web: Client, tenant: Tenant) -> None:
    make.PipelineFactory(tenant=tenant)
    make.JiraFactory(
        tenant=tenant, verification_status="INVALID", verification_error="Jira refused the token."
    )
    html = web.get("/integrations").content.decode()
    for words in ("github.com/dream11/app", "127.0.0.1:1/jenkins/job/ios-prod", "Not working"):
        assert words in html
    assert "Jira refused the token." in html


def test_an_empty_family_says_whether_it_is_needed(web: Client) -> None:
    html = web.get("/integrations").content.decode()
    assert html.count("Nothing connected yet. Releases need this.") == 3
    assert html.count("Nothing connected. This is optional.") == 3


def test_the_list_contains_one_workspaces_connections(web: Client) -> None:
    make.JiraFactory(project="FOREIGN")
    assert "FOREIGN" not in web.get("/integrations").content.decode()


def test_a_longer_list_costs_no_more_queries(
    web: Client, tenant: Tenant, django_assert_max_num_queries: Any
) -> None:
    for factory in FACTORIES.values():
        for _ in range(6):
            factory(tenant=tenant)
    with django_assert_max_num_queries(11):
        web.get("/integrations")


# --- One connection ------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FACTORIES)
def test_every_familys_page_opens(web: Client, tenant: Tenant, family: str) -> None:
    connection = FACTORIES[family](tenant=tenant)
    answer = web.get(path(connection))
    assert answer.status_code == 200
    assert "stored" in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.parametrize("family", FACTORIES)
@pytest.mark.parametrize("act", ["", "verify", "disconnect"])
def test_another_workspaces_connection_does_not_exist(
    web: Client, tenant: Tenant, family: str, act: str
) -> None:
    foreign = FACTORIES[family]()
    before = row(foreign)
    answers = [web.post(path(foreign, act))] + ([] if act else [web.get(path(foreign))])
    assert [answer.status_code for answer in answers] == [404] * len(answers)
    assert row(foreign) == before


@pytest.mark.parametrize("name", ["scm_github_none", "%00", "x" * 300])
def test_an_unknown_id_is_not_found(web: Client, name: str) -> None:
    assert web.get(f"/integrations/scm/{name}").status_code == 404
    assert web.get("/integrations/coffee/scm_github_x").status_code == 404


def test_a_disconnected_connection_has_no_page(web: Client, tenant: Tenant) -> None:
    scm = make.ScmFactory(tenant=tenant)
    web.post(path(scm, "disconnect"))
    assert web.get(path(scm)).status_code == 404


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MEMBER])
@pytest.mark.parametrize("act", ["", "verify", "disconnect"])
def test_lower_roles_can_only_read(
    web_as: Web, tenant: Tenant, sandbox: Any, role: Role, act: str
) -> None:
    scm = make.ScmFactory(tenant=tenant)
    client = web_as(role)
    assert 'action="/integrations' not in client.get(path(scm)).content.decode()
    before, audited = row(scm), AuditEvent.objects.count()
    assert client.post(path(scm, act), {"repository_url": "a/b"}).status_code == 403
    assert row(scm) == before
    assert AuditEvent.objects.count() == audited


def test_lower_roles_get_no_form_for_a_new_one(web_as: Web) -> None:
    assert web_as(Role.MEMBER).get("/integrations/scm/new").status_code == 403
    assert web_as(Role.ADMIN).get("/integrations/scm/new").status_code == 200


# --- Connect and edit ----------------------------------------------------------------------------


def test_connecting_leads_to_the_connections_page(web: Client, typed: Typed) -> None:
    answer = web.post("/integrations/communication/new", typed("SLACK"))
    slack = CommunicationIntegration.objects.get()
    assert answer["Location"] == path(slack)
    assert slack.is_valid
    assert "is connected and working." in web.get(path(slack)).content.decode()


def test_the_requested_kind_is_preselected(web: Client) -> None:
    form = web.get("/integrations/targets/new?kind=PLAY_STORE").context["form"]
    assert "google_service_account" in form.fields
    assert web.get("/integrations/targets/new?kind=JENKINS").status_code == 404


def test_a_form_that_is_sent_twice_connects_once(web: Client, typed: Typed) -> None:
    token = web.get("/integrations/targets/new").context["form"].token
    data = typed("APP_STORE", form_token=token)
    web.post("/integrations/targets/new", data)
    again = web.post("/integrations/targets/new", data)
    assert again.status_code == 302
    assert TargetIntegration.objects.count() == 1


def test_a_form_with_errors_can_be_sent_again(web: Client, typed: Typed) -> None:
    token = web.get("/integrations/scm/new").context["form"].token
    web.post("/integrations/scm/new", typed("GITHUB", repository_url="", form_token=token))
    web.post("/integrations/scm/new", typed("GITHUB", form_token=token))
    assert ScmIntegration.objects.count() == 1


def test_the_form_is_shown_if_requested_or_if_the_connection_fails(
    web: Client, web_as: Web, tenant: Tenant
) -> None:
    scm = make.ScmFactory(tenant=tenant)
    save = "Save and verify"
    assert save not in web.get(path(scm)).content.decode()
    assert save in web.get(path(scm) + "?edit=1").content.decode()
    assert save not in web_as(Role.MEMBER).get(path(scm) + "?edit=1").content.decode()
    wrong = web.post(path(scm), {"repository_url": "nothing"}).content.decode()
    assert save in wrong
    assert "Enter the repository like" in wrong
    failing = make.ScmFactory(tenant=tenant, verification_status="INVALID")
    assert save in web.get(path(failing)).content.decode()


def test_empty_fields_are_not_listed(web: Client, tenant: Tenant) -> None:
    pipeline = make.PipelineFactory(tenant=tenant)
    assert "Additional parameters" not in dict(web.get(path(pipeline)).context["details"])
    pipeline.parameters = {"TRACK": "beta", "NOTES": "one\n<two>"}
    pipeline.save()
    page = web.get(path(pipeline))
    assert dict(page.context["details"])["Additional parameters"] == "TRACK=beta\nNOTES=one\n<two>"
    assert "TRACK=beta<br>NOTES=one<br>&lt;two&gt;" in page.content.decode()


def test_an_edit_keeps_the_secret_that_is_left_empty(
    web: Client, tenant: Tenant, typed: Typed
) -> None:
    web.post("/integrations/scm/new", typed("GITHUB"))
    scm = ScmIntegration.objects.get()
    token = scm.access_token.reveal()
    answer = web.post(path(scm), typed("GITHUB", access_token="", display_name="The app"))
    assert answer["Location"] == path(scm)
    scm.refresh_from_db()
    assert (str(scm), scm.access_token.reveal(), scm.is_valid) == ("The app", token, True)


def test_an_optional_secret_is_removed_by_its_box_alone(web: Client, tenant: Tenant) -> None:
    pipeline = make.PipelineFactory(
        tenant=tenant,
        pipeline_type="WEBHOOK",
        server_url="http://127.0.0.1:2/hook",
        username="",
        job="",
        api_token='{"X-Key": "k"}',
    )
    same = {
        "scm": pipeline.scm_id,
        "target": pipeline.target_id,
        "trigger_url": pipeline.server_url,
        "trigger_headers": "",
    }
    box = "Remove the stored value of “Headers”"
    assert box in web.get(f"{path(pipeline)}?edit=1").content.decode()
    both = {**same, "trigger_headers": "X-Key: n", "remove_trigger_headers": "on"}
    answer = web.post(path(pipeline), both).content.decode()
    assert "Enter a new value or remove it, not both." in answer
    web.post(path(pipeline), same)
    pipeline.refresh_from_db()
    assert pipeline.api_token.reveal() == '{"X-Key": "k"}'
    web.post(path(pipeline), {**same, "remove_trigger_headers": "on"})
    pipeline.refresh_from_db()
    assert not pipeline.api_token
    assert box not in web.get(f"{path(pipeline)}?edit=1").content.decode()


def test_an_edit_replaces_the_secret_that_is_entered(
    web: Client, tenant: Tenant, typed: Typed
) -> None:
    scm = make.ScmFactory(tenant=tenant, verification_status="INVALID")
    web.post(path(scm), typed("GITHUB", access_token="ghp_newer"))
    scm.refresh_from_db()
    assert scm.access_token.reveal() == "ghp_newer"
    assert not scm.is_valid


def test_a_new_address_requires_the_secret_again(web: Client, tenant: Tenant) -> None:
    jira = make.JiraFactory(tenant=tenant)
    data = {
        "jira_url": "http://127.0.0.1:2/jira",
        "jira_email": jira.username,
        "jira_project_key": jira.project,
    }
    html = web.post(path(jira), data).content.decode()
    assert "The address changed: enter this again." in html
    jira.refresh_from_db()
    assert jira.server_url == "http://127.0.0.1:1/jira"


def test_the_page_shows_no_secret(web: Client, tenant: Tenant) -> None:
    for factory, secrets in (
        (make.ScmFactory, {"access_token": "canary-1"}),
        (make.AppStoreFactory, {"credentials": "canary-2"}),
        (make.PipelineFactory, {"api_token": "canary-3", "webhook_secret": "canary-4"}),
    ):
        connection = factory(tenant=tenant, **secrets)
        assert "canary" not in web.get(path(connection)).content.decode()
        assert "canary" not in web.get(path(connection) + "?edit=1").content.decode()
    assert "canary" not in web.get("/integrations").content.decode()


def test_a_name_with_markup_is_shown_as_text(web: Client, tenant: Tenant) -> None:
    scm = make.ScmFactory(tenant=tenant, display_name="<script>alert(1)</script>")
    assert "<script>alert(1)" not in web.get(path(scm)).content.decode()


def test_channels_are_shown_by_name_once_it_is_known(web: Client, tenant: Tenant) -> None:
    slack = make.SlackFactory(tenant=tenant, recipients=["C123", "C9"])
    assert "Slack · C123, C9" in web.get("/integrations").content.decode()
    check = {
        "ok": True,
        "level": "ERROR",
        "code": "ok",
        "name": "channel:C123",
        "message": "#releases",
    }
    type(slack).objects.update(checks=[check])
    assert "Slack · #releases, C9" in web.get("/integrations").content.decode()
    assert "#releases (C123), C9" in web.get(path(slack)).content.decode()


# --- Verify and disconnect -----------------------------------------------------------------------


def test_verifying_again_finds_a_revoked_token(web: Client, tenant: Tenant, sandbox: Any) -> None:
    scm = make.ScmFactory(tenant=tenant, access_token="ghp_revoked")
    assert web.post(path(scm, "verify"))["Location"] == path(scm)
    assert "GitHub refused the access token." in web.get(path(scm)).content.decode()
    scm.refresh_from_db()
    assert scm.verification_status == "INVALID"


def test_verifying_is_rate_limited(web: Client, tenant: Tenant, owner: User, sandbox: Any) -> None:
    scm = make.ScmFactory(tenant=tenant)
    for _ in range(VERIFICATIONS - 1):
        throttle("verify", user=owner)
    last = web.post(path(scm, "verify"), follow=True)
    assert "Too many attempts." not in last.content.decode()
    before = AuditEvent.objects.count()
    answer = web.post(path(scm, "verify"), follow=True)
    assert "Too many attempts." in answer.content.decode()
    assert AuditEvent.objects.count() == before


def test_disconnecting_hides_the_connection(web: Client, tenant: Tenant) -> None:
    scm = make.ScmFactory(tenant=tenant)
    assert web.post(path(scm, "disconnect"))["Location"] == "/integrations"
    scm.refresh_from_db()
    assert scm.disconnected_at
    assert not scm.access_token


def test_a_connection_used_by_a_pipeline_is_not_disconnected(web: Client, tenant: Tenant) -> None:
    pipeline = make.PipelineFactory(tenant=tenant, display_name="iOS nightly")
    html = web.post(path(pipeline.scm, "disconnect"), follow=True).content.decode()
    assert "Not disconnected. Still used by the pipeline iOS nightly." in html
    assert ScmIntegration.objects.get().disconnected_at is None


def test_a_connection_used_by_an_unfinished_release_is_not_disconnected(
    web: Client, tenant: Tenant
) -> None:
    slack = make.SlackFactory(tenant=tenant)
    release = make.ReleaseFactory(tenant=tenant, version="1.5.0", communication=slack)
    html = web.post(path(slack, "disconnect"), follow=True).content.decode()
    assert "Still used by release 1.5.0." in html
    type(release).objects.update(status=ReleaseStatus.CANCELLED)
    web.post(path(slack, "disconnect"))
    slack.refresh_from_db()
    assert slack.disconnected_at


@pytest.mark.parametrize(
    ("wanted", "leads_to"),
    [
        ("/setup/scm", "/setup/scm"),
        ("https://evil.example/", None),
        ("//evil.example/", None),
        ("/\\evil.example", None),
        ("javascript:alert(1)", None),
    ],
)
def test_the_redirect_back_stays_on_this_site(
    web: Client, tenant: Tenant, sandbox: Any, wanted: str, leads_to: str | None
) -> None:
    scm = make.ScmFactory(tenant=tenant)
    answer = web.post(path(scm, "verify"), {"next": wanted})
    assert answer["Location"] == (leads_to or path(scm))


@pytest.mark.parametrize("act", ["verify", "disconnect"])
def test_actions_require_a_post(web: Client, tenant: Tenant, act: str) -> None:
    scm = make.ScmFactory(tenant=tenant)
    assert web.get(path(scm, act)).status_code == 405


# --- A pipeline's page ---------------------------------------------------------------------------


def test_a_pipelines_page_shows_its_webhook_url_and_the_last_deliveries(
    web: Client, tenant: Tenant
) -> None:
    pipeline = make.PipelineFactory(tenant=tenant)
    make.DeliveryFactory(pipeline=pipeline, state="UNMATCHED", reason="No build has this number.")
    html = web.get(path(pipeline)).content.decode()
    assert f"/api/v1/webhooks/jenkins/{pipeline.pk}" in html
    assert "No build has this number." in html


def test_only_the_last_deliveries_are_shown_and_their_bodies_are_not_loaded(
    web: Client, tenant: Tenant, django_assert_max_num_queries: Any
) -> None:
    pipeline = make.PipelineFactory(tenant=tenant)
    for _ in range(15):
        make.DeliveryFactory(pipeline=pipeline, body=b"x" * 1000)
    with django_assert_max_num_queries(9) as captured:
        answer = web.get(path(pipeline))
    assert len(answer.context["deliveries"]) == 10
    assert not any('"webhook_deliveries"."body"' in query["sql"] for query in captured)


def test_pipelines_of_another_workspace_are_not_offered(web: Client, tenant: Tenant) -> None:
    pipeline, foreign = make.PipelineFactory(tenant=tenant), make.AppStoreFactory()
    data = {"target": foreign.pk, "scm": pipeline.scm_id, "jenkins_job_path": "/job/other"}
    assert web.post(path(pipeline), data).status_code == 200
    assert PipelineIntegration.objects.get().target_id == pipeline.target_id
