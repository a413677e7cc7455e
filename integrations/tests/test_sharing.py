"""A second job of the same server: the credentials are taken over, and never sent elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone

from delivr.audit.models import AuditEvent
from delivr.tenants.models import Role, Tenant
from delivr.tests import factories as make
from integrations.forms import ConnectionForm
from integrations.models import PipelineIntegration, ScmIntegration
from integrations.operations import connect, disconnect, draft
from integrations.tests.values import complaints

pytestmark = pytest.mark.django_db
TOKEN = "factory jenkins token"  # of the factory


@pytest.fixture
def first(tenant: Tenant) -> Any:
    return make.PipelineFactory(tenant=tenant, credential_changed_at=timezone.now())


def second(first: Any, **values: Any) -> dict[str, Any]:
    """What is entered for another job of the first one's server."""
    given = {"scm": first.scm_id, "target": first.target_id, "same_server": first.pk}
    return {**given, "jenkins_job_path": "/job/other", **values}


def make_second(tenant: Tenant, values: dict[str, Any]) -> PipelineIntegration:
    return connect(PipelineIntegration, tenant=tenant, actor=None, kind="JENKINS", values=values)


def test_address_user_and_token_are_taken_over(tenant: Tenant, first: Any) -> None:
    made = make_second(tenant, second(first))
    assert (made.server_url, made.username) == (first.server_url, first.username)
    assert made.api_token.reveal() == TOKEN
    assert made.job == "/job/other"
    assert made.credential_changed_at == first.credential_changed_at
    assert made.webhook_secret.reveal() != first.webhook_secret.reveal()
    changes = AuditEvent.objects.get(action="integration.connected").changes
    assert changes["same_server"] == [None, first.pk]
    assert TOKEN not in str(changes)


def test_beside_an_unreadable_token_an_own_one_is_entered(tenant: Tenant, first: Any) -> None:
    PipelineIntegration.objects.filter(pk=first.pk).update(api_token=first.scm.access_token)
    with pytest.raises(ValidationError) as refused:
        make_second(tenant, second(first))
    assert "cannot be decrypted" in complaints(refused)["same_server"][0]
    made = make_second(tenant, second(first, jenkins_api_token="own token"))
    assert made.api_token.reveal() == "own token"
    assert made.credential_changed_at != first.credential_changed_at


def test_the_token_is_not_sent_to_another_address(tenant: Tenant, first: Any) -> None:
    for address in ("https://evil.example.com", "http://127.0.0.1:1/another", "nonsense:/"):
        with pytest.raises(ValidationError) as refused:
            make_second(tenant, second(first, jenkins_url=address))
        assert (
            "The address is different from that of" in complaints(refused)["jenkins_api_token"][0]
        )
    assert PipelineIntegration.objects.count() == 1
    own = second(first, jenkins_url="https://own.example.com", jenkins_api_token="own token")
    assert make_second(tenant, own).api_token.reveal() == "own token"


def test_the_same_address_may_be_sent(tenant: Tenant, first: Any) -> None:
    made = make_second(tenant, second(first, jenkins_url=f"{first.server_url}/"))
    assert made.api_token.reveal() == TOKEN


def test_a_repository_elsewhere_gets_no_token_either(tenant: Tenant) -> None:
    """The address of a repository is its own, and only its server may be the same."""
    scm = make.ScmFactory(tenant=tenant)

    def connect_at(address: str) -> ScmIntegration:
        values = {"same_server": scm.pk, "repository_url": address}
        return connect(ScmIntegration, tenant=tenant, actor=None, kind="GITHUB", values=values)

    made = connect_at("https://github.com/dream11/other")
    assert made.access_token.reveal() == scm.access_token.reveal()
    with pytest.raises(ValidationError) as refused:
        connect_at("https://github.evil.example.com/dream11/other")
    assert list(complaints(refused)) == ["access_token"]


def test_a_picker_asks_the_server_of_a_token_that_is_taken_over(tenant: Tenant) -> None:
    """Without an address of its own, which would mean github.com."""
    scm = make.ScmFactory(tenant=tenant, repository_url="https://github.corp.example/dream11/app")

    def drafted(**values: Any) -> ScmIntegration:
        values = {"same_server": scm.pk, "repository_url": "", **values}
        return draft(ScmIntegration, tenant=tenant, kind="GITHUB", values=values, stored=None)

    made = drafted()
    assert made.access_token.reveal() == scm.access_token.reveal()
    assert made.repository_url == scm.repository_url
    own = drafted(access_token="own token")  # which was not entered for that server
    assert (own.access_token.reveal(), own.repository_url) == ("own token", "")


def test_nothing_is_taken_over_from_elsewhere(tenant: Tenant, first: Any) -> None:
    gone = make.PipelineFactory(tenant=tenant)
    disconnect(gone, actor=None)
    strangers = [make.PipelineFactory().pk, gone.pk, first.scm_id, first.target_id, "x", "\x00"]
    for stranger in strangers:
        with pytest.raises(ValidationError) as refused:
            make_second(tenant, second(first, same_server=stranger))
        assert complaints(refused)["same_server"] == ["This connection does not exist."]
        assert "jenkins_url" in complaints(refused)


def test_what_is_disconnected_meanwhile_gives_nothing(
    tenant: Tenant, first: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between reading the credential and storing it."""
    from integrations import operations

    clean = operations._clean

    def slow(*args: Any, **kwargs: Any) -> Any:
        found = clean(*args, **kwargs)
        disconnect(PipelineIntegration.objects.get(pk=first.pk), actor=None)
        return found

    monkeypatch.setattr(operations, "_clean", slow)
    with pytest.raises(ValidationError) as refused:
        make_second(tenant, second(first))
    assert "same_server" in complaints(refused)
    assert PipelineIntegration.objects.for_tenant(tenant).count() == 0


def test_the_form_offers_each_server_once(tenant: Tenant, first: Any) -> None:
    rows = {"tenant": tenant, "scm": first.scm, "target": first.target}
    make.PipelineFactory(**rows, job="/job/b")
    other = make.PipelineFactory(**rows, job="/job/c", server_url="https://other.example.com")
    make.PipelineFactory(server_url="https://foreign.example.com")
    form = ConnectionForm(tenant=tenant, key=("pipelines", "JENKINS"))
    assert form.fields["same_server"].choices == [
        (first.pk, "Same server as iOS · ios-prod"),
        (other.pk, "Same server as iOS · c"),
        ("", "Enter new credentials"),
    ]
    assert form["same_server"].value() == first.pk
    assert not form.fields["jenkins_api_token"].required
    edited = ConnectionForm(tenant=tenant, key=("pipelines", "JENKINS"), connection=first)
    assert "same_server" not in edited.fields


def test_the_first_of_its_kind_takes_over_nothing(tenant: Tenant) -> None:
    form = ConnectionForm(tenant=tenant, key=("pipelines", "JENKINS"))
    assert "same_server" not in form.fields
    assert form.fields["jenkins_api_token"].required


@pytest.mark.on_sqlite
def test_the_page_connects_without_showing_the_token(
    web: Client, tenant: Tenant, typed: Callable[..., dict[str, Any]]
) -> None:
    scm, target = make.ScmFactory(tenant=tenant), make.AppStoreFactory(tenant=tenant)
    data = typed("JENKINS", scm=scm.pk, target=target.pk)
    web.post("/integrations/pipelines/new", data)
    first = PipelineIntegration.objects.get()
    page = web.get("/integrations/pipelines/new").content.decode()
    assert f"Same server as {first}" in page
    assert first.api_token.reveal() not in page
    named = {"kind": "JENKINS", "jenkins_job_path": "/job/android-prod"}
    sent = {**named, "scm": scm.pk, "target": target.pk, "same_server": first.pk}
    jobs = web.post("/integrations/pipelines/options?field=jenkins_job_path", sent)
    assert "/job/android-prod" in jobs.content.decode()
    answer = web.post("/integrations/pipelines/new", sent).content.decode()
    made = PipelineIntegration.objects.exclude(pk=first.pk).get()
    assert made.is_valid
    assert first.api_token.reveal() not in answer


@pytest.mark.on_sqlite
def test_the_api_takes_over_too(api_for: Any, tenant: Tenant, first: Any) -> None:
    body = {"pipelineType": "JENKINS", "scmIntegrationId": first.scm_id}
    body |= {"targetIntegrationId": first.target_id, "jenkinsJobPath": "/job/other"}
    address = "/api/v1/integrations/pipelines"
    api = api_for(tenant, Role.ADMIN)
    answer = api.post(address, {**body, "sameServer": first.pk}, format="json")
    assert (answer.status_code, answer.json()["jenkinsUrl"]) == (201, first.server_url)
    assert TOKEN not in answer.content.decode()
    foreign = {**body, "sameServer": make.PipelineFactory().pk}
    unknown = {**body, "sameServer": "pipeline_jenkins_none"}
    refused = [api.post(address, sent, format="json").json() for sent in (foreign, unknown)]
    assert refused[0] == refused[1]
    assert refused[0]["errors"]["sameServer"] == ["This connection does not exist."]
